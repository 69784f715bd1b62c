"""Changed masks of a data set, in a folder of their own: grey pictures whose values are ids."""

from __future__ import annotations

import csv
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.errors import UserError
from segdoctor.examination.request import Say
from segdoctor.measures.drawing import VOID
from segdoctor.sources.voc.image_file import UnreadableError
from segdoctor.sources.voc.label_map import parse_label_map
from segdoctor.sources.voc.mask_file import read_ids

FOLDER, LIST = "masks_fixed", "pairs.csv"
_SPLITS = ("train", "val")


def write_masks(
    scan: ScanFacts, patch: Mapping[str, Any], target: Path, data: str, void: int | None, say: Say
) -> tuple[int, list[str]]:
    """Write every mask of ``scan`` as ``patch`` has it, and the list of pairs, into ``target``.

    The folder is made beside its place and put there when it is whole.

    Returns
    -------
    written, left out : the number of masks, and a line for each that cannot be read

    Raises
    ------
    UserError
        If the folder is there or cannot be written.
    """
    if target.exists():
        raise UserError(f"{clean(target)} is there already, and nothing is overwritten")
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    left_out: list[str] = []
    rows = []
    pairs = [pair for pair in scan.pairs if pair.image and pair.mask]
    try:
        for count, pair in enumerate(pairs):
            say("writing the masks", count, len(pairs))
            try:
                picture = _picture(changed(str(pair.mask), patch, scan, void))
            except UnreadableError as error:
                left_out.append(f"{clean(pair.mask)}: {clean(error)}")
                continue
            path = beside / FOLDER / f"{pair.stem}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
            split = next((s for s in _SPLITS if pair.stem in scan.splits.get(s, ())), "")
            image = os.path.relpath(str(pair.image), data)
            outside = image.split(os.sep)[0] == ".."
            image = os.path.abspath(str(pair.image)) if outside else image
            rows.append((image, f"{FOLDER}/{pair.stem}.png", split))
        with open(beside / LIST, "w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("image", "mask", "split"), *rows])
        os.rename(beside, target)
    except OSError as error:
        why = clean(error.strerror or str(error), 160)
        raise UserError(f"cannot write the masks to {clean(target)}: {why}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return len(rows), left_out


def changed(
    path: str, patch: Mapping[str, Any], scan: ScanFacts, void: int | None
) -> NDArray[np.int32]:
    """The ids of a mask with the fix, as the trial had them: ids, the label map, then the fix."""
    decode = "palette" if "labels.decode" in patch else "stored"
    if "labels.restore" in patch:
        decode = f"void {patch['labels.restore']}"
    ids = parse_label_map(scan.label_map).apply(read_ids(path, decode=decode), scan.void)
    kept = ids == (VOID if void is None else void)
    moved: Any = ids
    if "labels.scale" in patch:
        moved = np.rint(moved * float(patch["labels.scale"]))
    if "labels.shift" in patch:
        moved = moved + int(patch["labels.shift"])
    # Of 0 and 255 alone, 255 is what the scale is about, and no void.
    if "labels.scale" in patch and void is None:
        return np.asarray(moved, np.int32)
    return np.where(kept, ids, moved).astype(np.int32)


def _picture(ids: NDArray[np.int32]) -> Image.Image:
    """Grey, not with a palette: every loader reads the ids, and none their colours."""
    low, high = int(ids.min(initial=0)), int(ids.max(initial=0))
    if low < 0 or high > 65535:
        raise UnreadableError(f"ids from {low} to {high}, which no picture holds")
    return Image.fromarray(ids.astype(np.uint8 if high < 256 else np.uint16))
