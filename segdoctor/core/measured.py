"""What the recorder measured of a live run: head, labels as fed, loss, gradients, batch norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from segdoctor.core.data_facts import ShapeFacts
from segdoctor.core.declared import Declared as Declared


@dataclass(frozen=True, slots=True)
class HeadActivation:
    """One activation on the path to the output, nearest to the features first."""

    layer: str
    activation: str  # "softmax", "sigmoid", "relu", …
    axis: int | None = None
    axis_size: int | None = None


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """The output as measured on the batch, and the activations that lead to it.

    ``kind``: ``"logits"``, ``"softmax"`` (non-negative, sums to 1 over the class axis),
    ``"sigmoid"`` (within [0, 1]), ``"constant"``. ``layers_behind`` are the layers between the
    last softmax/sigmoid and the output: any of them breaks Keras' reach back to the logits.
    """

    shape: tuple[int, ...]
    channels: int
    class_axis: int
    kind: str
    minimum: float
    maximum: float
    channel_sum_error: float  # largest |sum over classes - 1|
    dtype: str = "float32"
    activations: tuple[HeadActivation, ...] = ()
    layers_behind: tuple[str, ...] = ()
    keeps_logits: bool = False  # the output carries Keras' way back to the logits
    sums_to_one_over: tuple[int, ...] = ()  # other axes over which the output sums to one
    path_known: bool = True  # the activations are known: by the layer graph, else by a trace


@dataclass(frozen=True, slots=True)
class FedMask:
    """How the labels of one example lie in the plane; ``histogram``: value → pixels. Fractions are
    counted in steps (of 255 where all lie within [0, 1], else of 16 to one id)."""

    shape: ShapeFacts
    histogram: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class FedBar:
    """A bar of one colour along the border of image ``example``: its share of the picture, and
    the one id that the labels have there."""

    example: int
    share: float
    label: int


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """The labels as fed. ``kind``: ``"ids"``, ``"onehot"``, ``"binary"`` (one channel of 0/1) or
    ``"unclear"``. ``histogram``: value → entries (at most 512 distinct values); of one-hot labels
    class → pixels of the rows that say one class. ``colours``: ``"r,g,b"`` → pixels of labels of
    three channels that are no one-hot code. ``masks``: each example of ids in the plane.
    ``sums_to_one_over``: the class axis of one-hot labels
    where it is not the last one. ``row_sums``: sum over channels → pixels (one-hot).
    ``factor``: the one number, not 1, that stands in the place of the 1 of all one-hot rows.
    ``void_rows``: form of the void rows of one-hot labels → pixels: ``"zero"``, ``"255"``,
    ``"one channel 255"``, ``"other"``. ``weighed``: ids of the pixels whose sample weight is not
    0; None where none is 0."""

    shape: tuple[int, ...]
    dtype: str
    kind: str
    classes_present: int
    histogram: Mapping[float, int] = field(default_factory=dict)
    fractional: int = 0
    not_finite: int = 0
    row_sums: Mapping[float, int] = field(default_factory=dict)
    void_rows: Mapping[str, int] = field(default_factory=dict)
    sums_to_one_over: int | None = None
    colours: Mapping[str, int] = field(default_factory=dict)
    masks: tuple[FedMask, ...] = ()
    factor: float | None = None
    weighed: tuple[float, ...] | None = None


Scale = Literal["logits", "probabilities", "either", "unknown"]
Encoding = Literal["ids", "onehot", "either", "unknown"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the loss answered to one question. ``gradient`` is None where there is none;
    ``asked`` is False where time had run out."""

    question: str
    value: float | None
    gradient: object = None  # float array like y_pred, or None
    error: str = ""
    seconds: float = 0.0
    asked: bool = True


@dataclass(frozen=True, slots=True)
class LossContract:
    """What a loss expects, found by experiment on small arrays.

    ``raises`` is the error on every legal form, "" if one works. ``ignores`` lists the label
    values whose pixels have an exactly zero gradient. ``forms`` are the label layouts accepted:
    ``"BHW"``, ``"BHW1"``, ``"BHWC"``. ``facts`` holds further named measurements.
    """

    name: str
    raises: str = ""
    labels: Encoding = "unknown"
    forms: tuple[str, ...] = ()
    prediction: Scale = "unknown"
    ignores: tuple[int, ...] = ()
    reduction: str = "unknown"
    answers: tuple[Answer, ...] = ()
    facts: Mapping[str, float | str | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LossAsRun:
    """The loss on the real batch and the real output, inside the graph as ``fit`` runs it.

    ``rescued``: Keras reached back behind the activation to the logits, so the value in the graph
    differs from the value for the plain output. Gradients are with respect to the output.
    """

    value: float | None
    plain_value: float | None = None
    raises: str = ""
    rescued: bool = False
    void_pixels: int = 0
    valid_pixels: int = 0
    void_gradient: float = 0.0  # largest |gradient| at a void pixel
    valid_gradient: float = 0.0  # largest |gradient| at a valid pixel
    void_gradient_share: float = 0.0  # share of the summed |gradient| that void pixels have
    void_moves_value: float = 0.0  # |change of the loss| when the output at void pixels changes
    zero_gradient_share: float = 0.0  # share of valid pixels whose gradient is exactly zero
    finite: bool = True


@dataclass(frozen=True, slots=True)
class GradientFacts:
    """Gradient of the loss for one variable. ``norm`` is None where there is no path.
    ``depth`` counts from the input (0) to the output (1) along the graph."""

    layer: str
    variable: str
    depth: float
    size: int
    trainable: bool
    norm: float | None
    weight_norm: float
    finite: bool = True


@dataclass(frozen=True, slots=True)
class BatchNormObserved:
    """What one BN layer really did on the batch.

    ``training_mode`` / ``inference_mode`` / ``plain_mode``: which statistics it normalised with
    when the model was called as ``fit`` and as ``predict`` call it, and as ``model(x)``:
    ``"batch"``, ``"moving"`` or ``"unclear"`` ("" where it was not looked at).
    ``moved``: its moving statistics changed in the training call. ``mean_gap`` is the median over
    channels of ``|batch mean - moving mean| / sqrt(moving variance + eps)`` and ``variance_gap``
    the median of ``|log10(batch variance / moving variance)|``, both for the input that flows in
    inference mode. ``…_beyond_lag`` are the same for the input that flows in the training call,
    less what a moving average that merely lags behind this data would explain.
    ``values_per_example``: values of one channel that one example gives (height × width).
    ``synchronized``: its statistics are those of all replicas together.
    """

    layer: str
    trainable: bool
    training_mode: str
    inference_mode: str
    moved: bool
    mean_gap: float
    variance_gap: float
    depth: float = 0.0
    mean_gap_beyond_lag: float = 0.0
    variance_gap_beyond_lag: float = 0.0
    values_per_example: int = 0
    plain_mode: str = ""
    synchronized: bool = False


@dataclass(frozen=True, slots=True)
class ModeFacts:
    """The same batch in both modes, dropout and other noise off. ``gap`` is
    ``mean|train - inference| / std(train)`` of the output; ``gap_recalibrated`` the same after the
    moving statistics that training moves were recalibrated on the batch; ``first_layer`` the first
    BN where the gap opens. The losses are of the batch, regularisation left out."""

    gap: float
    gap_recalibrated: float | None = None
    first_layer: str = ""
    loss_training: float | None = None
    loss_inference: float | None = None


@dataclass(frozen=True, slots=True)
class UpdateFacts:
    """The optimizer's real step on one variable: ``ratio = |step| / |weights|``, the mean of
    ``steps`` steps of the run's own optimizer with the batch's gradient. Variables that are zero
    have no ratio and are left out."""

    layer: str
    variable: str
    ratio: float
    steps: int


@dataclass(frozen=True, slots=True)
class StepEffect:
    """What the optimizer's real step does to the loss of its own batch, per step.

    ``promised``: the fall that the gradient promises (gradient · step), over the loss before.
    ``before`` and ``after``: the loss around the step; measured only where more is promised than
    a loss can give, or the step is large beside the weights (else None).
    """

    promised: float
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class InputRange:
    """How well the first BN's moving statistics describe the same images in several ranges.

    ``fed`` names the range as fed, ``gaps`` has one number for each (near 0: the statistics were
    gathered from such inputs), ``minimum`` and ``maximum`` are those of the batch as fed.
    """

    fed: str
    gaps: Mapping[str, float]
    minimum: float
    maximum: float
    layer: str = ""
