"""What reads a stranger's file: seeds of each format, damaged by :mod:`..mutants`, and how it is
read. The tests take a few of each, ``python -m benchmarks.promises`` thousands."""

from __future__ import annotations

import argparse
import io
import json
import random
import shutil
import struct
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image
from scipy.io import savemat

import segdoctor
from segdoctor.config import configure
from segdoctor.core.errors import UserError
from segdoctor.examination.baseline import read_baseline
from segdoctor.report.report import Report
from segdoctor.sources.history import read_history
from segdoctor.sources.script.notebook import cells_of
from segdoctor.sources.voc import scan as scan_room
from segdoctor.sources.voc.lists import ListUnreadableError, read_list
from segdoctor.sources.voc.pairs_list import read_pairs
from segdoctor.sources.voc.seen_before import NAME

from ..mutants import mutant
from ..sources.folders import voc
from ..sources.model_files import (
    batch_norm,
    conv,
    conv_weights,
    functional,
    image_input,
    norm_weights,
    write_h5,
    write_keras,
)

REFUSED = (UserError, ListUnreadableError)
ODD = (
    None, True, -1, 0, 1e308, 2**63, 10**400, "", "x", "Lambda", [], {}, [[]], [None], {"a": 1},
    [[["x", 0, 0, {}]]], {"class_name": "Lambda"}, {"class_name": "__tuple__", "items": [1]},
    "\ud800", "\x00", "../../x", [1e309], "a" * 5000,
)  # fmt: skip


@dataclass(frozen=True)
class Reader:
    """``read`` takes the path of a file that holds one of ``seeds``, damaged or not."""

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], object]


def readers(folder: Path) -> Iterator[Reader]:
    """One for each kind of file; ``folder`` is theirs to write to."""
    models = _models(folder)
    yield Reader("model.h5", tuple(models[:2]), _inspected)
    yield Reader("model.keras", tuple(models[2:]), _inspected)
    yield Reader("log.csv", _CSV, read_history)
    yield Reader("log.json", _JSON, read_history)
    yield Reader("events.out.tfevents.1", (_events(),), lambda path: read_history(path.parent))
    yield Reader("report.json", (_report(models[0], folder),), read_baseline)
    yield Reader("segdoctor.toml", _TOML, _configured)
    yield Reader("train.txt", _LISTS, lambda path: read_list(str(path)))
    yield Reader("pairs.csv", _LISTS, lambda path: read_pairs(str(path), str(path.parent)))
    yield Reader("train.ipynb", _NOTEBOOKS, cells_of)
    yield from _of_data(folder / "data")
    yield _resumed(folder / "again")


def damaged(reader: Reader, rng: random.Random) -> bytes:
    """One seed, damaged; a JSON text now and then in what it says and not in its bytes."""
    seed = rng.choice(reader.seeds)
    if reader.name.endswith(("json", "ipynb")) and rng.random() < 0.5:
        return json.dumps(odd_json(json.loads(seed), rng)).encode("utf-8", "surrogatepass")
    return mutant(seed, rng)


def odd_json(value: Any, rng: random.Random) -> Any:
    """``value`` with a few of its parts replaced, left out or put somewhere else."""
    value = deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 5))):
        places = list(_places(value))
        if not places:
            return deepcopy(rng.choice(ODD))
        holder, key = rng.choice(places)
        kind = rng.random()
        if kind < 0.6:
            holder[key] = deepcopy(rng.choice(ODD))
        elif kind < 0.75:
            del holder[key]
        else:
            other, place = rng.choice(places)
            holder[key] = deepcopy(other[place])
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def odd_models(folder: Path, rng: random.Random, count: int) -> Iterator[Path]:
    """Model files whose bytes are whole and whose configuration is odd."""
    for turn in range(count):
        config = odd_json(_config(), rng)
        settings = odd_json(_COMPILED, rng)
        if turn % 2:
            yield write_h5(folder / "odd.h5", _text(config), conv_weights(), training=settings)
        else:
            whole = {**config, "compile_config": settings} if isinstance(config, dict) else config
            yield write_keras(folder / "odd.keras", _text(whole), {"layers/conv2d/vars/0": [1.0]})


def _text(config: Any) -> str:
    text = json.dumps(config)
    return text.replace("\x00", "") or "null"


def _inspected(path: Path) -> None:
    report = segdoctor.inspect(path)
    crashed = [outcome for outcome in report.outcomes if outcome.status == "crashed"]
    assert not crashed, crashed
    report.to_dict()


def _config() -> dict[str, Any]:
    norm, up = batch_norm(), {"class_name": "UpSampling2D", "name": "up", "config": {"name": "up"}}
    up["config"] |= {"size": [2, 2], "interpolation": "bilinear"}
    softmax = {"class_name": "Activation", "name": "s", "config": {"activation": "softmax"}}
    inner = {**functional(image_input("x"), conv("c2"), name="inner"), "name": "inner"}
    return functional(image_input(), conv(), norm, inner, up, softmax)


_COMPILED = {
    "loss": {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": True}},
    "optimizer": {"class_name": "Adam", "config": {"learning_rate": 1e-3}},
    "metrics": [["accuracy"]], "loss_weights": {"s": 1.0},
}  # fmt: skip


def _models(folder: Path) -> list[bytes]:
    weights = {**conv_weights(), **norm_weights()}
    tree = {"layers/conv2d/vars/0": np.ones((3, 3, 3, 4)), "layers/batch_normalization/vars/0": [2]}
    paths = [
        write_h5(folder / "a.h5", _config(), weights, training=_COMPILED),
        write_h5(folder / "b.h5", None, weights),
        write_keras(folder / "a.keras", {**_config(), "compile_config": _COMPILED}, tree),
        write_keras(folder / "b.keras", _config(), tree, compression=8),
    ]
    return [path.read_bytes() for path in paths]


_CSV = (
    b"epoch,loss,val_loss\n0,1.5,NA\n1,1.25,2\n2,nan,inf\n",
    b'\xef\xbb\xbfepoch;"mean io u";lr\r\n0;0.5;1e-3\r\n1;"0.5";1e-3\r\n',
    "epoch\tloss\n0\t1\n".encode("utf-16"),
)
_JSON = (
    b'{"loss": [1.5, 1.25, null], "val_loss": [2, 3, NaN], "epoch": [0, 1, 2]}',
    b'[{"epoch": 0, "loss": 1}, {"epoch": 1, "loss": 2}]',
    b'{"history": {"loss": {"0": 1, "1": 2}}}',
)
_TOML = (
    b'budget = 60\nfail-on = "warning"\nignore = ["BN001", "BN002"]\n[check]\ntrust = true\n',
    b'[check]\nignore = "BN001"\n[[other]]\nx = 1979-05-27T07:32:00Z\n',
)
_LISTS = (
    b"2007_000032\n2007_000039\r\n\n  2007_000063 \n",
    b"image,mask,split\na.jpg,a.png,train\n\"b,b.jpg\",b.png,val\n../c.jpg,c.png,val\n",
    b"a b.jpg a b.png\n/JPEGImages/c.jpg /SegmentationClass/c.png\n",
    "name\tmask\na.jpg\ta.png\n".encode("utf-16"),
)  # fmt: skip


_CELLS = (
    ["%matplotlib inline\nx = 1", ["f = !ls\n", "print('%d'\n", " % 3)"], "model?", "%%bash\nls"],
    ["%time h = f(x)", "for i in x:\n    %cd 'a b'\n    !pip install y\n", 'é = """\n%no\n"""'],
)
_NOTEBOOKS = tuple(
    json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}).encode()
    for cells in _CELLS
)


def _resumed(folder: Path) -> Reader:
    """The file in which a scan notes what it saw, for the next one."""
    voc(folder / "voc", 4)
    cache = folder / "out" / NAME

    def scanned() -> Report:
        with patch.object(scan_room, "_SAMPLE", 1):  # the others need no pixels: they are looked up
            return segdoctor.scan(folder / "voc", out=str(cache.parent), resume=True)

    def read(path: Path) -> None:
        shutil.copyfile(path, cache)
        report = scanned()
        crashed = [outcome for outcome in report.outcomes if outcome.status == "crashed"]
        assert not crashed, crashed
        assert len(report.raw.pairs) == 4

    scanned()
    return Reader(NAME, (cache.read_bytes(),), read)


def _events() -> bytes:
    def field(number: int, body: bytes) -> bytes:
        return bytes([number << 3 | 2, len(body)]) + body

    found = b""
    for step in range(3):
        value = b"\x15" + struct.pack("<f", 1 / (step + 1))
        event = bytes([2 << 3, step]) + field(5, field(1, field(1, b"epoch_loss") + value))
        found += struct.pack("<Q", len(event)) + b"\0" * 4 + event + b"\0" * 4
    return found


def _report(model: bytes, folder: Path) -> bytes:
    path = folder / "sick.h5"
    path.write_bytes(model)
    report = segdoctor.inspect(path).to_dict()
    finding = {"code": "BN004", "evidence": [{"name": "x", "where": "bn", "value": 1.0}]}
    kept = {"schema_version": report["schema_version"], "findings": [finding, *report["findings"]]}
    return json.dumps(kept).encode()


def _configured(path: Path) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fail-on", choices=["error", "warning"])
    parser.add_argument("--ignore", action="append")
    parser.add_argument("--budget", type=float)
    parser.add_argument("--trust", action="store_true")
    configure({"check": parser}, str(path.parent))


def _of_data(folder: Path) -> Iterator[Reader]:
    """Images and masks of every kind, each in a small data set of its own."""
    voc(folder, 2)
    image, mask = folder / "JPEGImages/0000.jpg", folder / "SegmentationClass/0000.png"

    def scanned(in_place_of: Path) -> Callable[[Path], object]:
        def read(path: Path) -> None:
            target = in_place_of.with_suffix(path.suffix)
            in_place_of.unlink(missing_ok=True)
            shutil.copyfile(path, target)
            try:
                report = segdoctor.scan(folder, deep=True)
                crashed = [outcome for outcome in report.outcomes if outcome.status == "crashed"]
                assert not crashed, crashed
                assert len(report.raw.pairs) == 2
            finally:
                target.unlink(missing_ok=True)

        return read

    photo = Image.open(io.BytesIO(image.read_bytes())).convert("RGB")
    ids = Image.open(io.BytesIO(mask.read_bytes()))
    ids.load()
    for kind, suffix in (("JPEG", "jpg"), ("PNG", "png"), ("BMP", "bmp"), ("TIFF", "tif"),
                         ("GIF", "gif"), ("WEBP", "webp")):  # fmt: skip
        target = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        photo.save(target, kind, exif=exif)
        yield Reader(f"image.{suffix}", (target.getvalue(),), scanned(image))
    array = io.BytesIO()
    np.save(array, np.asarray(ids))
    yield Reader("mask.png", (mask.read_bytes(),), scanned(mask))
    yield Reader("mask.npy", (array.getvalue(),), scanned(mask))
    matlab = []
    for packed in (False, True):
        target = io.BytesIO()
        content = {"GTcls": {"Segmentation": np.asarray(ids)}}
        savemat(target, content, do_compression=packed)
        matlab.append(target.getvalue())
    yield Reader("mask.mat", tuple(matlab), scanned(mask))
