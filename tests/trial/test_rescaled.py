"""Arrays are scaled anew where their range tells how they were scaled."""

from __future__ import annotations

import numpy as np
import pytest

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Run
from segdoctor.trial.treatments import Tools, treated

RAW = np.arange(2 * 4 * 4).reshape(2, 4, 4, 1).repeat(3, -1).astype(np.float32) * 8


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fed", [lambda raw: raw / 255, lambda raw: raw / 127.5 - 1])
def test_arrays_in_a_usual_range(fed, channels) -> None:
    raw = RAW[..., :channels]
    run = Run(None, Batch(fed(raw), np.zeros((2, 4, 4))))
    again = treated(run, {"data.preprocess": "none"}, Tools(None, None, 2, lambda run: None))
    assert again.batch is not None
    np.testing.assert_allclose(again.batch.x, raw, atol=1e-3)


def test_arrays_in_no_usual_range() -> None:
    run = Run(None, Batch(RAW - 1000, np.zeros((2, 4, 4))))
    with pytest.raises(NotExaminedError, match="range of the images"):
        treated(run, {"data.preprocess": "none"}, Tools(None, None, 2, lambda run: None))
