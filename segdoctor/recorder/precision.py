"""Half precision: where it is, and whether the loss is scaled so that gradients survive it."""

from __future__ import annotations

from typing import Any

from segdoctor.core.training_facts import PrecisionFacts
from segdoctor.recorder.layers import walk
from segdoctor.recorder.modes import first_output


def precision_facts(model: Any, optimizer: Any, y_pred: Any, *, own: bool) -> PrecisionFacts | None:
    """None where nothing computes in half precision.

    Parameters
    ----------
    own : bool
        The optimizer is the one that the model was compiled with; a fresh compile would wrap it
        where the policy asks for it, so that nothing is known of its scaling.
    """
    half = [layer for _, layer in walk(model) if _compute(layer) == "float16"]
    if not half:
        return None
    wraps = any(_policy(layer).startswith("mixed") for layer in half)
    scaled: bool | None = hasattr(optimizer, "inner_optimizer") or bool(
        getattr(optimizer, "loss_scale_factor", None)
    )
    if not scaled and not own and wraps:
        scaled = None
    name = getattr(first_output(y_pred).dtype, "name", str(first_output(y_pred).dtype))
    return PrecisionFacts("float16", len(half), scaled, str(name))


def _compute(layer: Any) -> str:
    return str(getattr(layer, "compute_dtype", "") or "")


def _policy(layer: Any) -> str:
    policy = getattr(layer, "dtype_policy", None)
    return str(getattr(policy, "name", policy) or "")
