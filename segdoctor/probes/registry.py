"""Every probe, listed once: here, or in :mod:`~segdoctor.probes.of_a_file`.

Importing them loads neither NumPy nor TensorFlow.
"""

from __future__ import annotations

from segdoctor.core.probe import Probe
from segdoctor.probes.alignment import PairsMisaligned
from segdoctor.probes.batch_norm import (
    TrainableForcedInference,
    TrainInferenceGap,
    WiredModeOverridden,
)
from segdoctor.probes.batch_norm_momentum import MomentumTooSlow
from segdoctor.probes.batch_norm_statistics import BatchTooSmall, StatisticsStale
from segdoctor.probes.callbacks import MonitorAbsent, MonitorDirectionWrong
from segdoctor.probes.class_balance import ClassMissingOrRare
from segdoctor.probes.class_weight import ClassWeightNotApplied
from segdoctor.probes.dataset import FileUnreadable, PairMissing, PairSizeDiffers
from segdoctor.probes.early_stop import EarlyStopTooEarly
from segdoctor.probes.freeze_readback import FreezeNotAsDescribed, TrainableChangedAfterCompile
from segdoctor.probes.gradient_flow import GradientNotFinite, NoGradientPath
from segdoctor.probes.gradient_scale import GradientExplodes, GradientVanishes
from segdoctor.probes.gradient_units import DeadUnits, OutputSaturated
from segdoctor.probes.graph_design import ResizeConventionDiffers
from segdoctor.probes.graph_path import (
    OutputSizeDiffers,
    PixelOrderScrambled,
    UntrackedVariables,
)
from segdoctor.probes.history import NotFiniteAtEpoch, Oscillation, PlateauFromStart
from segdoctor.probes.ignore_disk import IgnoreLabelUndeclared
from segdoctor.probes.ignore_label import VoidInsideOneHot, VoidOutOfRange, VoidReachesLoss
from segdoctor.probes.images import InputDegenerate, OrientationIgnored
from segdoctor.probes.input_range import InputRangeDiffers
from segdoctor.probes.input_scaling import ChannelsSwapped, NormalisedTwice
from segdoctor.probes.label_colours import ColourMapAsLabel, LuminanceAsLabel, ScaledLabels
from segdoctor.probes.label_encoding import LabelOutOfRange, OffByOne
from segdoctor.probes.label_precision import LabelPrecisionLost
from segdoctor.probes.labels_as_fed import LabelShapeMismatch, OnehotMalformed, SparseOnehotMismatch
from segdoctor.probes.labels_constant import LabelsConstant
from segdoctor.probes.learned_prior import LearnedPriorOnly
from segdoctor.probes.learning_rate import LearningRateOutsideRange
from segdoctor.probes.loss_alignment import SilentBroadcast
from segdoctor.probes.loss_balance import DominatedByOneClass, GradientScaleExtreme
from segdoctor.probes.loss_contract import (
    LossHasNoGradient,
    LossNotFinite,
    PerfectPredictionNotBest,
)
from segdoctor.probes.loss_raises import LossRaises
from segdoctor.probes.loss_score import MetricUsedAsLoss
from segdoctor.probes.loss_structure import LossForgetsClasses, LossMixesPixels
from segdoctor.probes.mask_shape import InterpolatedLabels, LossyMasks
from segdoctor.probes.metric_collapse import AccuracyHidesCollapse, VoidReachesMetric
from segdoctor.probes.metric_contract import AveragedWrongly, FedUnarranged, NotOneWhenPerfect
from segdoctor.probes.of_a_file import OF_A_FILE
from segdoctor.probes.optimisation import UpdateTooLarge, UpdateTooSmall
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
from segdoctor.probes.padding import PaddingLabelled
from segdoctor.probes.regularisation import MixedPrecisionUnderflow, RegularisationDominates
from segdoctor.probes.schedule import ScheduleEndsTooEarly, TooFewSteps
from segdoctor.probes.splits import SplitsOverlap, ValidationListUsedForTraining
from segdoctor.probes.stream import BufferReused, NormalisationPerBatch, NotShuffled, PairChanges
from segdoctor.probes.trial import CannotOverfit, CollapsesToOneClass, TrainingModeOnly
from segdoctor.probes.trial_parts import (
    DataToBlame,
    LossToBlame,
    ModelToBlame,
    OptimizerToBlame,
)
from segdoctor.probes.void_dilution import VoidDilutesLoss
from segdoctor.probes.void_lost import VoidLost
from segdoctor.probes.void_on_disk import VoidAsClass, VoidFolded

PROBES: tuple[Probe, ...] = (
    *OF_A_FILE,
    ResizeConventionDiffers(),
    OutputSizeDiffers(),
    PixelOrderScrambled(),
    UntrackedVariables(),
    BatchTooSmall(),
    TrainInferenceGap(),
    StatisticsStale(),
    TrainableForcedInference(),
    MomentumTooSlow(),
    TrainableChangedAfterCompile(),
    WiredModeOverridden(),
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
    LossMixesPixels(),
    LossForgetsClasses(),
    SilentBroadcast(),
    GradientScaleExtreme(),
    DominatedByOneClass(),
    MetricUsedAsLoss(),
    VoidReachesLoss(),
    VoidInsideOneHot(),
    VoidOutOfRange(),
    VoidFolded(),
    VoidAsClass(),
    PaddingLabelled(),
    VoidLost(),
    VoidReachesMetric(),
    IgnoreLabelUndeclared(),
    VoidDilutesLoss(),
    SparseOnehotMismatch(),
    LabelShapeMismatch(),
    LabelOutOfRange(),
    ColourMapAsLabel(),
    LuminanceAsLabel(),
    InterpolatedLabels(),
    ScaledLabels(),
    OffByOne(),
    OnehotMalformed(),
    LabelPrecisionLost(),
    LabelsConstant(),
    LossyMasks(),
    PairMissing(),
    FileUnreadable(),
    PairSizeDiffers(),
    PairsMisaligned(),
    SplitsOverlap(),
    ValidationListUsedForTraining(),
    InputRangeDiffers(),
    NormalisedTwice(),
    ChannelsSwapped(),
    InputDegenerate(),
    ClassMissingOrRare(),
    NotShuffled(),
    OrientationIgnored(),
    NormalisationPerBatch(),
    BufferReused(),
    PairChanges(),
    NoGradientPath(),
    GradientVanishes(),
    GradientExplodes(),
    GradientNotFinite(),
    DeadUnits(),
    OutputSaturated(),
    UpdateTooSmall(),
    UpdateTooLarge(),
    LearningRateOutsideRange(),
    RegularisationDominates(),
    ScheduleEndsTooEarly(),
    MixedPrecisionUnderflow(),
    TooFewSteps(),
    ClassWeightNotApplied(),
    FreezeNotAsDescribed(),
    NotOneWhenPerfect(),
    FedUnarranged(),
    AccuracyHidesCollapse(),
    AveragedWrongly(),
    PlateauFromStart(),
    Oscillation(),
    EarlyStopTooEarly(),
    NotFiniteAtEpoch(),
    MonitorDirectionWrong(),
    MonitorAbsent(),
    LearnedPriorOnly(),
)
"""Probes over the trace alone."""

SECOND_PASS: tuple[Probe, ...] = (
    CannotOverfit(),
    TrainingModeOnly(),
    CollapsesToOneClass(),
    ModelToBlame(),
    DataToBlame(),
    LossToBlame(),
    OptimizerToBlame(),
)
"""Probes over the trace and the trials."""
