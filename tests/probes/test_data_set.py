"""Probes of the data set: each with the sick case, its healthy twin, and what only looks alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from segdoctor.core.data_facts import (
    AlignmentFacts,
    FileProblem,
    ImageFacts,
    MaskFacts,
    Overlap,
    Pair,
    PairFit,
    PixelFacts,
    ScanFacts,
    ShapeFacts,
)
from segdoctor.core.engine import Outcome, examine
from segdoctor.core.measured import Declared
from segdoctor.core.probe import Probe
from segdoctor.core.trace import Trace
from segdoctor.probes.alignment import PairsMisaligned
from segdoctor.probes.class_balance import ClassMissingOrRare
from segdoctor.probes.images import InputDegenerate, OrientationIgnored
from segdoctor.probes.mask_shape import InterpolatedLabels, LossyMasks
from segdoctor.probes.padding import PaddingLabelled
from segdoctor.probes.splits import SplitsOverlap, ValidationListUsedForTraining
from segdoctor.probes.void_lost import VoidLost
from segdoctor.probes.void_on_disk import VoidAsClass, VoidFolded

COUNT = 40


def scan(count: int = COUNT, **changes: Any) -> ScanFacts:
    stems = [f"p{i}" for i in range(count)]
    facts = ScanFacts(
        folder="data",
        layout="folders images + masks",
        pairs=tuple(Pair(s, f"i/{s}.jpg", f"m/{s}.png") for s in stems),
        splits={"train": tuple(stems[: count // 2]), "val": tuple(stems[count // 2 :])},
        split="train",
        masks=tuple(mask(s) for s in stems),
        images=tuple(image(s) for s in stems),
        pixels=tuple(pixels(s) for s in stems),
        shapes=tuple(shape(s) for s in stems),
    )
    return replace(facts, **changes)


def mask(stem: str, **changes: Any) -> MaskFacts:
    facts = MaskFacts(f"m/{stem}.png", "P", (100, 100), {0: 8000, 3: 1500, 255: 500})
    return replace(facts, **changes)


def image(stem: str, **changes: Any) -> ImageFacts:
    return replace(ImageFacts(f"i/{stem}.jpg", "RGB", (100, 100), 1000), **changes)


def pixels(stem: str, **changes: Any) -> PixelFacts:
    facts = PixelFacts(stem, f"i/{stem}.jpg", 0, 255, (99.0, 99.0, 99.0), (50.0, 50.0, 50.0), "0f")
    return replace(facts, **changes)


def shape(stem: str, **changes: Any) -> ShapeFacts:
    """A mask whose id 255 is the ring around everything."""
    facts = ShapeFacts(
        f"m/{stem}.png", 1000, 2, 1, {0: 7000, 3: 1200, 255: 40}, 1000, {0: 500, 3: 500, 255: 1000}
    )
    return replace(facts, **changes)


def ring_of(label: int) -> dict[str, Any]:
    return {
        "core": {0: 7000, 3: 1200, label: 40},
        "touches": {0: 500, 3: 500, label: 1000},
    }


def outcome(probe: Probe, facts: ScanFacts, **declared: Any) -> Outcome:
    trace = Trace({"scan": facts, **({"declared": Declared(**declared)} if declared else {})})
    return examine(probe, trace)


ALL = (
    PairsMisaligned(),
    SplitsOverlap(),
    ValidationListUsedForTraining(),
    InputDegenerate(),
    ClassMissingOrRare(),
    OrientationIgnored(),
    InterpolatedLabels(),
    LossyMasks(),
    PaddingLabelled(),
    VoidFolded(),
    VoidAsClass(),
    VoidLost(),
)


@pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.code)
def test_a_sound_set_is_clear(probe: Probe) -> None:
    whole = scan(
        alignment=AlignmentFacts(tuple(fit(i) for i in range(COUNT)), COUNT, 9.0, 0.001),
        split_presence={"train": {0: 20, 3: 20, 255: 20}},
        presence={0: 40, 3: 40, 255: 40},
        histogram={0: 800, 3: 150, 255: 50},
        void=255,
    )
    if probe.code == "DATA011":
        whole = replace(whole, split="all", splits={}, split_presence={})
    assert outcome(probe, whole).status == "clear"


@pytest.mark.parametrize("probe", ALL, ids=lambda probe: probe.code)
def test_nothing_at_hand_is_not_examined(probe: Probe) -> None:
    assert examine(probe, Trace()).status == "not examined"
    empty = ScanFacts(folder="d", layout="folders", pairs=())
    assert outcome(probe, empty).status == "not examined"


# DATA004


def fit(i: int, **changes: Any) -> PairFit:
    facts = PairFit(
        stem=f"p{i}",
        image=f"i/p{i}.jpg",
        mask=f"m/p{i}.png",
        own=9.0,
        partner=f"p{(i + 1) % COUNT}",
        partner_z=2.5,
        partner_own=9.0,
        claimed_by=f"p{(i + 1) % COUNT}",
        claimed_z=2.5,
        claimed_own=9.0,
        turn="mirrored",
        turn_z=1.0,
    )
    return replace(facts, **changes)


def aligned(**changes: Any) -> AlignmentFacts:
    facts = AlignmentFacts(tuple(fit(i) for i in range(COUNT)), COUNT, 9.0, 0.001)
    return replace(facts, **changes)


def with_first(**changes: Any) -> AlignmentFacts:
    facts = aligned()
    return replace(facts, pairs=(fit(0, **changes), *facts.pairs[1:]))


def test_a_wrong_pair_is_named_with_its_partner() -> None:
    facts = with_first(own=0.3, partner="p7", partner_z=8.0, partner_own=0.1)
    (finding,) = outcome(PairsMisaligned(), scan(alignment=facts)).findings
    assert finding.severity == "error"
    assert "p0" in finding.message
    assert "p7" in finding.message
    assert finding.evidence[2].where == "m/p0.png"
    assert (finding.evidence[2].value, finding.evidence[2].limit) == (0.3, 8.0)


def test_a_mask_claimed_by_another_image() -> None:
    facts = with_first(own=0.3, claimed_by="p7", claimed_z=9.0, claimed_own=9.0)
    (finding,) = outcome(PairsMisaligned(), scan(alignment=facts)).findings
    assert "fits the image p7" in finding.message


def test_two_weak_witnesses_are_one_strong_one() -> None:
    exchanged = {"partner_own": 0.0, "claimed_own": 0.0, "own": 0.0}
    weak = with_first(partner="p7", partner_z=4.2, claimed_by="p9", claimed_z=4.2, **exchanged)
    assert outcome(PairsMisaligned(), scan(alignment=weak)).status == "clear"
    both = with_first(partner="p7", partner_z=4.2, claimed_by="p7", claimed_z=4.2, **exchanged)
    assert outcome(PairsMisaligned(), scan(alignment=both)).status == "fired"


@pytest.mark.parametrize(
    "changes",
    [
        {"own": 1.8, "partner_z": 4.5, "partner_own": 9.0},  # that mask has a better place
        {"own": 9.0, "partner_z": 9.5, "partner_own": 9.5},  # a near-duplicate
        {"own": 0.2, "partner_z": 3.0, "partner_own": 0.1},  # the best of many by chance
    ],
)
def test_pairs_that_only_look_wrong(changes: dict[str, Any]) -> None:
    assert outcome(PairsMisaligned(), scan(alignment=with_first(**changes))).status == "clear"


def test_turned_masks() -> None:
    pairs = tuple(
        fit(i, own=0.5, turn_z=8.0, turn="upside down") if i % 2 else fit(i) for i in range(COUNT)
    )
    (finding,) = outcome(PairsMisaligned(), scan(alignment=aligned(pairs=pairs))).findings
    assert "20 of 40 pairs" in finding.message
    assert "upside down" in finding.message


@pytest.mark.parametrize(("count", "status"), [(3, "clear"), (4, "fired"), (30, "fired")])
def test_displaced_masks(count: int, status: str) -> None:
    facts = aligned(
        displaced=tuple(f"p{i}" for i in range(count)),
        displaced_gain=6.0,
        down=-0.04,
        right=0.06,
        displaced_chance=0.004,
    )
    found = outcome(PairsMisaligned(), scan(alignment=facts))
    assert found.status == status
    if status == "fired":
        (finding,) = found.findings
        assert "4.0% of the height above and 6.0% of the width right" in finding.message


def test_a_set_that_fits_nothing_is_a_warning() -> None:
    facts = aligned(chance=0.4, mean=0.1, pairs=tuple(fit(i, own=0.1) for i in range(COUNT)))
    (finding,) = outcome(PairsMisaligned(), scan(alignment=facts)).findings
    assert finding.severity == "warning"
    few = replace(facts, pairs=facts.pairs[:10])
    assert outcome(PairsMisaligned(), scan(alignment=few)).status == "clear"


# DATA005, DATA006


def overlap(by: str, i: int = 0) -> Overlap:
    mine, other = (f"p{i}", f"p{i}") if by == "name" else (f"p{i}", f"p{i + 30}")
    return Overlap(by, "train", "val", mine, other, f"i/{mine}.jpg", f"i/{other}.jpg")


@pytest.mark.parametrize(
    ("by", "severity"), [("name", "error"), ("bytes", "error"), ("picture", "warning")]
)
def test_shared_examples(by: str, severity: str) -> None:
    (finding,) = outcome(SplitsOverlap(), scan(overlaps=(overlap(by), overlap(by, 1)))).findings
    assert finding.severity == severity
    assert finding.evidence[0].value == 2
    assert finding.evidence[2].where == "i/p0.jpg"


def test_one_example_is_counted_once() -> None:
    twice = (overlap("picture"), overlap("bytes"))
    (finding,) = outcome(SplitsOverlap(), scan(overlaps=twice)).findings
    assert finding.evidence[0].value == 1
    assert "same file" in finding.message


@pytest.mark.parametrize("split", ["trainval", "all"])
def test_a_union_is_no_overlap(split: str) -> None:
    facts = scan(split=split, overlaps=(overlap("name"),))
    assert outcome(SplitsOverlap(), facts).status == "not examined"


@pytest.mark.parametrize(
    ("published", "held", "severity"),
    [
        ({"train": "Pascal VOC 2012 val"}, 20, "error"),
        ({}, 20, "error"),
        ({"train": "SBD train_aug"}, 0, None),
        ({"train": "Pascal VOC 2012 trainval"}, 20, None),
        ({}, 3, None),
    ],
)
def test_val_is_recognised(published: dict[str, str], held: int, severity: str | None) -> None:
    facts = scan(published=published, published_val={"train": held, "val": 0})
    found = outcome(ValidationListUsedForTraining(), facts).findings
    assert [finding.severity for finding in found] == ([severity] if severity else [])


def test_a_list_that_holds_some_of_val_is_a_warning() -> None:
    facts = scan(80, published_val={"train": 25})
    (finding,) = outcome(ValidationListUsedForTraining(), facts).findings
    assert finding.severity == "warning"


# DATA010, DATA011, DATA013


@pytest.mark.parametrize(("count", "severity"), [(1, "warning"), (10, "error")])
def test_images_of_one_colour(count: int, severity: str) -> None:
    flat = tuple(pixels(f"p{i}", deviation=(0.4, 0.2, 0.9)) for i in range(count))
    (finding,) = outcome(InputDegenerate(), scan(pixels=flat + scan().pixels[count:])).findings
    assert finding.severity == severity
    assert finding.evidence[1].where == "i/p0.jpg"


def test_repeated_images_count_within_training() -> None:
    apart = scan(repeated=(("i/p1.jpg", "i/p30.jpg"),))
    assert outcome(InputDegenerate(), apart).status == "clear"  # that is DATA005
    within = scan(repeated=(("i/p1.jpg", "i/p2.jpg", "i/p3.jpg"),))
    (finding,) = outcome(InputDegenerate(), within).findings
    assert finding.evidence[0].value == pytest.approx(2 / 20)


def classes(train: dict[int, int], count: int = 400) -> ScanFacts:
    return scan(
        count,
        presence={0: count, 1: 90, 2: 90, 255: count},
        split_presence={"train": train},
        histogram={0: 90, 1: 5, 2: 5, 255: 1},
    )


def test_missing_and_rare_classes() -> None:
    (finding,) = outcome(ClassMissingOrRare(), classes({0: 200, 2: 2})).findings
    assert "class 1 never and class 2 in fewer than 3 masks" in finding.message
    assert outcome(ClassMissingOrRare(), classes({0: 200, 1: 3, 2: 90})).status == "clear"
    (finding,) = outcome(ClassMissingOrRare(), classes({0: 9, 1: 9, 2: 9}), num_classes=5,
                         num_classes_declared=True).findings  # fmt: skip
    assert "classes 3, 4 never" in finding.message


def test_few_masks_may_lack_a_class() -> None:
    assert outcome(ClassMissingOrRare(), classes({0: 9}, 20)).status == "not examined"


@pytest.mark.parametrize("orientation", [1, 0, 9])
def test_orientation_one_and_nonsense_are_fine(orientation: int) -> None:
    facts = scan(images=(image("p0", orientation=orientation),))
    assert outcome(OrientationIgnored(), facts).status == "clear"


def test_exif_orientation_is_named_once() -> None:
    turned = scan(images=(image("p0", orientation=3), *scan().images[1:]))
    (finding,) = outcome(OrientationIgnored(), turned).findings
    assert finding.severity == "warning"
    assert finding.evidence[1].where == "i/p0.jpg"
    differs = replace(turned, problems=(FileProblem("DATA003", "m/p0.png", "sizes"),))
    assert outcome(OrientationIgnored(), differs).status == "clear"


# LBL006, LBL012


def disturbed(ramps: int, speckles: int, values: int = 20, count: int = 5) -> ScanFacts:
    sick = tuple(
        shape(f"p{i}", ramps=ramps, speckles=speckles, speckle_values=values) for i in range(count)
    )
    many = tuple(mask(f"p{i}", histogram={0: 9000, 1: 50, 2: 50, 3: 900}) for i in range(count))
    return scan(shapes=sick + scan().shapes[count:], masks=many + scan().masks[count:])


@pytest.mark.parametrize(
    ("ramps", "speckles", "values", "code"),
    [
        (4000, 300, 20, "LBL006"),
        (400, 10, 3, "LBL006"),
        (2000, 3000, 40, "LBL012"),
        (100, 500, 9, "LBL012"),
        (200, 20, 2, ""),  # a thin class whose id lies between its neighbours'
        (0, 400, 3, ""),  # gaps of one pixel
    ],
)
def test_smooth_or_lossy(ramps: int, speckles: int, values: int, code: str) -> None:
    facts = disturbed(ramps, speckles, values)
    fired = [p.code for p in (InterpolatedLabels(), LossyMasks()) if outcome(p, facts).findings]
    assert fired == ([code] if code else [])


@pytest.mark.parametrize(("count", "severity"), [(1, "warning"), (5, "error")])
def test_few_masks_whose_classes_lie_so_are_a_warning(count: int, severity: str) -> None:
    facts = disturbed(4000, 300, count=COUNT)
    facts = replace(facts, shapes=facts.shapes[:count] + scan().shapes[count:])
    (finding,) = outcome(InterpolatedLabels(), facts).findings
    assert finding.severity == severity


def test_an_outline_of_one_pixel_between_two_classes_is_drawn() -> None:
    facts = replace(disturbed(4000, 300, 2), masks=scan().masks)  # three values each
    assert [outcome(p, facts).status for p in (InterpolatedLabels(), LossyMasks())] == ["clear"] * 2


def test_jpeg_masks_are_named_whatever_their_sample() -> None:
    noisy = mask("p0", mode="L JPEG", histogram=dict.fromkeys(range(60), 10))
    facts = scan(masks=(noisy, *scan().masks[1:]), shapes=disturbed(4000, 100, count=1).shapes)
    (finding,) = outcome(LossyMasks(), facts).findings
    assert finding.evidence[1].where == "m/p0.png"
    assert outcome(InterpolatedLabels(), facts).status == "clear"
    exact = scan(masks=(mask("p0", mode="L JPEG", histogram={0: 50, 255: 50}),))
    assert outcome(LossyMasks(), exact).status == "clear"


# IGN004 – IGN007


def without_void(count: int, label: int | None, voc: bool = False) -> ScanFacts:
    """The first ``count`` masks have no void; ``label`` is the ring in its place."""
    stems = [f"2007_{i:06d}" if voc else f"p{i}" for i in range(COUNT)]
    histogram = {0: 8000, 3: 1500} | ({label: 500} if label is not None else {})
    rings = ring_of(label) if label is not None else {"core": {0: 7, 3: 7}, "touches": {0: 9, 3: 9}}
    return scan(
        pairs=tuple(Pair(s, f"i/{s}.jpg", f"m/{s}.png") for s in stems),
        masks=tuple(
            mask(s, histogram=histogram) if i < count else mask(s) for i, s in enumerate(stems)
        ),
        shapes=tuple(shape(s, **rings) if i < count else shape(s) for i, s in enumerate(stems)),
        presence={0: COUNT, 3: COUNT} | ({255: COUNT - count} if count < COUNT else {}),
        histogram={0: 80, 3: 15, 255: 5},
        void=255,
    )


@pytest.mark.parametrize(
    ("count", "label", "voc", "codes"),
    [
        (COUNT, 20, True, ["IGN004"]),  # np.clip(mask, 0, 20)
        (3, 20, False, ["IGN004"]),
        (COUNT, None, True, ["IGN007"]),
        (3, None, False, ["IGN007"]),
        (COUNT, None, False, []),  # a set without void
        (COUNT, 20, False, ["IGN005"]),  # a border that was drawn as a class
        (30, None, False, []),  # half and half is a habit of the set
        (0, None, True, []),
    ],
)
def test_void_that_is_lost(count: int, label: int | None, voc: bool, codes: list[str]) -> None:
    facts = without_void(count, label, voc)
    probes = (VoidFolded(), VoidAsClass(), VoidLost())
    assert [p.code for p in probes if outcome(p, facts).findings] == codes


@pytest.mark.parametrize(
    ("label_map", "ignore", "status"),
    [
        ({"255": 0}, None, "fired"),
        ({"255": 21}, None, "fired"),
        ({"255": 21}, 21, "clear"),  # the loss leaves class 21 out
        ({"255": 255, "15": 1}, None, "clear"),
        ({"15": 1, "else": 0}, 255, "clear"),  # else does not move void
        ({"255": 0}, False, "clear"),
    ],
)
def test_void_that_a_label_map_moves(
    label_map: dict[str, int], ignore: int | bool | None, status: str
) -> None:
    masks = tuple(mask(str(i), histogram={0: 60, 3: 30, 255: 10}) for i in range(COUNT))
    facts = scan(masks=masks, label_map=label_map, void=None, presence={0: COUNT, 3: COUNT})
    declared = Declared(ignore_label=ignore)
    trace = Trace({"scan": facts, "declared": declared})
    assert examine(VoidLost(), trace).status == status


def test_a_ring_beyond_the_classes_is_another_fault() -> None:
    luminance = without_void(COUNT, 220, True)
    assert outcome(VoidFolded(), luminance).status == "clear"


def test_a_denied_void_is_not_missed() -> None:
    facts = replace(without_void(COUNT, None, True), void=False)
    assert [outcome(p, facts).status for p in (VoidFolded(), VoidLost())] == ["clear", "clear"]


@pytest.mark.parametrize(
    ("label", "count", "severity"),
    [("7", 20, "error"), ("0", 20, "warning"), ("255", 20, None), ("7", 2, None), ("", 20, None)],
)
def test_labelled_padding(label: str, count: int, severity: str | None) -> None:
    bars = tuple(pixels(f"p{i}", bar=0.2, bar_label=label) for i in range(count))
    found = outcome(PaddingLabelled(), scan(pixels=bars + scan().pixels[count:])).findings
    assert [finding.severity for finding in found] == ([severity] if severity else [])
