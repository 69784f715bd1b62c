"""Files of every kind, damaged: an answer or one line, never an exception, never a long wait."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdoctor.core.errors import UserError
from segdoctor.measures.compile_config import compile_facts
from segdoctor.measures.graph_config import graph_from_config
from segdoctor.sources.history import read_history
from segdoctor.sources.model_file.known_lambda import with_known_lambdas
from segdoctor.sources.model_file.vet import vet

from .fuzzed import REFUSED, Reader, damaged, odd_models, readers

COUNTS = {"model": 6, "image": 6, "mask": 10, "scan-cache": 10}  # others take next to no time
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


@pytest.fixture(scope="module")
def all_readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return {item.name: item for item in readers(tmp_path_factory.mktemp("seeds"))}


NAMES = (
    "model.h5", "model.keras", "log.csv", "log.json", "events.out.tfevents.1", "report.json",
    "segdoctor.toml", "train.txt", "pairs.csv", "image.jpg", "image.png", "image.bmp", "image.tif",
    "image.gif", "image.webp", "mask.png", "mask.npy", "mask.mat", "train.ipynb",
    "scan-cache.sqlite",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(name: str, all_readers: dict[str, Reader], tmp_path: Path) -> None:
    assert set(all_readers) == set(NAMES)
    rng, path, reader = random.Random(name), tmp_path / name, all_readers[name]
    for seed in reader.seeds:  # as they are, they are read
        path.write_bytes(seed)
        if name not in ("log.csv", "pairs.csv", "segdoctor.toml"):  # some seeds are refused
            reader.read(path)
    for _ in range(COUNTS.get(name.partition(".")[0], 200)):
        path.write_bytes(damaged(reader, rng))
        told(reader, path)


def told(reader: Reader, path: Path) -> None:
    """Read, or refused in one line."""
    line = ""
    try:
        reader.read(path)
    except REFUSED as error:
        line = str(error)
    assert "\n" not in line


def test_odd_configurations(all_readers: dict[str, Reader], tmp_path: Path) -> None:
    for path in odd_models(tmp_path, random.Random(0), 12):
        told(all_readers[f"model{path.suffix}"], path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("log.json", '{"loss": [1' + "0" * 400 + ", 2]}"),  # an integer that no float can hold
        ("log.json", "[" * 99_999),
        ("log.csv", 'epoch,loss\n0,"' + "x" * 200_000 + '"\n'),
        ("report.json", "[" * 99_999),
        ("report.json", '{"findings": ' + "[" * 99_999),
        ("segdoctor.toml", "a = " + "[" * 99_999),
    ],
)
def test_what_crashed_once(
    name: str, content: str, all_readers: dict[str, Reader], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    told(all_readers[name], path)


def test_a_damaged_event_file(tmp_path: Path) -> None:
    """A step that is written as bytes: the record is passed over, the rest is read."""
    event = b"\x12\x03abc" + b"\x2a\x02\x0a\x00"
    record = len(event).to_bytes(8, "little") + b"\0" * 4 + event + b"\0" * 4
    (tmp_path / "events.out.tfevents.1").write_bytes(record)
    with pytest.raises(UserError, match="expected TensorBoard event files"):
        read_history(tmp_path)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": {"class_name": ["Lambda"], "config": {}}},
        {"optimizer": {"class_name": "Adam", "config": {"learning_rate": 10**400}}},
    ],
)
def test_compile_settings_that_crashed_once(settings: object) -> None:
    compile_facts(settings)


@pytest.mark.skipif(os.name != "posix", reason="no pipes with a name here (Windows)")
@pytest.mark.parametrize("name", ["report.json", "log.json", "train.txt", "pairs.csv"])
def test_a_pipe_is_not_waited_for(
    name: str, all_readers: dict[str, Reader], tmp_path: Path
) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    with pytest.raises(REFUSED):
        all_readers[name].read(path)


WORDS = st.sampled_from(
    ["class_name", "config", "layers", "name", "inbound_nodes", "input_layers", "output_layers",
     "module", "registered_name", "Functional", "Sequential", "Conv2D", "Lambda", "function",
     "__tuple__", "items", "layer", "loss", "optimizer", "metrics", "fn", "batch_input_shape"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)


@given(JSON, JSON)
@settings(max_examples=150, deadline=2000, derandomize=True)
def test_any_configuration(config: object, compiled: object) -> None:
    whole = {"class_name": "Functional", "config": config}
    vet(whole, compiled)
    compile_facts(compiled)
    graph_from_config(with_known_lambdas(whole), "3.15.1")
