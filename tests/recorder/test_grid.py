"""The grid of the scores, and nets that do not show it."""

from __future__ import annotations

import pytest

from segdoctor.recorder.grid import logits_grid
from tests.recorder import nets

X, _ = nets.batch()


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_subclassed_net_shows_no_grid(library: str) -> None:
    keras = pytest.importorskip(library)
    assert logits_grid(nets.subclassed(keras), X) is None
    assert logits_grid(nets.sequential(keras), X) == (nets.SIZE, nets.SIZE)
