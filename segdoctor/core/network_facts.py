"""What single layers and operations showed: activity, the cut of a gradient, the first NaN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ActivationFacts:
    """The output of one nonlinearity on the batch, in the training call.

    ``dead``: share of the channels that are zero for the whole batch (of rectifiers; else 0).
    ``saturated``: share of the values at the flat end of a sigmoid, tanh, hard or capped
    rectifier. ``values`` of one channel that the batch gives.
    """

    layer: str
    activation: str
    depth: float
    mean: float
    spread: float
    dead: float
    saturated: float
    channels: int
    values: int
    finite: bool = True


@dataclass(frozen=True, slots=True)
class ImageMover:
    """A layer that moves the image at random in the training call, and no label with it."""

    layer: str
    class_name: str


@dataclass(frozen=True, slots=True)
class BlockFlow:
    """The end of one block (a merge, a model within the model) in the training call: root mean
    squares of what it gives and of the loss's gradient there (None: no path, or no number)."""

    layer: str
    depth: float
    activation: float
    gradient: float | None


@dataclass(frozen=True, slots=True)
class CutOperation:
    """An operation through which no gradient goes, on the way from weights to the output.

    ``operation`` is "" where there is none: the layer runs, and nothing that it gives is used.
    """

    operation: str
    layer: str
    name: str


@dataclass(frozen=True, slots=True)
class NotFinite:
    """The first operation that gave NaN or Inf. ``where``: ``"input"`` (the images themselves hold
    them), ``"forward"``, ``"loss"`` or ``"backward"``; ``operation`` is "" where it could not be
    named."""

    where: str
    operation: str
    layer: str = ""


@dataclass(frozen=True, slots=True)
class OutputGradientFacts:
    """The gradient of the loss at the output, pixel by pixel.

    ``by_class``: class → its share of the summed ``|gradient|``; ``pixels``: class → its share of
    the valid pixels; ``void``: share of void. ``wrong``: share of the valid pixels whose arg max
    is not the label; ``wrong_without``: of those, the share whose gradient is (nearly) zero, or is
    stopped by the flat end of the sigmoid or softmax; ``saturated``: of the valid pixels, the
    share whose probability is at 0 or 1 or at such a flat end.
    """

    by_class: Mapping[int, float] = field(default_factory=dict)
    pixels: Mapping[int, float] = field(default_factory=dict)
    void: float = 0.0
    wrong: float = 0.0
    wrong_without: float = 0.0
    saturated: float = 0.0


@dataclass(frozen=True, slots=True)
class PixelOrder:
    """Where single marks in the scores came out behind the layers between scores and output.

    ``marks`` were set; ``place_right`` of them came out at their own pixel, ``class_right`` in
    their own class. ``layers`` stand between.
    """

    marks: int
    place_right: int
    class_right: int
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Untracked:
    """A variable that a layer uses and the optimizer never sees."""

    layer: str
    variable: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ResizeConvention:
    """The last resize made with its own corner convention and with the other one.

    ``own`` is ``"half-pixel"`` or ``"align_corners"``; losses are the negative log likelihood of
    the labels, ``majority`` the share of the largest class among the valid pixels.
    """

    layer: str
    own: str
    factor: float
    own_loss: float
    own_accuracy: float
    other_loss: float
    other_accuracy: float
    majority: float


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch that ends in a merge: by how much the output moves when it is zeroed, in spreads
    of the output, and the norm of the gradient that arrives at its kernels (None: no kernels)."""

    merge: str
    layer: str
    effect: float
    gradient: float | None
