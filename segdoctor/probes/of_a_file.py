"""The probes that a model file alone can answer: all that ``segdoctor inspect`` has to load."""

from __future__ import annotations

from segdoctor.core.probe import Probe
from segdoctor.probes.batch_norm import FrozenUsesBatchStatistics
from segdoctor.probes.batch_norm_degenerate import Degenerate
from segdoctor.probes.batch_norm_statistics import StatisticsAtDefault
from segdoctor.probes.freeze_boundary import FreezeSplitsBlock
from segdoctor.probes.graph_design import LinearStack, StrideAndRatesDisagree
from segdoctor.probes.graph_path import NoGradientOperation
from segdoctor.probes.model_file import CodeInModelFile, LayerNotLoadable, WeightsNotFinite
from segdoctor.probes.trainable_head import NothingToTrain
from segdoctor.probes.weights import WeightsNeverLoaded

OF_A_FILE: tuple[Probe, ...] = (
    CodeInModelFile(),
    LayerNotLoadable(),
    WeightsNeverLoaded(),
    WeightsNotFinite(),
    NoGradientOperation(),
    StrideAndRatesDisagree(),
    LinearStack(),
    FrozenUsesBatchStatistics(),
    StatisticsAtDefault(),
    Degenerate(),
    FreezeSplitsBlock(),
    NothingToTrain(),
)
