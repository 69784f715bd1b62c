"""Every probe, listed exactly once. Importing them loads neither NumPy nor TensorFlow."""

from __future__ import annotations

from segdoctor.core.probe import Probe
from segdoctor.probes.dataset import FileUnreadable, PairMissing, PairSizeDiffers
from segdoctor.probes.ignore_disk import IgnoreLabelUndeclared
from segdoctor.probes.input_range import InputRangeDiffers
from segdoctor.probes.label_colours import ColourMapAsLabel, LuminanceAsLabel, ScaledLabels
from segdoctor.probes.label_encoding import LabelOutOfRange, LabelsConstant, OffByOne
from segdoctor.probes.trial import (
    CannotOverfit,
    CollapsesToOneClass,
    LossToBlame,
    OptimizerToBlame,
    TrainingModeOnly,
)

PROBES: tuple[Probe, ...] = (
    LabelOutOfRange(),
    ColourMapAsLabel(),
    LuminanceAsLabel(),
    ScaledLabels(),
    OffByOne(),
    LabelsConstant(),
    IgnoreLabelUndeclared(),
    PairMissing(),
    FileUnreadable(),
    PairSizeDiffers(),
    InputRangeDiffers(),
)
"""Probes over the trace alone."""

SECOND_PASS: tuple[Probe, ...] = (
    CannotOverfit(),
    TrainingModeOnly(),
    CollapsesToOneClass(),
    LossToBlame(),
    OptimizerToBlame(),
)
"""Probes over the trace and the trials."""
