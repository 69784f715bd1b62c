"""What becomes of the input on its way into the network, as measured values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InputFront:
    """What stands between the input and the first layer with weights, and what is fed to it.

    ``scale`` and ``offset``: a constant input ``c`` arrives there as ``scale · c + offset`` (the
    mean over channels); both None where it does not arrive so, with ``why``. ``layer`` is that
    first layer. ``low``, ``high``, ``mean`` and ``deviation`` are of the images as fed.
    """

    low: float
    high: float
    mean: float
    deviation: float
    scale: float | None = None
    offset: float | None = None
    layer: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """How far the first BN's moving means are from those of ``images`` images, in deviations
    squared, mean over its channels: with the channels as fed, and with the first and last
    exchanged."""

    layer: str
    images: int
    as_fed: float
    exchanged: float
