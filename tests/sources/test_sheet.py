"""The contact sheet: which pairs are on it, and what is drawn beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segdoctor.core.data_facts import AlignmentFacts, Pair, PairFit
from segdoctor.sources.voc.sheet import contact_sheet

from .folders import image, mask


def fit(folder: Path, name: str, **changes: object) -> PairFit:
    paths = [str(folder / f"{name}.{end}") for end in ("jpg", "png")]
    found = PairFit(name, *paths, 9.0, "b", 1.0, 9.0, "b", 1.0, 9.0, "mirrored", 1.0)
    return replace(found, **changes)  # type: ignore[arg-type]


def folder_of(root: Path) -> list[Pair]:
    for name in "abcd":
        ids = np.zeros((40, 60), np.uint8)
        ids[8:20, 10:20] = 15
        image(root / f"{name}.jpg", (60, 40))
        mask(root / f"{name}.png", ids)
    return [Pair(n, str(root / f"{n}.jpg"), str(root / f"{n}.png")) for n in "abcd"]


def test_what_fits_better_is_drawn_beside_it(tmp_path: Path) -> None:
    pairs = folder_of(tmp_path)
    wrong = fit(tmp_path, "a", own=0.2, partner_z=8.0)
    turned = fit(tmp_path, "b", own=0.3, turn_z=7.0)
    claimed = fit(tmp_path, "c", own=0.4, claimed_z=6.0)
    facts = AlignmentFacts((fit(tmp_path, "d"), claimed, turned, wrong), 4, 5.0, 0.001)
    sheet = contact_sheet(facts, pairs)
    assert [picture.name for picture in sheet] == ["a", "b", "c"]
    assert [list(picture.tiles) for picture in sheet] == [
        ["as it is: fit 0.2", "with the mask of b: fit 8.0"],
        ["as it is: fit 0.3", "its mask mirrored: fit 7.0"],
        ["as it is: fit 0.4", "its mask on the image b: fit 6.0"],
    ]
    here, mirrored = sheet[1].tiles.values()
    marked = [(tile == (255, 0, 255)).all(axis=-1).nonzero()[1].mean() for tile in (here, mirrored)]
    assert marked[0] < here.shape[1] / 2 < marked[1]


def test_where_nothing_fits_better_the_worst_are_shown_alone(tmp_path: Path) -> None:
    pairs = folder_of(tmp_path)
    facts = AlignmentFacts(tuple(fit(tmp_path, n, own=float(ord(n))) for n in "dcba"), 4, 5.0, 0.0)
    sheet = contact_sheet(facts, pairs)
    assert [picture.name[0] for picture in sheet] == ["a", "b"]
    assert all(len(picture.tiles) == 1 for picture in sheet)
    assert contact_sheet(None, pairs) == ()


def test_displaced_masks_are_moved_back(tmp_path: Path) -> None:
    pairs = folder_of(tmp_path)
    facts = AlignmentFacts(
        tuple(fit(tmp_path, n) for n in "abcd"), 4, 5.0, 0.0, displaced=("c",), right=0.1
    )
    (picture,) = contact_sheet(facts, pairs)
    here, back = (
        (tile == (255, 0, 255)).all(axis=-1).nonzero()[1].mean() for tile in picture.tiles.values()
    )
    assert here - back == pytest.approx(0.1 * 288, abs=1)
