"""From the data that was given to the batch that is examined."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.data_sums import sums_of
from segdoctor.core.errors import UserError
from segdoctor.core.fed_facts import AgainstFiles, FedFacts
from segdoctor.core.run import Batch, Draws
from segdoctor.core.stream_facts import StreamFacts
from segdoctor.core.trace import Missing
from segdoctor.examination.request import Request

CROP = 96
MORE_IMAGES = 16  # that the order of the channels is judged by
NO_STREAM = "the data are not handed out in batches of the user's own"
NO_FOLDER = "the data were not given as a data set folder"
NO_OWN_DATA = "no arrays or batches of the user's own were given"
LARGE = 20_000_000  # parameters from which two examples are taken instead of four


@dataclass(frozen=True, slots=True)
class Fed:
    """The batch; for folders also how to draw the same examples with another preprocessing and
    other examples at another size."""

    batch: Batch
    redraw: Callable[[str], Batch] | None = None
    restore: Callable[[int], Batch] | None = None  # void in the place of rings of this class
    draw: Callable[[tuple[int, int], int], Batch] | None = None
    more_images: Callable[[], Any] | None = None  # more images as fed than the batch holds
    draws: Draws | None = None  # the user's own batches, drawn anew
    notes: tuple[str, ...] = ()
    stream: StreamFacts | None = None  # how the user's own batches behave, where there are several
    examples: FedFacts | None = None  # what the examples of the user's own data hold
    against: AgainstFiles | Missing | None = None  # … and what became of the files in them


def is_folder(data: Any) -> bool:
    """Whether the data are a path or a URL (``file.py:name`` is neither)."""
    return isinstance(data, str | os.PathLike) and not _names_object(data)


def with_own_batches(request: Request) -> Request:
    """``file.py:name`` as data is what the user's file calls so: arrays, a data set, or a function
    that makes a generator."""
    if not _names_object(request.data):
        return request
    from segdoctor.sources.settings import from_file

    return replace(request, data=from_file(request.data))


def _names_object(data: Any) -> bool:
    return isinstance(data, str) and re.search(r"\.py:\w+$", data) is not None


def _number(label: int | bool) -> int | None:
    return None if label is False else int(label)


def scanned(request: Request) -> ScanFacts:
    """Read the folder's masks and headers."""
    from segdoctor.sources.voc import scan_folder

    return scan_folder(
        request.data,
        masks=request.masks,
        images=request.images,
        pairs=request.pairs,
        split=request.split,
        val_split=request.val_split,
        label_map=request.label_map,
        ignore_label=request.ignore_label,
        progress=lambda done, total, what: request.say("reading the data set", done, total),
        seed=request.seed,
    )


def sizes(request: Request, model: Any) -> tuple[int, int, int, int]:
    """``(height, width, channels, examples)`` of the batch for a model that is already small."""
    shape = tuple(model.input_shape)
    if len(shape) != 4:
        raise UserError(
            f"model {model.name!r}: expected one image input (B, H, W, channels), received {shape}"
        )
    trial = request.trial
    crop = (trial.crop if trial else None) or CROP
    count = (trial.batch if trial else None) or (2 if model.count_params() > LARGE else 4)
    channels = int(shape[3]) if shape[3] else 3
    return int(shape[1] or crop), int(shape[2] or crop), channels, count


def from_folder(
    request: Request,
    scan: ScanFacts,
    model: Any,
    *,
    classes: int,
    takes: str,
    void: int | bool | None,
    ranges: Callable[[dict[str, Any]], tuple[str, str]],
) -> Fed:
    """A batch from the folder.

    Parameters
    ----------
    takes : ``"ids"`` or ``"onehot"``: what the loss takes, used where the user does not say how
        the pipeline encodes.
    ranges : chooses among the same images in each preprocessing where the user does not say
        which; returns its name and why.
    """
    from segdoctor.sources.voc import make_batch

    height, width, channels, count = sizes(request, model)
    axis = _label_axis(model)

    def make(preprocess: str, **changes: Any) -> Batch:
        options: dict[str, Any] = {
            "size": (height, width),
            "count": count,
            "num_classes": classes,
            "channels": channels,
            "preprocess": preprocess,
            "encoding": request.labels or takes,
            "ignore_label": void,
            "resize": request.resize,
            "seed": request.seed,
            "label_axis": axis,
            "declared_encoding": request.labels is not None,
            "declared_range": request.preprocess is not None,
        }
        return _as_the_output(make_batch(scan, **(options | changes)), model)

    notes: tuple[str, ...] = ()
    preprocess = request.preprocess
    if preprocess is None:
        preprocess, why = ranges({name: make(name).x for name in ("tf", "unit", "none", "torch")})
        notes = (f"input range: {preprocess} ({why}); --preprocess says otherwise",)
    batch = make(preprocess)
    names = batch.names
    return Fed(
        batch=batch,
        redraw=lambda name: make(name, names=names),
        restore=lambda label: make(preprocess, names=names, decode=f"void {label}"),
        draw=lambda size, number: make(preprocess, size=size, count=number),
        more_images=lambda: make(preprocess, count=MORE_IMAGES).x,
        notes=notes,
    )


def _label_axis(model: Any) -> bool:
    """Ids as (B, H, W, 1) where the model has one output channel, so that nothing broadcasts."""
    return bool(model.output_shape[-1] == 1)


def _as_the_output(batch: Batch, model: Any) -> Batch:
    """Labels in a row, (B, H·W) or (B, H·W, C), where the model gives its pixels so."""
    shape, (count, height, width) = model.output_shape, batch.x.shape[:3]
    if not isinstance(shape, tuple) or len(shape) != 3 or shape[1] not in (None, height * width):
        return batch
    y = np.asarray(batch.y)
    return replace(batch, y=y.reshape(count, height * width, *y.shape[3:]))


def from_objects(request: Request) -> Fed:
    """The first batch of arrays, a data set or a generator: taken as it is."""
    from segdoctor.sources.batches import draws_of
    from segdoctor.sources.stream import watch_examples

    request.say("looking at the data as fed", None, None)
    taken, stream, facts, examples = watch_examples(request.data, batch_size=_count(request))
    against = _against(request, examples)
    return Fed(
        batch=taken.batches[0],
        more_images=lambda: np.concatenate([batch.x for batch in taken.batches])[:MORE_IMAGES],
        draws=draws_of(request.data),
        notes=(*taken.notes, *_changed_ids(against)),
        stream=stream,
        examples=facts,
        against=against,
    )


def _changed_ids(against: AgainstFiles | Missing) -> tuple[str, ...]:
    """What is to be said of ids that are others in the batches than in their files."""
    if isinstance(against, Missing):
        return ()
    known = f"{len(against.files)} of {against.examples} examples are whole pictures of the files"
    changed = [
        f"{label} → {next(iter(fed))}"
        for label, fed in against.became.items()
        if next(iter(fed)) != label
    ]
    told = f": their ids were changed on the way ({', '.join(changed[:12])})" if changed else ""
    return (known + told,)


def _against(request: Request, examples: list[Any]) -> AgainstFiles | Missing:
    """The examples beside the files of the folder that they are made of."""
    from segdoctor.measures.against_files import against_files
    from segdoctor.sources.voc import small_copies

    if request.files is None:
        return Missing("the files that the batches are made of are not known", "files=")
    request.say("looking for the examples among the files", None, None)
    copies = small_copies(
        request.files,
        split=request.split,
        masks=request.masks,
        images=request.images,
        pairs=request.pairs,
        seed=request.seed,
    )
    stems = [pair.stem for pair in copies.pairs]
    void = copies.void if request.ignore_label is None else _number(request.ignore_label)
    found = against_files(examples, stems, copies.keys, copies.ids, void)
    if not found.files:
        some = "" if len(stems) == copies.total else f"{len(stems):,} drawn of {copies.total:,} "
        why = (
            f"no example shows the whole picture of one of the {some}files (no crops are compared)"
        )
        return Missing(why)
    known = [label for label in found.became if label not in (void, -1)]
    return replace(found, classes=copies.classes or max([*known, 1]) + 1)


def _count(request: Request) -> int:
    trial = request.trial
    return (trial.batch if trial else None) or min(request.batch_size or 4, 8)


def steps_of(request: Request, scan: ScanFacts | None) -> int | None:
    """Batches of an epoch: as said, else examples over batch size; None where neither is known."""
    if request.steps_per_epoch is not None:
        return request.steps_per_epoch
    if scan is not None and request.batch_size:
        return -(-sums_of(scan).trained // request.batch_size)
    whole = isinstance(request.data, tuple | list) and hasattr(request.data[0], "shape")
    if whole and request.epochs is not None:  # the plan of a run on just these arrays
        return -(-int(request.data[0].shape[0]) // (request.batch_size or 32))
    return None


def void_of(
    request: Request, batch: Batch | None, scan: ScanFacts | None, ignores: int | None
) -> tuple[int | bool | None, str]:
    """The ignore label and who declared it: the user, the loss, sample weights, the layout."""
    if request.ignore_label is not None:
        return (False if request.ignore_label is False else int(request.ignore_label)), "user"
    if ignores is not None:
        return ignores, "loss"
    if batch is not None and batch.sample_weight is not None:
        weight = np.asarray(batch.sample_weight)
        y = np.asarray(batch.y)
        if (weight == 0).any() and weight.size == y.size:
            flat, out = y.ravel(), weight.ravel() == 0
            masked = np.unique(flat[out])
            # A class that counts elsewhere is none: void was written as that class, and weighted.
            if masked.size == 1 and not (flat[~out] == masked[0]).any():
                return int(masked[0]), "sample_weight"
    if scan is not None and scan.void is not None and str(scan.void) not in scan.label_map:
        return scan.void, scan.void_declared_by or "layout"
    return None, ""
