"""A list of pairs: a CSV, or a text file with image and mask on a line."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem, Pair
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.array_file import ARRAYS
from segdoctor.sources.voc.image_file import SUFFIXES
from segdoctor.sources.voc.lists import ListUnreadableError, read_text

# Words of a column's name; of a mask's column the first ones are also tried first.
_MASK_COLUMNS = re.compile(
    r"mask|label|annot|seg|target|truth|(?:^|[\W_])(?:gt|y)(?:[\W_]|$)", re.I
)
_IMAGE_COLUMNS = re.compile(
    r"image|img|rgb|photo|picture|input|file|path|(?:^|[\W_])x(?:[\W_]|$)", re.I
)
_SPLIT_COLUMNS = re.compile(r"^(?:data)?(?:split|set|subset|fold|phase|partition)$", re.I)


def read_pairs(
    path: str, root: str
) -> tuple[list[Pair], dict[str, list[str]], list[FileProblem], int]:
    """``(pairs, split → stems, problems, lines left out)``.

    Columns are told by a first line of names (``image``, ``mask``, ``split``, and words like
    them), else they are the first two. Paths are relative to the data folder, or else to the
    list's own folder; those that
    lead out of both are named and not followed. Absolute paths are taken as they are.

    Raises
    ------
    ListUnreadableError
        The file cannot be read, or no line names two files.
    """
    rows = [row for row in _rows(read_text(path)) if any(row)]
    headed, first, second, third = _columns(rows)
    pairs: dict[str, Pair] = {}
    splits: dict[str, list[str]] = {}
    problems: list[FileProblem] = []
    left_out = 0
    homes = (root, os.path.dirname(path) or ".")
    for row in rows[headed:]:
        if len(row) <= max(first, second) or not (row[first] and row[second]):
            left_out += 1
            continue
        found = [_inside(row[place], homes) for place in (first, second)]
        if None in found:
            reason = f"{clean(' '.join(row), 120)!r} leads out of the data folder; not followed"
            problems.append(FileProblem("DATA001", path, reason))
            continue
        image, mask = (str(item) for item in found)
        stem = os.path.splitext(row[first].replace("\\", "/"))[0]
        if stem in pairs:
            left_out += 1
            continue
        there = storage.exists(image), storage.exists(mask)
        pairs[stem] = Pair(stem, image if there[0] else None, mask if there[1] else None)
        for exists, missing, what in zip(there, (image, mask), ("image", "mask"), strict=True):
            if not exists:
                reason = f"listed in {clean(os.path.basename(path), 60)}, and there is no {what}"
                problems.append(FileProblem("DATA001", missing, reason))
        if third is not None and len(row) > third and row[third]:
            splits.setdefault(row[third], []).append(stem)
    if not pairs and not problems:
        raise ListUnreadableError("not a list of pairs: no line names an image and a mask")
    return list(pairs.values()), splits, problems, left_out


def _rows(text: str) -> Iterator[list[str]]:
    lines = [line for line in text.splitlines() if line.strip()]
    sample = lines[0] if lines else ""
    mark = next((mark for mark in ("\t", ";", ",") if mark in sample), "")
    if mark:
        try:
            for row in csv.reader(lines, delimiter=mark):
                yield [cell.strip() for cell in row]
        except csv.Error as error:
            raise ListUnreadableError(f"not a table: {clean(error, 80)}") from error
        return
    for line in lines:
        yield _two(line.strip())


def _two(line: str) -> list[str]:
    """Image and mask of a line with spaces: the cut is where a suffix of images ends."""
    words = line.split(" ")
    for i in range(1, len(words)):
        if os.path.splitext(words[i - 1])[1].lower() in SUFFIXES:
            return [" ".join(words[:i]).strip(), " ".join(words[i:]).strip()]
    return line.split()


def _columns(rows: list[list[str]]) -> tuple[bool, int, int, int | None]:
    """``(whether the first line names the columns, image's, mask's, split's)``."""
    if len(rows) < 2 or any(_is_file(cell) for cell in rows[0]):
        return False, 0, 1, None
    names, files = rows[0], [i for i, cell in enumerate(rows[1]) if _is_file(cell)]
    known = files if len(files) > 1 else range(len(names))
    masks = [i for i in known if i < len(names) and _MASK_COLUMNS.search(names[i])]
    images = [i for i in known if i < len(names) and _IMAGE_COLUMNS.search(names[i])]
    # `image_label` beside `image`: what is named as a mask is one, unless nothing else is left.
    second = next((i for i in masks if i not in images), masks[-1] if masks else None)
    first = next((i for i in images if i != second), None)
    if first is None or second is None:
        if len(files) < 2:  # neither names nor files: a list of something else, or of one line
            return False, 0, 1, None
        left = [i for i in files if i not in (first, second)]
        first = left.pop(0) if first is None else first
        second = left.pop(0) if second is None else second
    third = next((i for i, name in enumerate(names) if _SPLIT_COLUMNS.search(name)), None)
    return True, first, second, third


def _is_file(cell: str) -> bool:
    return os.path.splitext(cell)[1].lower() in (*SUFFIXES, *ARRAYS)


def _inside(written: str, homes: tuple[str, str]) -> str | None:
    """The path that is meant, None if it leads out."""
    plain = written.replace("\\", "/") if os.sep == "/" else written
    if os.path.isabs(plain) or storage.is_url(plain):
        return plain
    normal = os.path.normpath(plain)
    if normal.split(os.sep)[0] == "..":
        return None
    paths = [os.path.join(home, normal) for home in homes]
    return next((path for path in paths if storage.exists(path)), paths[0])
