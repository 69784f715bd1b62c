"""TensorFlow's log of what was refused is left out; whatever else is written comes through."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from segdoctor.recorder.native_log import without_refusals

LINES = (
    b"W0000 00:00:1.5 9 op_kernel.cc:1858] OP_REQUIRES failed at x.cc:1 : Label values: 1 2\n"
    b"\t [[{{node sparse}}]]\n"
    b"W0000 00:00:1.6 9 local_rendezvous.cc:412] Local rendezvous is aborting\n"
    b"W0000 00:00:1.7 9 other.cc:7] kept\n"
    b"the user's own op_kernel.cc line\n"
)


def test_only_refusals_are_left_out(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)

    def fails() -> None:
        with without_refusals():
            os.write(2, LINES)
            subprocess.run([sys.executable, "-c", "import os; os.write(2, b'child')"], check=True)
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    kept = b"W0000 00:00:1.7 9 other.cc:7] kept\nthe user's own op_kernel.cc line\nchild"
    assert capfdbinary.readouterr().err == kept


def test_nothing_is_done_where_the_log_is_off(
    capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_refusals():
        os.write(2, LINES)
        assert capfdbinary.readouterr().err == LINES
