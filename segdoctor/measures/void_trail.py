"""Follows the void of the masks into the labels as fed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.asked import VoidTrail
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts
from segdoctor.measures.void_forms import forms_at, padding_of

_VOC_CLASSES = 21


def void_trail(
    x: NDArray[Any],
    y: NDArray[Any],
    ids: NDArray[Any],
    *,
    labels: LabelFacts,
    head: HeadFacts,
    declared: Declared,
    sample_weight: NDArray[Any] | None = None,
    truth_known: bool = False,
    scan: ScanFacts | None = None,
) -> VoidTrail | None:
    """What stands at the void pixels of one batch.

    Parameters
    ----------
    x : (B, H, W, channels); y : as fed; ids : (B, H, W) with void.
    truth_known : bool
        ``ids`` come from the masks, and not from ``y``.

    Returns
    -------
    VoidTrail or None
        None where no label is void and no row or weight says so, or the labels have other pixels
        than the masks.
    """
    if declared.ignore_label is False:
        return None
    void = -1 if declared.ignore_label is None else int(declared.ignore_label)
    where = ids == void
    if declared.ignore_label is None and not where.any():
        return None
    onehot = labels.kind == "onehot"
    axis = -1 if labels.sums_to_one_over is None else labels.sums_to_one_over
    pixels = y.size // y.shape[axis] if onehot else y.size
    if pixels != where.size:
        return None
    classes = _classes(declared, head, scan)
    mark = 255 if onehot and declared.ignore_label is None else void  # what stands in void rows
    settings: dict[str, Any] = {"onehot": onehot, "void": mark, "class_axis": axis}
    padding: dict[str, int] = {}
    if truth_known and where.any() and x.shape[:3] == where.shape:
        bars = padding_of(x) & where
        padding = forms_at(y, bars, **settings) if bars.any() else {}
    weight = None if sample_weight is None else np.asarray(sample_weight)
    weightless = 0
    if weight is not None and weight.size == where.size:
        weightless = int(np.count_nonzero(where & (weight.reshape(where.shape) == 0)))
    return VoidTrail(
        label=void,
        pixels=int(where.sum()),
        all_pixels=int(where.size),
        classes=classes,
        truth_known=truth_known,
        on_disk=_on_disk(scan, void),
        as_fed=forms_at(y, where, **settings) if where.any() else {},
        padding_as_fed=padding,
        weightless=weightless,
    )


def _classes(declared: Declared, head: HeadFacts, scan: ScanFacts | None) -> int:
    """Real classes: as declared, else VOC's, else those of the masks, else the head's channels."""
    if declared.num_classes is not None and declared.num_classes_declared:
        return max(declared.num_classes, 2)
    if scan is not None and scan.layout.startswith("Pascal VOC") and not scan.label_map:
        return _VOC_CLASSES
    if scan is not None and scan.histogram:
        known = [label for label in scan.histogram if label != scan.void and label >= 0]
        return max([*known, 1]) + 1
    return max(head.channels, 2)


def _on_disk(scan: ScanFacts | None, void: int) -> float | None:
    if scan is None or not scan.histogram:
        return None
    return scan.histogram.get(void, 0) / sum(scan.histogram.values())
