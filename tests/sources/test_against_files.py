"""Batches beside the files that they are made of: what became of void, ids and turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.trace import Trace
from segdoctor.measures.against_files import against_files
from segdoctor.measures.as_fed import fed_example
from segdoctor.probes.stream import PairChanges
from segdoctor.probes.void_lost import VoidLost
from segdoctor.probes.void_on_disk import VoidFolded
from segdoctor.sources.voc import make_batch, scan_folder, small_copies
from segdoctor.sources.voc.batch import encode
from segdoctor.sources.voc.small_copies import SmallCopies

PROBES = (VoidFolded(), VoidLost(), PairChanges())
Arrays = tuple[Any, Any]


@pytest.fixture(scope="module")
def known(real_voc: Path) -> tuple[SmallCopies, Arrays]:
    """Small copies of 80 files, and 8 of them as fed."""
    scan = scan_folder(real_voc)
    batch = make_batch(scan, size=(120, 160), count=8, num_classes=21, ignore_label=255,
                       resize="stretch")  # fmt: skip
    return small_copies(real_voc), (batch.x, batch.ids)


def compared(known: Any, make: Callable[[Any, Any], Arrays]) -> AgainstFiles:
    files, (x, y) = known
    x, y = make(x, y)
    examples = [fed_example(image, label) for image, label in zip(x, y, strict=True)]
    stems = [pair.stem for pair in files.pairs]
    return against_files(examples, stems, files.keys, files.ids, files.void)


SOUND: dict[str, Callable[[Any, Any], Arrays]] = {
    "as they are": lambda x, y: (x, y),
    "another range": lambda x, y: ((x + 1) * 127.5, y),
    "BGR": lambda x, y: (x[..., ::-1], y),
    "both mirrored": lambda x, y: (x[:, :, ::-1], y[:, :, ::-1]),
    "one-hot with zero rows": lambda x, y: (x, encode(y, "onehot-zero", 21, 255)),
    "classes merged": lambda x, y: (x, np.where((y > 0) & (y < 255), 1, y)),
}
SICK: dict[str, tuple[set[str], Callable[[Any, Any], Arrays]]] = {
    "void is background": (
        {"IGN004", "IGN007"}, lambda x, y: (x, np.where(y == 255, 0, y))
    ),
    "void is clipped": ({"IGN004", "IGN007"}, lambda x, y: (x, np.minimum(y, 20))),
    "void is one more class": ({"IGN007"}, lambda x, y: (x, np.where(y == 255, 21, y))),
    "images mirrored alone": ({"DATA016"}, lambda x, y: (x[:, :, ::-1], y)),
    "labels upside down": ({"DATA016"}, lambda x, y: (x, y[:, ::-1])),
}  # fmt: skip


def codes(found: AgainstFiles) -> set[str]:
    trace = Trace({"against_files": found})
    outcomes = [examine(probe, trace) for probe in PROBES]
    assert [outcome.reason for outcome in outcomes if outcome.status == "crashed"] == []
    return {outcome.code for outcome in outcomes if outcome.findings}


@pytest.mark.parametrize("name", SOUND)
def test_sound_batches(name: str, known: Any) -> None:
    found = compared(known, SOUND[name])
    assert len(found.files) == 8
    assert codes(found) == set()


@pytest.mark.parametrize("name", SICK)
def test_what_was_lost_on_the_way(name: str, known: Any) -> None:
    expected, make = SICK[name]
    assert codes(compared(known, make)) - {"IGN004"} == expected - {"IGN004"}
    if name == "void is background":
        assert "IGN004" in codes(compared(known, make))


def test_pictures_that_are_no_file_match_none(known: Any) -> None:
    noise = np.random.default_rng(0).normal(size=(8, 120, 160, 3)).astype(np.float32)
    assert compared(known, lambda x, y: (noise, y)).files == {}
    assert compared(known, lambda x, y: (x[:, 30:90, 40:100], y[:, 30:90, 40:100])).files == {}


def test_labels_of_other_pictures_say_nothing_of_ids(known: Any) -> None:
    """That they are paired wrongly is DATA004's to say; no void was folded on the way."""
    found = compared(known, lambda x, y: (x, np.roll(y, 1, axis=0)))
    assert len(found.files) == 8
    assert codes(found) == set()
