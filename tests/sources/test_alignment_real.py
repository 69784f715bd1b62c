"""Wrong pairing among genuine pairs: fewer draws than ``benchmarks/scan_alignment.py``, whose
figures the README gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scan_alignment as bench

VOC = Path(__file__).parents[2] / ".." / "shared" / "data" / "voc"
pytestmark = pytest.mark.skipif(not VOC.is_dir(), reason="real VOC pairs are not at hand")


@pytest.fixture(scope="module")
def pairs() -> bench.Pairs:
    return bench.Pairs(str(VOC))


def test_own_masks_fit_better_than_others(pairs: bench.Pairs) -> None:
    auc, first, mean = bench.separation(pairs)
    assert auc > 0.995
    assert first > 0.95
    assert mean > 7


def test_a_few_shuffled_pairs_are_noticed(pairs: bench.Pairs) -> None:
    noticed, named = bench.shuffled(pairs, 0.05, 5)
    assert noticed == 1
    assert named > 0.8


def test_two_exchanged_masks_are_named(pairs: bench.Pairs) -> None:
    named, false, partner = bench.single(pairs, 8)
    assert named > 0.8
    assert false < 0.01
    assert partner > 0.7


def test_clean_resamples_raise_no_alarm(pairs: bench.Pairs) -> None:
    assert bench.clean(pairs, 15) == 0


@pytest.mark.parametrize("size", [16, 40])
def test_half_of_the_masks_mirrored(pairs: bench.Pairs, size: int) -> None:
    assert bench.flipped(pairs, 5, size) == 1
