"""A list of pairs: a CSV, or a text file with image and mask on a line."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem, Pair
from segdoctor.sources.voc import storage
from segdoctor.sources.voc.image_file import SUFFIXES
from segdoctor.sources.voc.lists import ListUnreadableError, read_text

_IMAGE_COLUMNS = ("image", "image_path", "img", "filename", "file", "x", "input")
_MASK_COLUMNS = ("mask", "mask_path", "label", "label_path", "annotation", "target", "y", "seg")
_SPLIT_COLUMNS = ("split", "set", "subset", "fold")


def read_pairs(
    path: str, root: str
) -> tuple[list[Pair], dict[str, list[str]], list[FileProblem], int]:
    """``(pairs, split → stems, problems, lines left out)``.

    Columns are told by a first line of names (``image``, ``mask``, ``split``), else they are the
    first two. Paths are relative to the data folder, or else to the list's own folder; those that
    lead out of both are named and not followed. Absolute paths are taken as they are.

    Raises
    ------
    ListUnreadableError
        The file cannot be read, or no line names two files.
    """
    rows = [row for row in _rows(read_text(path)) if any(row)]
    names = [cell.lower() for cell in rows[0]] if rows else []
    columns = [_column(names, known) for known in (_IMAGE_COLUMNS, _MASK_COLUMNS, _SPLIT_COLUMNS)]
    headed = columns[0] is not None and columns[1] is not None
    first, second = (columns[0] or 0, columns[1] or 0) if headed else (0, 1)
    third = columns[2] if headed else None
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
        for row in csv.reader(lines, delimiter=mark):
            yield [cell.strip() for cell in row]
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


def _column(names: list[str], known: tuple[str, ...]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


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
