"""A weights-only file given the architecture that its layer names belong to."""

from __future__ import annotations

import re
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.sources.model_file.copy_weights import (
    WeightsDoNotFitError,
    copy_weights,
    plan_weights,
)
from segdoctor.sources.model_file.opened import OpenedModel

_BACKBONES = {"xception": "exit_flow", "mobilenetv2": "expanded_conv"}
_HEAD = "logits_semantic"


def family_of(opened: OpenedModel) -> str | None:
    """``"deeplabv3plus-xception"`` or ``-mobilenetv2`` where the layer names are theirs."""
    names = [weight.layer for weight in opened.stored]
    for backbone, prefix in _BACKBONES.items():
        if sum(name.startswith(prefix) for name in names) > 20:
            return f"deeplabv3plus-{backbone}"
    return None


def model_of_family(opened: OpenedModel, arch: str) -> tuple[Any, tuple[str, ...]]:
    """Build the architecture and fill it with the file's weights.

    Parameters
    ----------
    arch : ``deeplabv3plus-xception`` or ``deeplabv3plus-mobilenetv2``, with ``-os8`` or ``-os16``
        behind it for the output stride (16 where nothing is said).

    Raises
    ------
    UserError
        If there is no such architecture, or the file's weights do not fit it.
    """
    from segdoctor.sources.deeplab import build_deeplab

    said = re.fullmatch(r"deeplabv3plus-(xception|mobilenetv2)(?:-os(8|16))?", arch.lower())
    if said is None:
        raise UserError(
            f"--arch {clean(arch)!r}: expected deeplabv3plus-xception or "
            "deeplabv3plus-mobilenetv2, with -os8 or -os16 behind it"
        )
    kernel = next(
        (w for w in opened.facts.weights if w.layer.endswith(_HEAD) and len(w.shape) == 4), None
    )
    stride: Any = int(said.group(2) or 16)
    backbone: Any = said.group(1)
    model = build_deeplab(
        backbone,
        (512, 512, 3),
        classes=kernel.shape[-1] if kernel else 21,
        output_stride=stride,
    )
    try:
        plan = plan_weights(model, opened.stored, opened.facts.weights)
    except WeightsDoNotFitError as error:
        raise UserError(
            f"--arch {clean(arch)}: the file's weights do not fit it: {error}"
        ) from error
    with opened.weights() as read:
        copy_weights(plan, read)
    return model, (f"the file holds weights only: built as {arch}, output stride {stride}",)
