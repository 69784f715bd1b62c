"""The labels as fed: ids, one-hot, binary, or something that no loss takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.measured import FedMask, LabelFacts
from segdoctor.measures.fed_masks import fed_masks

_MOST_VALUES = 512
_MOST_SUMS = 64
_PROPER_SHARE = 0.5  # of the rows that say something, from which on rows are one-hot
_SMALL = 1e-3
_VOID = 255.0
_LARGEST = 1 << 15  # no id lies beyond


def label_facts(
    y: NDArray[Any], num_classes: int | None = None, ignore_label: int | bool | None = None
) -> LabelFacts:
    """Measure labels as they are fed to the loss.

    Parameters
    ----------
    y : array (B, H, W), (B, H, W, 1) or (B, H, W, C); also (B, N), (B, N, C), (B, C, H, W).
    num_classes : int, optional
        Channels of the head, where known. With 1, labels of 0 and 1 are ``"binary"``;
        where it is unknown, those of shape (B, H, W, 1) are.
    ignore_label : int, False or None
        As declared.

    Returns
    -------
    LabelFacts
        ``histogram`` counts values, of one-hot labels the class of each proper row.
    """
    y = np.asarray(y)
    axis = _class_axis(y, num_classes, ignore_label)
    if axis is not None:
        return _onehot_facts(y, axis, ignore_label)
    histogram, fractional, not_finite = count_values(y)
    void = None if ignore_label is None or ignore_label is False else float(ignore_label)
    present = [value for value in histogram if value != void]
    colours = _colours(y)
    kind = "ids"
    if y.ndim == 4 and y.shape[-1] > 1:
        kind = "unclear"
    elif all(value in (0, 1) for value in present) and (
        num_classes == 1 or (num_classes is None and y.ndim == 4)
    ):
        kind = "binary"
    return LabelFacts(
        shape=y.shape,
        dtype=str(y.dtype),
        kind=kind,
        classes_present=len(present),
        histogram=histogram,
        fractional=fractional,
        not_finite=not_finite,
        colours=colours,
        masks=() if kind == "unclear" else fed_masks(y),
    )


def count_values(y: NDArray[Any], most: int = _MOST_VALUES) -> tuple[dict[float, int], int, int]:
    """``(value → entries, fractional entries, entries that are not finite)``.

    Where there are more than ``most`` values, the most frequent ones are kept, and 0, the least
    and the largest.
    """
    flat = np.asarray(y).ravel()
    not_finite = 0
    if flat.dtype.kind == "b":
        flat = flat.astype(np.uint8)
    if flat.dtype.kind == "f":
        finite = np.isfinite(flat)
        not_finite = int(flat.size - finite.sum())
        flat = flat[finite]
    if flat.dtype == np.uint8:
        counts = np.bincount(flat, minlength=256)
        values = np.flatnonzero(counts)
        counts = counts[values]
    else:
        values, counts = np.unique(flat, return_counts=True)
    fractional = int(counts[np.mod(values, 1) != 0].sum()) if values.size else 0
    if values.size > most:
        frequent = np.argsort(-counts, kind="stable")[: most - 3]
        kept = np.unique([*frequent.tolist(), 0, values.size - 1, int(np.abs(values).argmin())])
        values, counts = values[kept], counts[kept]
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return {_plain(value): int(count) for value, count in pairs}, fractional, not_finite


def stray_ids(histogram: Mapping[float, int], channels: int, most: int = 4) -> tuple[int, ...]:
    """The most frequent whole numbers among labels that are no class of a head of ``channels``."""
    strays = [
        value
        for value in histogram
        if value == int(value) and not 0 <= value < max(channels, 2) and abs(value) < _LARGEST
    ]
    return tuple(int(v) for v in sorted(strays, key=lambda v: (-histogram[v], v))[:most])


def _plain(value: float) -> float:
    return float(round(value, 9))


def _class_axis(
    y: NDArray[Any], num_classes: int | None, ignore_label: int | bool | None
) -> int | None:
    """The axis of one-hot labels, None where the labels are no one-hot code."""
    candidates = []
    if y.ndim == 4 and y.shape[-1] > 1:
        candidates.append(3)
        if y.shape[1] > 1 and num_classes in (None, y.shape[1]):
            candidates.append(1)
    elif y.ndim == 3 and num_classes not in (None, 1) and y.shape[-1] == num_classes:
        candidates.append(2)
    shares = {
        axis: _proper_share(np.moveaxis(y, axis, -1), ignore_label, of_head=num_classes)
        for axis in candidates
    }
    best = max(shares, key=shares.__getitem__, default=None)
    return best if best is not None and shares[best] >= _PROPER_SHARE else None


def _proper_share(
    y: NDArray[Any], ignore_label: int | bool | None, of_head: int | None = None
) -> float:
    """Of the pixels whose row over the last axis is no void row, the share that says one class.

    Where all rows are void rows, 1 if there are more than three channels (else a black and white
    picture would be taken for one-hot labels). Rows of one value that is not 1 in one channel are
    one-hot labels that were multiplied.
    """
    channels = y.shape[-1]
    rows = np.asarray(y, dtype=np.float32).reshape(-1, channels)
    silent = _void_row_masks(rows, ignore_label)
    rows = rows[~(silent["zero"] | silent["255"] | silent["one channel 255"])]
    if not len(rows):
        return float(channels > 3)
    legal = (rows.min(axis=-1) >= -_SMALL) & (rows.max(axis=-1) <= 1 + _SMALL)
    more = channels > 3 or (channels == of_head and not (rows == rows[:, :1]).all(-1).any())
    if more and legal.all() and np.isin(np.unique(rows[:4096]), (0, 1)).all():
        # Several classes at once is still a code of zeros and ones, if a lesser one.
        legal_share = _PROPER_SHARE
    else:
        legal_share = 0.0
    proper = legal & (np.abs(rows.sum(axis=-1) - 1) < 10 * _SMALL)
    if channels == of_head and _factor(rows) is not None:
        legal_share = _PROPER_SHARE
    return max(float(proper.mean()), legal_share)


def _factor(rows: NDArray[np.float32]) -> float | None:
    """The one number, not 1, that stands in one channel of each row, where at least two channels
    have it; None for other rows."""
    some = rows[(rows != 0).any(axis=-1)]
    if not len(some) or ((some != 0).sum(axis=-1) != 1).any():
        return None
    top = some.sum(axis=-1)
    several = len(np.unique(some.argmax(axis=-1))) > 1
    same = top[0] > 0 and abs(top[0] - 1) > _SMALL and np.allclose(top, top[0])
    return float(top[0]) if several and same else None


def _void_row_masks(
    rows: NDArray[np.float32], ignore_label: int | bool | None
) -> dict[str, NDArray[np.bool_]]:
    mark = _VOID
    if ignore_label is not None and ignore_label is not False and ignore_label not in (0, 1):
        mark = float(ignore_label)
    top, low, total = rows.max(axis=-1), rows.min(axis=-1), rows.sum(axis=-1)
    zero = (top == 0) & (low == 0)
    full = (low == mark) & (top == mark)
    one = (top == mark) & (low == 0) & (total == mark) & ~full
    return {"zero": zero, "255": full, "one channel 255": one}


def _onehot_facts(y: NDArray[Any], axis: int, ignore_label: int | bool | None) -> LabelFacts:
    channels = y.shape[axis]
    rows = np.moveaxis(np.asarray(y, dtype=np.float32), axis, -1).reshape(-1, channels)
    finite = np.isfinite(rows).all(axis=-1)
    not_finite = int(rows.size - np.isfinite(rows).sum())
    rows = rows[finite]
    masks = _void_row_masks(rows, ignore_label)
    total = rows.sum(axis=-1)
    factor = _factor(rows)
    if factor is not None:  # every row is multiplied: what stands in one channel is no void
        masks["one channel 255"][:] = False
    legal = (rows.max(axis=-1, initial=0) <= 1 + _SMALL) & (rows.min(axis=-1, initial=0) >= -_SMALL)
    proper = legal & (np.abs(total - 1) < 10 * _SMALL)
    void = masks["zero"] | masks["255"] | masks["one channel 255"]
    void_rows = {form: int(mask.sum()) for form, mask in masks.items()}
    void_rows["other"] = int((~legal & ~void).sum())
    saying = proper if factor is None else (rows != 0).any(axis=-1)
    counts = np.bincount(rows[saying].argmax(axis=-1), minlength=channels).tolist()
    histogram = {float(i): int(count) for i, count in enumerate(counts) if count}
    sums = count_values(np.round(total, 3 if factor is None else 6), _MOST_SUMS)[0]
    fractional = int((np.mod(rows[proper], 1) != 0).sum())
    return LabelFacts(
        shape=y.shape,
        dtype=str(y.dtype),
        kind="onehot",
        classes_present=len(histogram),
        histogram=histogram,
        fractional=fractional,
        not_finite=not_finite,
        row_sums=sums,
        factor=factor,
        void_rows={form: count for form, count in void_rows.items() if count},
        masks=_planes(y, axis, np.where(void, -1, rows.argmax(axis=-1))) if finite.all() else (),
        sums_to_one_over=axis if axis != y.ndim - 1 else None,
    )


def _planes(y: NDArray[Any], axis: int, ids: NDArray[np.integer]) -> tuple[FedMask, ...]:
    """The masks that one-hot labels say."""
    shape = y.shape[:axis] + y.shape[axis + 1 :]
    return fed_masks(ids.reshape(shape)) if len(shape) == 3 else ()


def _colours(y: NDArray[Any], most: int = 256) -> Mapping[str, int]:
    """``"r,g,b"`` → pixels of labels of three channels, scaled to 0–255; {} for others."""
    if y.ndim != 4 or y.shape[-1] != 3 or y.dtype.kind not in "uif":
        return {}
    top, low = float(np.nanmax(y, initial=0)), float(np.nanmin(y, initial=0))
    if low < 0 or top > 255:
        return {}
    values = np.asarray(y, dtype=np.float64).reshape(-1, 3)
    if top <= 1:
        values = values * 255
    values = np.nan_to_num(values)
    if np.abs(values - np.rint(values)).max(initial=0) > 0.02:
        return {}
    codes, counts = np.unique(
        np.rint(values).astype(np.int64) @ np.array([65536, 256, 1]), return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    kept = {
        f"{int(codes[i]) >> 16},{int(codes[i]) >> 8 & 255},{int(codes[i]) & 255}": int(counts[i])
        for i in order[:most]
    }
    rest = int(counts[order[most:]].sum())
    return {**kept, "other": rest} if rest else kept
