"""Reading in a child: what it does to itself stays there."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from segdoctor.sources.model_file import ModelFileError, read_model_file
from segdoctor.sources.model_file.ahead import read_ahead
from segdoctor.sources.model_file.in_child import messages_from_child

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no safe fork on this system")
PATH = Path("model.h5")


def crash() -> Iterator[dict[str, Any]]:
    yield {"n": 1}
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> Iterator[dict[str, Any]]:
    yield {"n": 1}
    while True:
        pass


def swell() -> Iterator[dict[str, Any]]:
    yield {"n": 1}
    yield {"n": len(bytearray(2 << 30))}


def refuse() -> Iterator[dict[str, Any]]:
    yield {"n": 1}
    raise ModelFileError(PATH, "something", "do that", "another thing", "not rebuilt")


def stumble() -> Iterator[dict[str, Any]]:
    yield {"n": 1}
    raise KeyError("unforeseen")


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (crash, "library fails"),
        (hang, "does not end"),
        (swell, "takes more than"),
        (refuse, "expected another thing, received something; do that"),
        (stumble, "KeyError"),
    ],
)
def test_one_line_and_in_time(work: Any, said: str) -> None:
    messages = messages_from_child(work, PATH, 1000)
    assert next(messages) == {}
    assert next(messages) == {"n": 1}
    start = time.perf_counter()
    with pytest.raises(ModelFileError, match=said) as caught:
        next(messages)
    assert time.perf_counter() - start < 5
    assert "\n" not in str(caught.value)


def test_no_child_is_left_when_the_reader_goes() -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text().split()
    messages = messages_from_child(hang, PATH, 1 << 40)
    next(messages)
    assert len(children.read_text().split()) == len(before) + 1
    messages.close()
    assert children.read_text().split() == before


def test_messages_arrive() -> None:
    rows = [{"row": "x" * 100_000, "n": n} for n in range(3)] + [{"last": True}]
    assert list(messages_from_child(lambda: rows, PATH, 0)) == [{}, *rows]


def test_a_file_read_ahead_gives_the_same_facts(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("layer").create_dataset("kernel", data=[[1.0, 2.0], [3.0, 6.0]])
        file["layer"].attrs["weight_names"] = [b"kernel"]
        file.attrs["layer_names"] = [b"layer"]
    read_ahead(path)
    ahead, plain = read_model_file(path), read_model_file(path)
    assert ahead == plain
    assert [(w.name, w.mean, w.maximum) for w in plain.weights] == [("kernel", 3.0, 6.0)]
