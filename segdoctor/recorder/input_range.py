"""Which input range the weights were trained with, asked of the first batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.recorder.layers import batch_norm_layers, tf_variable
from segdoctor.recorder.recalibrate import batch_statistics, replaced_call


class _ReachedError(Exception):
    """Ends the pass at the first BN: the rest of the network is not needed."""


def range_gaps(model: Any, inputs: Mapping[str, Any]) -> dict[str, float]:
    """How badly the first BN's moving statistics describe each of several inputs.

    Parameters
    ----------
    inputs : name of the preprocessing → array (B, H, W, channels) of the same images.

    Returns
    -------
    dict : name → median over channels of ``|m − μ| / sqrt(σ² + eps) + |log10(v / σ²)|``, with
        batch mean m and variance v against moving mean μ and variance σ². Near 0 where the
        statistics were gathered from such inputs.

    Raises
    ------
    NotExaminedError
        If there is no BN, or the first one has default statistics, so that nothing tells.
    """
    norms = batch_norm_layers(model)
    if not norms:
        raise NotExaminedError("the model has no batch normalisation whose statistics would tell")
    path, layer = norms[0]
    mean = np.asarray(tf_variable(layer.moving_mean))
    variance = np.asarray(tf_variable(layer.moving_variance))
    if np.allclose(mean, 0) and np.allclose(variance, 1):
        raise NotExaminedError(
            f"the first batch normalisation, {path}, has its initial statistics: no data has "
            "passed through it, so nothing tells the range"
        )
    return {name: _gap(model, layer, x, mean, variance) for name, x in inputs.items()}


def _gap(model: Any, layer: Any, x: Any, mean: Any, variance: Any) -> float:
    import tensorflow as tf

    seen: list[Any] = []

    def reached(original: Any, flowing: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(batch_statistics(layer, flowing))
        raise _ReachedError

    with replaced_call(layer, reached):
        try:
            model(tf.convert_to_tensor(np.asarray(x, np.float32)), training=False)
        except Exception as error:
            if not seen:
                raise NotExaminedError(f"the first layers do not run: {error}") from error
    batch_mean, batch_variance = (np.asarray(value) for value in seen[0])
    shift = np.abs(batch_mean - mean) / np.sqrt(variance + float(layer.epsilon))
    spread = np.abs(np.log10((batch_variance + 1e-12) / (variance + 1e-12)))
    return float(np.median(shift + spread))
