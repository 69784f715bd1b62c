"""ddmin finds a minimal set, and says when it could not look."""

from __future__ import annotations

from itertools import combinations

import pytest

from segdoctor.trial.ddmin import ddmin


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_it_finds_every_planted_set(size: int) -> None:
    items = tuple("abcdef"[:size])
    for count in range(1, size + 1):
        for planted in combinations(items, count):
            asked = []

            def passes(subset, planted=planted, asked=asked):
                asked.append(subset)
                return set(planted) <= set(subset)

            found, settled = ddmin(items, passes)
            assert (set(found), settled) == (set(planted), True)
            assert len(asked) <= size * size + 3 * size


def test_no_single_item_can_be_left_out() -> None:
    # Either of two pairs will do: the result is one of them and nothing more.
    found, _ = ddmin("abcd", lambda s: {"a", "b"} <= set(s) or {"c", "d"} <= set(s))
    assert set(found) in ({"a", "b"}, {"c", "d"})


def test_without_time_the_set_is_kept_and_not_called_smallest() -> None:
    found, settled = ddmin("abc", lambda subset: None)
    assert (found, settled) == (("a", "b", "c"), False)
