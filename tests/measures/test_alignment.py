"""Edges, the table of fits, and what a better pairing, turn or place would be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.data_facts import AlignmentFacts, PairFit
from segdoctor.measures import edges
from segdoctor.measures.alignment import chance, chance_of_all, fits, standardised
from segdoctor.measures.drawing import draw_scene
from segdoctor.measures.edges import TURNS, box_mean, image_edges, mask_edges, turned
from segdoctor.measures.pairing import SmallPair, alignment
from segdoctor.probes.alignment import PairsMisaligned

COUNT = 24
Array = NDArray[np.uint8]


@pytest.fixture(scope="module")
def scenes() -> list[tuple[Array, Array]]:
    rng = np.random.default_rng(0)
    return [draw_scene(rng, (128, 128)) for _ in range(COUNT)]


def facts_of(images: list[Array], masks: list[Array]) -> AlignmentFacts:
    pairs = [
        SmallPair(str(i), f"{i}.jpg", f"{i}.png", image, mask)
        for i, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]
    found = alignment(pairs, len(pairs))
    assert found is not None
    return found


def split(scenes: list[tuple[Array, Array]]) -> tuple[list[Array], list[Array]]:
    return [image for image, _ in scenes], [mask for _, mask in scenes]


def test_box_mean_is_the_mean_of_a_square() -> None:
    values = np.random.default_rng(0).normal(size=(2, 9, 11)).astype(np.float32)
    padded = np.pad(values, ((0, 0), (2, 2), (2, 2)), mode="edge")
    slow = np.array(
        [[[p[r : r + 5, c : c + 5].mean() for c in range(11)] for r in range(9)] for p in padded]
    )
    np.testing.assert_allclose(box_mean(values, 2), slow, atol=1e-5)


@pytest.mark.parametrize("how", TURNS)
def test_a_turned_outline_is_the_outline_of_the_turned_mask(
    how: str, scenes: list[tuple[Array, Array]]
) -> None:
    mask = scenes[0][1]
    by_hand = {
        "mirrored": mask[:, ::-1],
        "upside down": mask[::-1],
        "turned by 180°": mask[::-1, ::-1],
        "transposed": mask.T,
        "turned left by 90°": np.rot90(mask),
        "turned right by 90°": np.rot90(mask, -1),
    }[how]
    outline, expected = mask_edges(mask), mask_edges(np.ascontiguousarray(by_hand))
    assert outline is not None
    # Where a direction is exactly across, rounding decides its sign.
    assert np.isclose(turned(outline, how), expected, atol=1e-5).mean() > 0.999


def test_a_mask_of_one_region_has_no_outline() -> None:
    assert mask_edges(np.zeros((128, 128), np.uint8)) is None
    binary = np.zeros((128, 128), np.uint8)
    binary[40:80, 40:80] = 255  # here 255 is the object, and no void
    assert mask_edges(binary) is not None


@pytest.mark.parametrize("level", [0, 130, 255])
def test_a_plain_image_has_finite_edges(level: int) -> None:
    assert np.isfinite(image_edges(np.full((64, 64, 3), level, np.uint8))).all()
    assert np.isfinite(image_edges(np.full((64, 64), level, np.uint8))).all()


def test_contrast_and_brightness_change_little(scenes: list[tuple[Array, Array]]) -> None:
    image, mask = scenes[0]
    outline = mask_edges(mask)
    dark = (image * 0.4 + 20).astype(np.uint8)
    whole, half = (float((image_edges(x) * outline).sum()) for x in (image, dark))
    assert whole > 0.5
    assert half == pytest.approx(whole, rel=0.25)


def test_standardised_forgets_levels_and_scales() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(60, 60))
    rows, columns = rng.uniform(0.2, 5, size=60), rng.uniform(0.2, 5, size=60)
    table = noise * rows[:, None] * columns + rng.normal(size=(60, 1)) * 9 + rng.normal(size=60) * 9
    z, level, scale = standardised(table)
    off = z[~np.eye(60, dtype=bool)]
    assert abs(np.median(off)) < 0.05
    assert off.std() == pytest.approx(1, abs=0.15)
    np.testing.assert_allclose(z * scale + level, table)


def test_chance_is_the_tail_of_student() -> None:
    assert chance(0.0, 100) == 1.0
    assert chance(1.96, 10_000) == pytest.approx(0.025, rel=0.02)
    assert chance(3.499, 8) == pytest.approx(0.005, rel=0.05)  # t of 7 degrees of freedom
    assert chance(5.0, 160, 160) == pytest.approx(160 * chance(5.0, 160))
    assert chance(1.0, 20, 1e6) == 1.0


def test_the_permutation_test_is_honest() -> None:
    rng = np.random.default_rng(0)
    found = [chance_of_all(rng.normal(size=(12, 12)), seed=i, draws=99) for i in range(200)]
    assert np.mean(np.array(found) <= 0.1) == pytest.approx(0.1, abs=0.06)
    assert chance_of_all(rng.normal(size=(12, 12)) + 5 * np.eye(12)) == 0.001


def test_own_masks_fit_best(scenes: list[tuple[Array, Array]]) -> None:
    facts = facts_of(*split(scenes))
    assert facts.chance == 0.001
    assert facts.mean > 5
    assert all(pair.gap < 0 for pair in facts.pairs)
    assert facts.displaced == ()


def test_the_right_partner_is_named(scenes: list[tuple[Array, Array]]) -> None:
    images, masks = split(scenes)
    masks[3], masks[7] = masks[7], masks[3]
    pairs = {pair.stem: pair for pair in facts_of(images, masks).pairs}
    assert (pairs["3"].partner, pairs["3"].claimed_by) == ("7", "7")
    assert pairs["3"].gap > 4
    assert pairs["5"].gap < 0


@pytest.mark.parametrize("how", ["mirrored", "upside down", "turned by 180°"])
def test_a_turn_is_named(how: str, scenes: list[tuple[Array, Array]]) -> None:
    images, masks = split(scenes)
    turns = {
        "mirrored": lambda a: a[:, ::-1],
        "upside down": lambda a: a[::-1],
        "turned by 180°": lambda a: a[::-1, ::-1],
    }
    for i in range(0, COUNT, 2):
        masks[i] = np.ascontiguousarray(turns[how](masks[i]))
    pairs = facts_of(images, masks).pairs
    assert all(pair.turn == how and pair.turn_z - pair.own > 2 for pair in pairs[::2])
    assert all(pair.turn_z < pair.own for pair in pairs[1::2])


@pytest.mark.parametrize(("down", "right"), [(5, 0), (-4, 6), (0, -9)])
def test_a_displacement_is_measured(
    down: int, right: int, scenes: list[tuple[Array, Array]]
) -> None:
    images, masks = split(scenes)
    masks = [np.roll(mask, (down, right), (0, 1)) for mask in masks]
    facts = facts_of(images, masks)
    assert len(facts.displaced) > 0.8 * COUNT
    assert facts.down * 128 == pytest.approx(down, abs=1)
    assert facts.right * 128 == pytest.approx(right, abs=1)


def test_few_pairs_and_no_outlines_say_nothing(scenes: list[tuple[Array, Array]]) -> None:
    images, masks = split(scenes)
    edges = [image_edges(image) for image in images]
    outlines = [outline for mask in masks if (outline := mask_edges(mask)) is not None]
    assert fits(edges[:7], outlines[:7]) is None
    assert fits(edges, outlines, stopped=lambda: True) is None
    empty = [np.zeros_like(mask) for mask in masks]
    pairs = [SmallPair("a", "a", "a", i, m) for i, m in zip(images, empty, strict=True)]
    assert alignment(pairs, COUNT) is None


def test_scaling_an_image_leaves_its_mask_fitting() -> None:
    """Pairs of many sizes come to the common grid by different filters."""
    rng = np.random.default_rng(3)
    images, masks = [], []
    for _ in range(12):
        image, mask = draw_scene(rng, (int(rng.integers(100, 400)), int(rng.integers(100, 400))))
        images.append(np.asarray(Image.fromarray(image).resize((128, 128))))
        masks.append(np.asarray(Image.fromarray(mask).resize((128, 128), Image.Resampling.NEAREST)))
    facts = facts_of(images, masks)
    assert facts.mean > 5
    assert sum(pair.gap < 0 for pair in facts.pairs) >= 10


def smoothed(mask: Array, by: int = 3) -> Array:
    size = mask.shape[1] // by, mask.shape[0] // by
    small = Image.fromarray(mask).resize(size, Image.Resampling.LANCZOS)
    return np.asarray(small.resize(mask.shape[::-1], Image.Resampling.BILINEAR))


@pytest.mark.parametrize("scale", [255, 20], ids=["0/255", "ids"])
def test_the_outline_of_a_smoothed_mask_is_that_of_the_drawn_one(
    scale: int, scenes: list[tuple[Array, Array]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def likeness() -> float:
        found = []
        for _, mask in scenes:
            drawn = np.where((mask > 0) & (mask < 255), scale, 0).astype(np.uint8)
            outlines = [mask_edges(ids.astype(np.int32)) for ids in (drawn, smoothed(drawn))]
            first, second = (outline[0].ravel() for outline in outlines if outline is not None)
            found.append(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
        return float(np.median(found))

    settled = likeness()
    monkeypatch.setattr(edges, "_without_ramps", lambda ids: ids)
    assert settled > max(0.65, likeness() + 0.1)


def weak(own: float, partner: float, turn: float, others: float) -> AlignmentFacts:
    """One pair that something else fits better, among 39 of ``others``."""

    def fit(name: str, own: float, partner: float, turn: float) -> PairFit:
        return PairFit(name, name, name, own, "1", partner, 5.0, "1", 0.0, 9.0, "mirrored", turn)

    rest = [fit(str(i), others, 1.0, 1.0) for i in range(1, 40)]
    return AlignmentFacts((fit("0", own, partner, turn), *rest), 40, 5.0, 0.001)


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        (weak(0.5, 8.0, 0.0, 9.0), True),
        (weak(0.5, 0.0, 8.0, 9.0), True),
        (weak(3.6, 8.0, 0.0, 9.0), False),  # its own fits as no other image's does
        (weak(3.6, 0.0, 8.0, 9.0), False),
        (weak(0.5, 8.0, 0.0, 3.0), False),  # coarse masks: none fits well anywhere
        (weak(0.5, 0.0, 8.0, 3.0), False),
    ],
)
def test_a_pair_is_named_where_masks_of_its_kind_fit_well(
    facts: AlignmentFacts, named: bool
) -> None:
    assert bool(PairsMisaligned().findings_of(facts)) is named


def test_of_many_turned_masks_symmetric_ones_are_believed() -> None:
    facts = weak(3.6, 0.0, 8.0, 9.0)
    turned_pairs = [replace(facts.pairs[0], stem=str(100 + i)) for i in range(4)]
    many = replace(facts, pairs=(*turned_pairs, *facts.pairs))
    assert len(PairsMisaligned().turned_pairs(many, set())) == 5
