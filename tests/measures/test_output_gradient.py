"""Where the gradient lies at the output: flat ends of the sigmoid, sick and healthy."""

from __future__ import annotations

import numpy as np
import pytest

from segdoctor.core.engine import examine
from segdoctor.core.measured import HeadFacts
from segdoctor.core.trace import Trace
from segdoctor.measures.output_gradient import output_gradient_facts
from segdoctor.probes.gradient_units import OutputSaturated

HEAD = HeadFacts((1, 8, 8, 1), 1, 3, "sigmoid", 0.0, 1.0, 0.0)
IDS = (np.arange(64).reshape(1, 8, 8) % 3 == 0).astype(int)


def fired(p: np.ndarray, gradient: np.ndarray, ids: np.ndarray = IDS) -> bool:
    facts = output_gradient_facts(
        gradient[..., None].astype("float32"), p[..., None].astype("float32"), ids, HEAD, None
    )
    trace = Trace({"output_gradient_facts": facts, "head": HEAD})
    return bool(examine(OutputSaturated(), trace).findings)


@pytest.mark.parametrize(
    ("p", "sick"),
    [(1.0 - 1e-6, True), (1.0 - 5e-5, True), (0.99, False), (0.5, False)],
)
def test_a_squared_error_behind_a_sigmoid(p: float, sick: bool) -> None:
    says_one = np.full(IDS.shape, p)
    assert fired(says_one, 2.0 * (says_one - IDS) / IDS.size) is sick
    # As sure, and right.
    right = np.where(IDS == 1, p, 1.0 - p)
    assert not fired(right, 2.0 * (right - IDS) / IDS.size, IDS)


def test_a_cross_entropy_grows_where_the_sigmoid_is_flat() -> None:
    sure = np.full(IDS.shape, 1.0 - 5e-5)
    gradient = (sure - IDS) / (sure * (1.0 - sure)) / IDS.size
    assert not fired(sure, gradient)
