"""The scan for a person and as plain values."""

from __future__ import annotations

import json

from segdoctor.core.data_facts import FileProblem, MaskFacts, Pair, ScanFacts
from segdoctor.report.scan_text import scan_text, scan_to_plain

HOSTILE = "\x1b[31mred\x1b]0;title\x07\n\u202egnp"


def facts() -> ScanFacts:
    return ScanFacts(
        folder="data/voc",
        layout="Pascal VOC (JPEGImages + SegmentationClass, split lists)",
        pairs=tuple(Pair(str(i), "i", "m") for i in range(160)),
        splits={"train": ("0", "1"), HOSTILE: ()},
        split="train",
        masks=(MaskFacts("m", "P", (5, 5), {0: 25}, {}, True),),
        histogram={0: 900, 15: 50, 255: 50},
        presence={0: 160, 15: 61, 255: 160},
        modes={"P": 160},
        problems=tuple(
            FileProblem("DATA002", f"data/voc/JPEGImages/{i}\udce9{HOSTILE}.jpg", "empty (0 bytes)")
            for i in range(30)
        ),
        images_total=17_125,
        masks_total=2_913,
        images_unlisted=16_965,
        decoded=300,
        not_decoded=12,
        void=255,
        void_declared_by="layout",
        label_map={"15": 1, "else": 0},
        notes=(HOSTILE,),
    )


def test_text_says_what_was_found() -> None:
    text = scan_text(facts(), width=100)
    for words in (
        "Pascal VOC",
        "160 of 160 examples",
        "17,125 images, 2,913 masks",
        "trained on: train",
        "P × 160",
        "255 (5 % of the pixels; declared by the layout)",
        "15=1, else=0",
        "12 by header and end marker only",
        "255 void",
        "30 broken files or pairs",
        "and 18 more",
    ):
        assert words in text, words
    assert all(len(line) <= 100 for line in text.splitlines())


def test_no_stranger_speaks_to_the_terminal() -> None:
    text = scan_text(facts())
    assert not any(sign in text for sign in "\x1b\x07\u202e\udce9")


def test_plain_values_name_every_file() -> None:
    plain = scan_to_plain(facts())
    document = json.dumps(plain, allow_nan=False)
    assert "\\u001b" not in document
    assert len(plain["problems"]) == 30
    assert plain["histogram"] == {"0": 900, "15": 50, "255": 50}
    assert (plain["pairs"], plain["trained_on"]) == (160, 2)


def test_an_empty_scan_can_be_shown() -> None:
    empty = ScanFacts(folder="d", layout="folders", pairs=(), void=False)
    assert "none, as declared" in scan_text(empty)
    assert scan_to_plain(empty)["problems"] == []
    unknown = ScanFacts(folder="d", layout="folders", pairs=())
    assert "no ignore label declared" in scan_text(unknown)
