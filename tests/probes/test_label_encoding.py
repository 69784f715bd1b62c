"""Label probes: each with the sick case, its healthy twin, and what only looks alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.data_facts import MaskFacts, Pair, ScanFacts
from segdoctor.core.engine import Outcome, examine
from segdoctor.core.measured import Declared, HeadFacts
from segdoctor.core.trace import Trace
from segdoctor.measures.drawing import voc_palette
from segdoctor.measures.labels import label_facts
from segdoctor.measures.palettes import luminances, red_channels
from segdoctor.measures.weighed import weighed_classes
from segdoctor.probes.ignore_disk import IgnoreLabelUndeclared
from segdoctor.probes.label_colours import ColourMapAsLabel, LuminanceAsLabel, ScaledLabels
from segdoctor.probes.label_encoding import LabelOutOfRange, OffByOne
from segdoctor.probes.labels_constant import LabelsConstant

PROBES = {
    probe.code: probe
    for probe in (
        LabelOutOfRange(),
        OffByOne(),
        LabelsConstant(),
        ColourMapAsLabel(),
        LuminanceAsLabel(),
        ScaledLabels(),
        IgnoreLabelUndeclared(),
    )
}
VOC_IDS = [*range(21), 255]


def head(channels: int) -> HeadFacts:
    return HeadFacts((2, 8, 8, channels), channels, -1, "logits", -1.0, 1.0, 1.0)


def declared(**settings: Any) -> Declared:
    if settings.get("num_classes") is not None:
        settings.setdefault("num_classes_declared", True)
    return Declared(**settings)


def scan(
    ids: list[int] | Mapping[int, int],
    *,
    layout: str = "folders images + masks",
    void: int | bool | None = None,
    by: str = "",
    colours: Mapping[str, int] | None = None,
    mode: str = "P",
) -> ScanFacts:
    histogram = dict(ids) if isinstance(ids, Mapping) else {i: 1000 if i == 0 else 100 for i in ids}
    mask = MaskFacts("masks/0.png", mode, (10, 10), histogram, colours or {})
    return ScanFacts(
        folder="data",
        layout=layout,
        pairs=(Pair("0", "images/0.jpg", "masks/0.png"),),
        masks=(mask,),
        histogram=histogram,
        presence=dict.fromkeys(histogram, 1),
        void=void,
        void_declared_by=by,
    )


def voc(ids: list[int], **settings: Any) -> ScanFacts:
    return scan(ids, layout="Pascal VOC (JPEGImages + SegmentationClass)", void=255, by="layout")


def fed(ids: list[float], classes: int | None = None, void: int | None = None, **kind: Any) -> Any:
    """Labels (2, 8, 8) of those values; mostly 0, where it is one of them."""
    y = np.full((2, 8, 8), 0 if 0 in ids else ids[0], dtype=np.float64)
    for i, value in enumerate(ids):
        y[:, i // 8, i % 8] = value
    return label_facts(y.astype(kind.get("dtype", "float64")), classes, void)


def ask(code: str, **trace: Any) -> Outcome:
    outcome = examine(PROBES[code], Trace({k: v for k, v in trace.items() if v is not None}))
    assert outcome.status != "crashed", outcome.reason
    for finding in outcome.findings:
        assert finding.code == code
        assert finding.evidence
        assert finding.fix is not None
        assert len(finding.message) < 400
    assert len(outcome.findings) <= 1
    return outcome


def test_every_code_is_in_the_catalogue_and_has_a_page() -> None:
    for code, probe in PROBES.items():
        assert code in CATALOGUE
        for text in (probe.how, probe.why, probe.fix, probe.fine, probe.sources):
            assert text
        assert all(doc for _, _, doc in probe.thresholds())
        assert all(not required for _, required in probe.needs())


@pytest.mark.parametrize("code", sorted(PROBES))
def test_without_labels_it_is_not_examined(code: str) -> None:
    outcome = ask(code, declared=declared(num_classes=21), head=head(21))
    assert outcome.status == "not examined"
    assert "labels" in outcome.reason


@pytest.mark.parametrize("code", ["LBL003", "LBL008"])
def test_without_a_number_of_classes_it_is_not_examined(code: str) -> None:
    outcome = ask(code, labels=fed([0, 1]))
    assert outcome.status == "not examined"
    assert "--num-classes" in outcome.reason


@pytest.mark.parametrize("code", sorted(PROBES))
@pytest.mark.parametrize("as_fed", [False, True])
def test_voc_as_it_is_has_none_of_them(code: str, as_fed: bool) -> None:
    known = declared(ignore_label=255, ignore_declared_by="layout", source="folder")
    labels = fed(VOC_IDS, 21, 255) if as_fed else None
    outcome = ask(code, scan=voc(VOC_IDS), labels=labels, declared=known, head=head(21))
    assert outcome.status == "clear"


class TestOutOfRange:
    @pytest.mark.parametrize(
        ("ids", "settings", "channels", "fires"),
        [
            # sick
            ([0, 38, 75, 147], {}, 21, True),
            ([*range(22)], {}, 21, True),
            ([*range(22)], {"num_classes": 21}, 21, True),
            ([0, 1, 21, 255], {"ignore_label": 255}, 21, True),
            ([-1, 0, 1], {"ignore_label": False}, 2, True),
            ([0, 1, 255], {"ignore_label": False}, 21, True),
            ([0, 5, 15], {}, 2, True),
            ([0, 1, 2], {}, 1, True),
            ([*range(21)], {"num_classes": 19}, 21, True),
            # sound, or another code's
            ([0, 1], {}, 2, False),
            ([0, 1], {}, 1, False),
            ([0, 1, 15, 20], {}, 21, False),
            ([0, 1, 255], {"ignore_label": 255}, 21, False),
            ([0, 1, 255], {}, 21, False),  # IGN009
            ([-1, 0, 1], {}, 21, False),  # IGN009
            ([*range(21)], {}, 2, False),  # OUT008
            ([*range(21)], {"num_classes": 21}, 2, False),  # OUT008
        ],
    )
    def test_on_disk_and_as_fed(
        self, ids: list[int], settings: dict[str, Any], channels: int, fires: bool
    ) -> None:
        known = declared(**settings)
        for facts in ({"scan": scan(ids)}, {"labels": fed(list(ids))}):
            outcome = ask("LBL003", declared=known, head=head(channels), **facts)
            assert (outcome.status == "fired") == fires

    def test_two_channels_before_vocs_ids_are_another_finding(self) -> None:
        known = declared(ignore_label=255, ignore_declared_by="layout", source="folder")
        for ids in (VOC_IDS, [0, 5, 15, 255]):
            assert ask("LBL003", scan=voc(ids), declared=known, head=head(2)).status == "clear"

    def test_the_evidence_says_where_and_how_many(self) -> None:
        outcome = ask("LBL003", scan=scan({0: 900, 21: 100}), head=head(21))
        (finding,) = outcome.findings
        assert finding.evidence[0].value == pytest.approx(0.1)
        assert finding.evidence[0].limit == 0
        assert finding.evidence[1].value == 21
        assert finding.evidence[1].limit == 20
        assert finding.evidence[2].where == "masks/0.png"
        assert finding.fix is not None
        compile(finding.fix.code, "fix", "exec")

    def test_onehot_labels_are_not_its_business(self) -> None:
        y = (np.arange(64).reshape(1, 8, 8)[..., None] % 21 == np.arange(21)).astype("float32")
        assert ask("LBL003", labels=label_facts(y, 21), head=head(21)).status == "clear"


class TestOffByOne:
    @pytest.mark.parametrize(
        ("ids", "void", "channels", "fires"),
        [
            ([1, 2, 3], None, 3, True),
            ([1, 2, 3, 255], 255, 3, True),
            ([1, 2, 3, 255], None, 3, True),
            ([0, 1, 2], None, 3, False),
            ([1, 2, 3], None, 4, False),  # the last class has a channel
            ([0, 1, 2, 3], None, 3, False),  # LBL003 or OUT008
            ([5, 21], None, 21, False),  # too few ids to say
        ],
    )
    def test_on_disk_and_as_fed(
        self, ids: list[int], void: int | None, channels: int, fires: bool
    ) -> None:
        known = declared(ignore_label=void)
        for facts in ({"scan": scan(ids)}, {"labels": fed(list(ids))}):
            outcome = ask("LBL008", declared=known, head=head(channels), **facts)
            assert (outcome.status == "fired") == fires
            for finding in outcome.findings:
                assert finding.fix is not None
                assert finding.fix.patch == {"labels.shift": -1}


class TestConstant:
    @pytest.mark.parametrize(
        ("ids", "void", "fires"),
        [
            ([0], None, True),
            ([7], None, True),
            ([0, 255], 255, True),
            ([255], 255, True),
            ([0, 1], None, False),
            ([0, 1, 255], 255, False),
        ],
    )
    def test_on_disk_and_as_fed(self, ids: list[int], void: int | None, fires: bool) -> None:
        known = declared(ignore_label=void, ignore_declared_by="user" if void else "")
        for facts in ({"scan": scan(ids)}, {"labels": fed(list(ids))}):
            outcome = ask("LBL011", declared=known, head=head(21), **facts)
            assert (outcome.status == "fired") == fires

    def test_onehot(self) -> None:
        y = np.zeros((4, 8, 8, 21), np.float32)
        y[..., 0] = 1
        assert ask("LBL011", labels=label_facts(y, 21)).status == "fired"
        y[0, 0, 0] = 0
        y[0, 0, 0, 3] = 1
        assert ask("LBL011", labels=label_facts(y, 21)).status == "clear"

    def test_few_examples_are_chance(self) -> None:
        small = ask("LBL011", labels=fed([0]), head=head(21)).findings[0]
        many = label_facts(np.zeros((8, 4, 4)), 21)
        assert small.severity == "warning"
        assert ask("LBL011", labels=many, head=head(21)).findings[0].severity == "error"
        assert ask("LBL011", scan=scan([0])).findings[0].severity == "error"

    @pytest.mark.parametrize(
        ("weight", "status", "severity"),
        [
            (lambda y: np.zeros_like(y), "fired", "error"),
            (lambda y: np.zeros(len(y)), "fired", "error"),  # one for each example
            (lambda y: y == 1, "fired", "error"),
            (lambda y: y != 2, "clear", None),  # two classes are left
            (lambda y: np.full(y.shape, -1.0), "clear", None),
            (lambda y: np.arange(len(y)) % 2, "clear", None),
        ],
    )
    @pytest.mark.parametrize("onehot", [False, True])
    def test_sample_weights(
        self, weight: Any, status: str, severity: str | None, onehot: bool
    ) -> None:
        ids = np.arange(4 * 6 * 6).reshape(4, 6, 6) % 3
        y = np.eye(3, dtype=np.float32)[ids] if onehot else ids
        facts = label_facts(y, 3)
        facts = replace(facts, weighed=weighed_classes(y, facts, np.asarray(weight(ids))))
        outcome = ask("LBL011", labels=facts, head=head(3))
        assert outcome.status == status
        assert [f.severity for f in outcome.findings] == [severity] * (status == "fired")

    def test_unscaled_masks_are_another_finding(self) -> None:
        assert ask("LBL011", scan=voc([0, 255]), head=head(1)).status == "clear"

    def test_a_batch_from_a_folder_does_not_count(self) -> None:
        known = declared(source="folder", ignore_label=255)
        labels = fed([0], 21, 255)
        outcome = ask("LBL011", scan=voc(VOC_IDS), labels=labels, declared=known, head=head(21))
        assert outcome.status == "clear"


class TestColours:
    RGB = voc_palette()[np.array([[[0, 1, 15], [0, 0, 2]]])]

    def test_masks_on_disk(self) -> None:
        colours = {"0,0,0": 900, "128,0,0": 60, "192,128,128": 40}
        outcome = ask("LBL004", scan=scan({}, colours=colours, mode="RGB"))
        (finding,) = outcome.findings
        assert "0, 1, 15" in finding.message
        assert finding.fix is not None
        assert finding.fix.patch == {"labels.decode": "palette"}
        strange = ask("LBL004", scan=scan({}, colours={"0,0,0": 9, "1,2,3": 9}, mode="RGB"))
        assert strange.status == "fired"
        assert strange.findings[0].fix is not None
        assert strange.findings[0].fix.patch == {}

    @pytest.mark.parametrize("scale", [1, 1 / 255])
    def test_labels_as_fed(self, scale: float) -> None:
        outcome = ask("LBL004", labels=label_facts(self.RGB * scale, 21), head=head(21))
        assert outcome.status == "fired"

    def test_what_looks_alike(self) -> None:
        ids = np.arange(64).reshape(1, 8, 8) % 3
        onehot = (ids[..., None] == np.arange(3)).astype("float32")
        several = np.maximum(onehot, onehot[..., ::-1])
        grey = np.repeat(ids[..., None] * 100, 3, axis=-1)
        for y in (onehot, several, grey, ids):
            assert ask("LBL004", labels=label_facts(y, 3), head=head(3)).status == "clear"
        assert ask("LBL004", scan=scan([0, 1, 2], mode="RGB")).status == "clear"

    def test_a_pipeline_that_looks_the_colours_up_is_sound(self) -> None:
        disk = scan({}, colours={"0,0,0": 9, "128,0,0": 9}, mode="RGB")
        known = declared(source="dataset")
        outcome = ask("LBL004", scan=disk, labels=fed([0, 1], 21), declared=known, head=head(21))
        assert outcome.status == "clear"


class TestLuminances:
    @pytest.mark.parametrize("table", [luminances(), red_channels()])
    def test_on_disk_and_as_fed(self, table: dict[int, int]) -> None:
        values = sorted({table[i] for i in (0, 1, 8, 15, 255)})
        known = declared(num_classes=21)
        for facts in ({"scan": scan(values)}, {"labels": fed([float(v) for v in values])}):
            outcome = ask("LBL005", declared=known, head=head(21), **facts)
            assert outcome.status == "fired"
            assert ask("LBL007", declared=known, head=head(21), **facts).status == "clear"

    def test_the_fix_reads_the_palette(self) -> None:
        (finding,) = ask("LBL005", scan=scan([0, 38, 147, 220]), head=head(21)).findings
        assert finding.fix is not None
        assert "Pillow" in finding.fix.words
        assert finding.fix.patch == {"labels.decode": "palette"}
        assert finding.evidence[0].value == 1
        compile(finding.fix.code, "fix", "exec")
        (red,) = ask("LBL005", scan=scan([0, 64, 128, 224]), head=head(21)).findings
        assert red.fix is not None
        assert red.fix.patch == {}  # eight classes share one red: it cannot be undone

    def test_without_a_number_of_classes(self) -> None:
        assert ask("LBL005", scan=scan([0, 38, 147, 220])).status == "fired"

    @pytest.mark.parametrize("ids", [[0, 192], [0, 147]])
    def test_background_and_one_class(self, ids: list[int]) -> None:
        assert ask("LBL005", scan=scan(ids), head=head(2)).status == "fired"
        assert ask("LBL007", scan=scan(ids), head=head(2)).status == "clear"

    @pytest.mark.parametrize(("value", "fires"), [(147, True), (38, True), (200, False)])
    def test_one_luminance_of_a_batch(self, value: int, fires: bool) -> None:
        outcome = ask("LBL005", labels=fed([0, value], 21), head=head(21))
        assert (outcome.status == "fired") == fires

    @pytest.mark.parametrize("ids", [[0, 128], [0, 255], [0, 127], [0, 99]])
    def test_two_values_that_may_be_a_scale(self, ids: list[int]) -> None:
        assert ask("LBL005", scan=scan(ids), head=head(2)).status == "clear"

    @pytest.mark.parametrize(
        "ids",
        [
            [0, 15, 19],  # ids that are luminances too
            [0, 15, 19, 255],
            [*range(34)],  # Cityscapes
            [0, 38],  # too little to say
            [0, 12, 24, 36],
            [0, 7, 38, 100, 147],
        ],
    )
    def test_what_looks_alike(self, ids: list[int]) -> None:
        assert ask("LBL005", scan=scan(ids), head=head(21)).status == "clear"


class TestScaled:
    @pytest.mark.parametrize(
        ("values", "channels", "factor"),
        [
            ([0, 255], 1, 1 / 255),
            ([0, 255], 2, 1 / 255),
            ([0, 85, 170, 255], 4, 1 / 85),
            ([0, 12, 36, 240], 21, 1 / 12),
            ([0, 64, 128, 192], 4, 1 / 64),
        ],
    )
    def test_on_disk_and_as_fed(self, values: list[int], channels: int, factor: float) -> None:
        for facts in ({"scan": scan(values)}, {"labels": fed([float(v) for v in values])}):
            outcome = ask("LBL007", head=head(channels), **facts)
            (finding,) = outcome.findings
            assert finding.fix is not None
            assert finding.fix.patch["labels.scale"] == pytest.approx(factor)
            compile(finding.fix.code, "fix", "exec")
            assert ask("LBL005", head=head(channels), **facts).status == "clear"
            assert ask("IGN009", head=head(channels), **facts).status == "clear"

    def test_divided(self) -> None:
        labels = fed([0, 1 / 255, 20 / 255, 1.0])
        (finding,) = ask("LBL007", labels=labels, head=head(21)).findings
        assert finding.fix is not None
        assert finding.fix.patch == {"labels.scale": 255.0}

    def test_of_a_two_valued_mask_before_one_channel_255_is_never_void(self) -> None:
        for by in ("user", "loss", "layout", ""):
            known = declared(ignore_label=255 if by else None, ignore_declared_by=by)
            outcome = ask("LBL007", labels=fed([0, 255]), declared=known, head=head(1))
            assert outcome.status == "fired", by

    def test_a_layout_does_not_make_a_binary_mask_void(self) -> None:
        known = declared(source="folder", ignore_label=255, ignore_declared_by="layout")
        outcome = ask("LBL007", scan=voc([0, 255]), declared=known, head=head(2))
        assert outcome.status == "fired"

    @pytest.mark.parametrize(
        ("values", "void", "channels"),
        [
            ([0.0, 1.0], None, 1),
            ([0, 255], 255, 21),  # declared: nothing but void and background (LBL011)
            ([0, 1, 255], 255, 2),
            ([0, 15, 255], None, 21),  # IGN009
            ([0, 2, 4, 6], None, 21),
            ([0, 0.3, 0.77], None, 21),  # interpolated
            ([0, 38, 147, 220], None, 21),  # LBL005
        ],
    )
    def test_what_looks_alike(self, values: list[float], void: int | None, channels: int) -> None:
        known = declared(ignore_label=void, ignore_declared_by="user" if void else "")
        outcome = ask("LBL007", labels=fed(values), declared=known, head=head(channels))
        assert outcome.status == "clear"


class TestUndeclared:
    @pytest.mark.parametrize(
        ("ids", "void", "channels", "fires"),
        [
            ([0, 1, 255], None, 21, True),
            ([*range(21), 255], None, 21, True),
            ([-1, 0, 1], None, 21, True),
            ([0, 1, 255], 250, 21, True),
            ([0, 1, 255], 255, 21, False),
            ([0, 1, 255], False, 21, False),  # LBL003
            ([0, 1], None, 21, False),
            ([0, 255], None, 2, False),  # LBL007
            ([*range(250, 256), 0], None, 21, False),  # a ramp: LBL006
            ([0, 1, 255], None, 256, False),  # a class
        ],
    )
    def test_on_disk_and_as_fed(
        self, ids: list[int], void: int | bool | None, channels: int, fires: bool
    ) -> None:
        known = declared(ignore_label=void)
        for facts in ({"scan": scan(ids)}, {"labels": fed(list(ids))}):
            outcome = ask("IGN009", declared=known, head=head(channels), **facts)
            assert (outcome.status == "fired") == fires
            for finding in outcome.findings:
                assert finding.severity == "warning"
                assert finding.fix is not None
                assert finding.fix.patch["loss.ignore_class"] in (255, -1)

    def test_in_a_voc_layout_255_counts_as_declared(self) -> None:
        assert ask("IGN009", scan=voc(VOC_IDS)).status == "clear"
        assert ask("IGN009", scan=scan(VOC_IDS)).status == "fired"
