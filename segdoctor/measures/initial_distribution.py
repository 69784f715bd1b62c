"""Is a weight array still what its initializer drew? Told from its statistics alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segdoctor.core.model_facts import LayerFacts, WeightFacts

# Below so many elements chance alone decides.
_ENOUGH = 200
# Standard deviation of a normal distribution that is cut off at two of its deviations.
_CUT_NORMAL = 0.87962566

_NAMED: dict[str, tuple[float, str, str]] = {
    "glorotuniform": (1.0, "fan_avg", "uniform"),
    "glorotnormal": (1.0, "fan_avg", "truncated_normal"),
    "heuniform": (2.0, "fan_in", "uniform"),
    "henormal": (2.0, "fan_in", "truncated_normal"),
    "lecununiform": (1.0, "fan_in", "uniform"),
    "lecunnormal": (1.0, "fan_in", "truncated_normal"),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What an initializer draws: mean, standard deviation, largest distance from the mean."""

    mean: float
    std: float
    reach: float  # inf where there is none


def looks_initial(weight: WeightFacts, layer: LayerFacts | None = None) -> bool | None:
    """Whether the statistics of a kernel are those of its initializer's draw.

    None where that cannot be told: too few elements, an unknown initializer, or a layer without a
    configuration whose kernel is not Keras' default (Glorot uniform).

    Notes
    -----
    The standard deviation of ``n`` uniform values is off by ``sqrt(0.2 / n)`` of itself, of
    normal ones by ``sqrt(0.5 / n)``; five of these and one percent are allowed. A uniform draw
    never leaves its range and fills it; training leaves it within a few steps.
    """
    if weight.count < _ENOUGH or weight.not_finite or weight.std == 0.0:
        return None
    drawn = drawn_by(_initializer(weight.name, layer), weight.shape)
    if drawn is None:
        return None
    allowed = 0.01 + 5.0 * math.sqrt(0.5 / weight.count)
    if abs(weight.std / drawn.std - 1.0) > allowed:
        return False
    if abs(weight.mean - drawn.mean) > 6.0 * drawn.std / math.sqrt(weight.count):
        return False
    farthest = max(abs(weight.minimum - drawn.mean), abs(weight.maximum - drawn.mean))
    return farthest <= drawn.reach * 1.001


def knows_initializer(layer: LayerFacts) -> bool:
    """Whether the configuration of a layer says how its kernels were drawn."""
    kinds = ("kernel", "depthwise_kernel", "pointwise_kernel")
    return any(layer.config.get(key) is not None for kind in kinds for key in _keys(kind))


def drawn_by(initializer: object, shape: Sequence[int]) -> Drawn | None:
    """What an initializer, as configurations name it, draws for a kernel of ``shape``."""
    name, config = _named(initializer)
    if name == "variancescaling":
        scale = _number(config, "scale", 1.0)
        mode = str(config.get("mode", "fan_in"))
        kind = str(config.get("distribution", "truncated_normal"))
        return _scaled(scale, mode, kind, shape)
    if name in _NAMED:
        return _scaled(*_NAMED[name], shape)
    if name == "randomuniform":
        low, high = _number(config, "minval", -0.05), _number(config, "maxval", 0.05)
        return Drawn((low + high) / 2, (high - low) / math.sqrt(12.0), (high - low) / 2)
    if name in ("randomnormal", "truncatednormal"):
        std, mean = _number(config, "stddev", 0.05), _number(config, "mean", 0.0)
        if name == "randomnormal":
            return Drawn(mean, std, math.inf)
        return Drawn(mean, std * _CUT_NORMAL, 2.0 * std)
    return None


def constant_of(initializer: object, default: float) -> float | None:
    """The one value that an initializer gives, None if it draws; ``default`` if none is named."""
    if initializer is None:
        return default
    name, config = _named(initializer)
    if name == "zeros":
        return 0.0
    if name == "ones":
        return 1.0
    return _number(config, "value", 0.0) if name == "constant" else None


def _scaled(scale: float, mode: str, kind: str, shape: Sequence[int]) -> Drawn | None:
    fan_in, fan_out = _fans(shape)
    fan = {"fan_in": fan_in, "fan_out": fan_out}.get(mode, (fan_in + fan_out) / 2.0)
    variance = scale / max(fan, 1.0)
    if kind == "uniform":
        return Drawn(0.0, math.sqrt(variance), math.sqrt(3.0 * variance))
    std = math.sqrt(variance)
    if kind == "untruncated_normal":
        return Drawn(0.0, std, math.inf)
    return Drawn(0.0, std, 2.0 * std / _CUT_NORMAL)


def _fans(shape: Sequence[int]) -> tuple[float, float]:
    if len(shape) < 2:
        size = float(shape[0]) if shape else 1.0
        return size, size
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def _initializer(variable: str, layer: LayerFacts | None) -> object:
    config: Mapping[str, object] = layer.config if layer is not None else {}
    for key in _keys(variable):
        if config.get(key) is not None:
            return config[key]
    return "glorot_uniform"


def _keys(variable: str) -> tuple[str, ...]:
    short = variable.removesuffix("_kernel")  # depthwise, pointwise
    return f"{variable}_initializer", f"{short}_initializer", "kernel_initializer", "init"


def _named(initializer: object) -> tuple[str, Mapping[str, object]]:
    if isinstance(initializer, Mapping):
        inner = initializer.get("config")
        config = inner if isinstance(inner, Mapping) else {}
        return _plain(initializer.get("class_name")), config
    return _plain(initializer), {}


def _plain(name: object) -> str:
    return str(name).replace("_", "").lower()


def _number(config: Mapping[str, object], key: str, default: float) -> float:
    value = config.get(key, default)
    return float(value) if isinstance(value, int | float) else default
