"""Numbers, shares and verdicts as a person reads them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from segdoctor.core.finding import Verdict
from segdoctor.report.wording import (
    beside,
    first_sentence,
    lines_of,
    number,
    score,
    share,
    verdict_words,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (41_258_213, "41,258,213"),
        (0.5, "0.5"),
        (2.4134, "2.41"),
        (3.1e-05, "3.1e-5"),
        (1e-12, "1e-12"),
        (12345.6, "12,346"),
        (2.5e9, "2.5e9"),
        (0.0, "0"),
        (True, "yes"),
        (None, "none"),
        (math.nan, "NaN"),
        (-math.inf, "-∞"),
        (np.float32(0.25), "0.25"),
        ("batch", "batch"),
    ],
)
def test_a_number_is_short_and_exact_enough(value: object, text: str) -> None:
    assert number(value) == text


def test_a_share_below_one_is_never_rounded_to_all() -> None:
    assert share(1.0) == "100 %"
    assert share(0.9996) == "99.96 %"
    assert share(0.9999999) == "> 99.99 %"
    assert share(0.0912) == "9.12 %"


def test_two_different_numbers_never_read_the_same() -> None:
    assert beside(0.50004, 0.5) == ("0.50004", "0.5")
    assert beside(0.5, 0.5) == ("0.5", "0.5")
    assert beside(12, 0, "layers") == ("12 layers", "0")
    assert beside(0.93, 0.1, "share") == ("93 %", "10 %")
    assert beside("batch", None) == ("batch", "")


def test_scores_line_up() -> None:
    assert [score(0.9), score(1.0), score(math.nan), score(None)] == ["0.90", "1.00", "–", "–"]


def test_the_first_sentence_does_not_end_inside_a_number() -> None:
    assert first_sentence("Momentum is 0.99. It lags.") == "Momentum is 0.99."
    assert first_sentence("One only") == "One only"


def test_code_keeps_its_indentation_and_loses_control_characters() -> None:
    assert lines_of("if a:\n\tb\x1b[0m\n") == ("if a:", "    b·[0m")
    assert lines_of("  \n") == ()
    assert len(lines_of("x\n" * 500)) == 61


@pytest.mark.parametrize(
    ("verdict", "label", "words"),
    [
        (None, "not tried", ""),
        (Verdict("confirmed", "decisive", "r"), "confirmed, decisive", "only with this fix; r"),
        (Verdict("confirmed", "removes the evidence", "r"), "confirmed, evidence removed", "; r"),
        (Verdict("refuted", "none", "r"), "refuted", "r"),
        (Verdict("inconclusive", "none", ""), "inconclusive", ""),
    ],
)
def test_a_verdict_says_what_it_means(verdict: Verdict | None, label: str, words: str) -> None:
    said, sentence = verdict_words(verdict)
    assert said == label
    assert sentence.endswith(words)
