"""How many pairs, and which way: words of the findings about image and mask."""

from __future__ import annotations

from segdoctor.core.data_facts import AlignmentFacts


def looked_at(facts: AlignmentFacts) -> str:
    """``160 pairs``, or how many of how many were drawn."""
    count = len(facts.pairs)
    return (
        f"{count:,} pairs" if count == facts.total else f"{count:,} pairs drawn of {facts.total:,}"
    )


def more(count: int) -> str:
    """What is said of those that are not named."""
    return f", and {count - 1:,} more" if count > 1 else ""


def way(facts: AlignmentFacts) -> str:
    """Which way, and how far, the masks lie from where they fit."""
    parts = []
    if abs(facts.down) >= 0.005:
        parts.append(
            f"{abs(facts.down):.1%} of the height {'below' if facts.down > 0 else 'above'}"
        )
    if abs(facts.right) >= 0.005:
        parts.append(
            f"{abs(facts.right):.1%} of the width {'right' if facts.right > 0 else 'left'}"
        )
    return " and ".join(parts)
