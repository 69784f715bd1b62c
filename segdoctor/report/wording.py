"""How a value is written for a person: numbers, shares, verdicts. Every renderer writes alike."""

from __future__ import annotations

import math
import re

from segdoctor.core.clean import clean
from segdoctor.core.finding import Verdict

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`'\"(])")

EFFECTS = {
    "decisive": "the run learns only with this fix",
    "removes the evidence": "with this fix the number is back within its limit",
    "none": "",
}
LABELS = {
    ("confirmed", "decisive"): "confirmed, decisive",
    ("confirmed", "removes the evidence"): "confirmed, evidence removed",
}


def number(value: object, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits; words for what is not a number."""
    value = value.item() if hasattr(value, "item") and not isinstance(value, str) else value
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < 10**15 else f"{float(value):.{digits}g}"
    if not isinstance(value, float):
        return clean(value, 160)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value and not 1e-3 <= abs(value) < 1e6:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{int(exponent)}"
    if abs(value) >= 1000:
        return f"{value:,.{max(0, digits - 3)}f}"
    return f"{value:.{digits}g}"


def share(value: float, digits: int = 3) -> str:
    """A share of one as per cent; a share below one is never rounded to 100 %."""
    text = number(100.0 * value, digits)
    if text == "100" and value < 1:
        text = "99.99" if value >= 0.99995 else f"{100 * value:.2f}"
        text = f"> {text}" if value >= 0.99995 else text
    return f"{text} %"


def score(value: float | None) -> str:
    """An IoU with two decimals, so that columns line up."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.2f}"


def amount(value: object, unit: str = "", digits: int = 3) -> str:
    """``value`` with its unit."""
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    if unit == "share" and numeric and math.isfinite(float(value)):  # type: ignore[arg-type]
        return share(float(value), digits)  # type: ignore[arg-type]
    text = number(value, digits)
    return f"{text} {clean(unit, 24)}" if unit and numeric and unit != "share" else text


def beside(value: object, limit: object, unit: str = "") -> tuple[str, str]:
    """``(value, limit)`` as text. Two different numbers never read the same ("" for no limit)."""
    value = value.item() if hasattr(value, "item") and not isinstance(value, str) else value
    limit = limit.item() if hasattr(limit, "item") and not isinstance(limit, str) else limit
    if limit is None:
        return amount(value, unit), ""
    digits = 3
    while (
        digits < 12
        and value != limit
        and amount(value, unit, digits) == amount(limit, unit, digits)
    ):
        digits += 1
    return amount(value, unit, digits), amount(limit, unit if unit == "share" else "", digits)


def first_sentence(text: str) -> str:
    """The first sentence of ``text``, for where there is room for one line only."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def verdict_words(verdict: Verdict | None) -> tuple[str, str]:
    """``(label, sentence)``: *confirmed, decisive* and what that means."""
    if verdict is None:
        return "not tried", ""
    label = LABELS.get((verdict.status, verdict.effect), verdict.status)
    meaning = EFFECTS[verdict.effect] if verdict.status == "confirmed" else ""
    return label, "; ".join(part for part in (meaning, clean(verdict.reason, 600)) if part)


def lines_of(code: str, most: int = 60) -> tuple[str, ...]:
    """``code`` line by line, each cleaned; indentation is kept."""
    lines = [clean(line.rstrip(), 300) for line in code.expandtabs(4).strip("\n").split("\n")]
    return (*lines[:most], "# …") if len(lines) > most else tuple(lines) if code.strip() else ()


def listed(names: tuple[str, ...] | list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 error``, ``2 errors``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
