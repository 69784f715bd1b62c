"""Settings of stock layers under the names of Keras 1 and 2, as Keras 3 has them."""

from __future__ import annotations

from typing import Any

from segdoctor.measures.layer_shapes import shape_of_input
from segdoctor.measures.stock_names import OLD_LAYER_NAMES

_RENAMED = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "atrous_rate": "dilation_rate",
    "b_regularizer": "bias_regularizer",
    "bias": "use_bias",
    "border_mode": "padding",
    "init": "kernel_initializer",
    "nb_filter": "filters",
    "output_dim": "units",
    "p": "rate",
    "subsample": "strides",
}
_MERGE_MODES = {"ave": "Average", "concat": "Concatenate", "max": "Maximum", "mul": "Multiply"}


def keras3_settings(class_name: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """``(class name, settings)`` of a stock layer as Keras 3 takes them.

    Raises
    ------
    ValueError
        A setting that cannot be said in Keras 3; the message says which.
    """
    if class_name == "Merge":
        return _merge(settings)
    if class_name == "SyncBatchNormalization":
        settings = settings | {"synchronized": True}
    old_style = "nb_filter" in settings or "border_mode" in settings
    class_name = OLD_LAYER_NAMES.get(class_name, class_name)
    found = dict(settings)
    if old_style or class_name in {"Dense", "Dropout"}:
        found = {_RENAMED.get(key, key): value for key, value in settings.items()}
    ordering = found.pop("dim_ordering", None)
    if ordering == "th":
        raise ValueError("channels-first kernels of Theano (dim_ordering 'th')")
    if ordering == "tf":
        found["data_format"] = "channels_last"
    if "nb_row" in found:
        found["kernel_size"] = [found.pop("nb_row"), found.pop("nb_col")]
    if "filter_length" in found:
        found["kernel_size"] = found.pop("filter_length")
    _ADJUST.get(class_name, lambda found: None)(found)
    return class_name, found


def _merge(settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    mode = settings.get("mode", "sum")
    kept: dict[str, Any] = {k: v for k, v in settings.items() if k in {"name", "trainable"}}
    if mode == "sum":
        return "Add", kept
    if mode not in _MERGE_MODES:
        raise ValueError(f"a Merge layer of the mode {str(mode)[:40]!r}")
    if mode == "concat":
        kept["axis"] = settings.get("concat_axis", -1)
    return _MERGE_MODES[mode], kept


def _batch_norm(found: dict[str, Any]) -> None:
    axis = found.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        found["axis"] = axis[0]
    if found.get("mode", 0) != 0:
        raise ValueError(f"batch normalisation of Keras 1 in mode {found['mode']}")
    if found.pop("renorm", False):
        raise ValueError("batch renormalisation")


def _ungrouped(found: dict[str, Any]) -> None:
    if found.pop("groups", 1) not in (1, None):
        raise ValueError("a grouped depthwise or transposed convolution")


def _depthwise(found: dict[str, Any]) -> None:
    _ungrouped(found)
    for part in ("initializer", "regularizer", "constraint"):  # meaningless here, refused there
        found.pop(f"kernel_{part}", None)


def _leaky(found: dict[str, Any]) -> None:
    if "alpha" in found:
        found["negative_slope"] = found.pop("alpha")


def _input(found: dict[str, Any]) -> None:
    shape = shape_of_input(found)
    if shape is not None:
        found["batch_shape"] = list(shape)
    for key in ("batch_input_shape", "shape", "input_shape", "ragged", "sparse", "input_dtype"):
        found.pop(key, None)


def _upsampling(found: dict[str, Any]) -> None:
    if isinstance(found.get("interpolation"), str):
        found["interpolation"] = found["interpolation"].lower()


_ADJUST: dict[str, Any] = {
    "BatchNormalization": _batch_norm,
    "Conv2DTranspose": _ungrouped,
    "DepthwiseConv2D": _depthwise,
    "InputLayer": _input,
    "LeakyReLU": _leaky,
    "Resizing": _upsampling,
    "UpSampling2D": _upsampling,
}
