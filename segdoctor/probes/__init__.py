"""Every probe, listed exactly once. Importing them loads neither NumPy nor TensorFlow."""

from __future__ import annotations

from segdoctor.core.probe import Probe
from segdoctor.probes.dataset import FileUnreadable, PairMissing, PairSizeDiffers
from segdoctor.probes.ignore_disk import IgnoreLabelUndeclared
from segdoctor.probes.ignore_label import VoidInsideOneHot, VoidOutOfRange, VoidReachesLoss
from segdoctor.probes.input_range import InputRangeDiffers
from segdoctor.probes.label_colours import ColourMapAsLabel, LuminanceAsLabel, ScaledLabels
from segdoctor.probes.label_encoding import LabelOutOfRange, LabelsConstant, OffByOne
from segdoctor.probes.labels_as_fed import LabelShapeMismatch, OnehotMalformed, SparseOnehotMismatch
from segdoctor.probes.loss_contract import (
    LossHasNoGradient,
    LossNotFinite,
    LossRaises,
    PerfectPredictionNotBest,
)
from segdoctor.probes.model_file import CodeInModelFile, LayerNotLoadable, WeightsNotFinite
from segdoctor.probes.output_activation import (
    ActivationAppliedTwice,
    RectifiedLogits,
    SoftmaxOverOneChannel,
    SoftmaxOverWrongAxis,
)
from segdoctor.probes.output_channels import ChannelsDifferFromClasses
from segdoctor.probes.output_scale import (
    LogitsIntoProbabilityLoss,
    SigmoidWithCategoricalLoss,
    SoftmaxOnSoftmaxLoss,
)
from segdoctor.probes.trial import (
    CannotOverfit,
    CollapsesToOneClass,
    LossToBlame,
    OptimizerToBlame,
    TrainingModeOnly,
)

PROBES: tuple[Probe, ...] = (
    CodeInModelFile(),
    LayerNotLoadable(),
    WeightsNotFinite(),
    SoftmaxOnSoftmaxLoss(),
    LogitsIntoProbabilityLoss(),
    ActivationAppliedTwice(),
    SoftmaxOverOneChannel(),
    SigmoidWithCategoricalLoss(),
    SoftmaxOverWrongAxis(),
    RectifiedLogits(),
    ChannelsDifferFromClasses(),
    LossRaises(),
    PerfectPredictionNotBest(),
    LossHasNoGradient(),
    LossNotFinite(),
    VoidReachesLoss(),
    VoidInsideOneHot(),
    VoidOutOfRange(),
    IgnoreLabelUndeclared(),
    SparseOnehotMismatch(),
    LabelShapeMismatch(),
    LabelOutOfRange(),
    ColourMapAsLabel(),
    LuminanceAsLabel(),
    ScaledLabels(),
    OffByOne(),
    OnehotMalformed(),
    LabelsConstant(),
    PairMissing(),
    FileUnreadable(),
    PairSizeDiffers(),
    InputRangeDiffers(),
)
"""Probes over the trace alone, in the order of the catalogue."""

SECOND_PASS: tuple[Probe, ...] = (
    CannotOverfit(),
    TrainingModeOnly(),
    CollapsesToOneClass(),
    LossToBlame(),
    OptimizerToBlame(),
)
"""Probes over the trace and the trials."""
