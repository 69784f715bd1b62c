"""Model files whose container is odd: links, data elsewhere, types, members that lead out.

Each is one line with its reason, or is read as it stands; nothing beside the file is touched.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import segdoctor
from segdoctor.core.errors import UserError

from ..sources.model_files import conv, conv_weights, functional, image_input, write_h5

CONFIG = functional(image_input(), conv())
BIAS = "model_weights/conv/conv/bias:0"
SHAPE = (3, 3, 3, 4)
READ = ""

Edit = Callable[[h5py.File], object]


def weight(make: Callable[[h5py.File, str], object]) -> Edit:
    """The bias is made anew."""

    def edit(file: h5py.File) -> None:
        del file[BIAS]
        make(file, BIAS)

    return edit


def stored(kind: Any, **settings: Any) -> Edit:
    return weight(lambda file, name: file.create_dataset(name, (4,), kind, **settings))


def values(kind: Any, **settings: Any) -> Edit:
    data = np.zeros(4, kind)
    return weight(lambda file, name: file.create_dataset(name, data=data, **settings))


def link(to: Any) -> Edit:
    return weight(lambda file, name: file.__setitem__(name, to))


def virtual(file: h5py.File, name: str) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "k", (4,))
    file.create_virtual_dataset(name, layout)


def whole(file: h5py.File) -> None:
    del file["model_weights"]
    file["model_weights"] = h5py.ExternalLink("/etc/passwd", "g")


def config_is(value: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        del file.attrs["model_config"]
        file.attrs["model_config"] = value(file) if callable(value) else value

    return edit


def attribute(place: str, name: str, value: Any) -> Edit:
    return lambda file: file[place].attrs.__setitem__(name, value)


_ELSEWHERE = "whose values lie in other files"
H5: dict[str, tuple[Edit, str]] = {
    "all weights behind an external link": (whole, "a place outside of it"),
    "a weight behind an external link": (
        link(h5py.ExternalLink("/etc/passwd", "k")),
        "a place outside of it",
    ),
    "a soft link": (link(h5py.SoftLink("/model_weights")), "a place outside of it"),
    "a soft link to nowhere": (link(h5py.SoftLink("/nowhere")), "a place outside of it"),
    "a soft link to itself": (link(h5py.SoftLink("/" + BIAS)), "a place outside of it"),
    "a virtual data set": (weight(virtual), _ELSEWHERE),
    "external storage": (stored("f4", external=[("/etc/passwd", 0, 16)]), _ELSEWHERE),
    "a group within itself": (
        lambda file: file["model_weights/conv"].__setitem__("again", file["model_weights"]),
        READ,
    ),
    "strings": (stored(h5py.string_dtype()), "of the type object"),
    "lists of numbers": (stored(h5py.vlen_dtype(np.float32)), "of the type object"),
    "records": (stored(np.dtype([("a", "f4")])), "of the type"),
    "complex numbers": (stored("c8"), "of the type complex64"),
    "nothing": (
        weight(lambda file, name: file.create_dataset(name, data=h5py.Empty("f4"))),
        "an empty data set",
    ),
    "numbers of a big machine": (values(">f4"), READ),
    "halves": (values("f2"), READ),
    "checked and packed": (
        values("f4", compression="gzip", fletcher32=True, shuffle=True),
        READ,
    ),
    "a shape that fills the memory": (
        weight(
            lambda file, name: file.create_dataset(
                name, (30_000, 30_000), "f4", compression="gzip", chunks=(3_000, 3_000)
            )
        ),
        "claims 3600000000 bytes",
    ),
    "names that lead out": (
        attribute("model_weights/conv", "weight_names", [b"../../x", b"/etc/passwd"]),
        "no data set at",
    ),
    "8,000 names of nothing": (
        attribute("model_weights/conv", "weight_names", np.array([b"k"] * 8_000)),
        "no data set at",
    ),
    "names that are numbers": (
        attribute("model_weights/conv", "weight_names", np.arange(3)),
        READ,
    ),
    "a backend with an escape": (attribute("/", "backend", "\x1b[31m<script>"), READ),
    "no configuration": (config_is(h5py.Empty("S10")), "a damaged attribute 'model_config'"),
    "a list for a configuration": (config_is("[1, 2]"), "without a class name"),
    "a number for a configuration": (config_is(3.5), READ),
    "a reference for a configuration": (config_is(lambda file: file["model_weights"].ref), READ),
    "a configuration that is no JSON": (
        config_is(json.dumps(CONFIG)[:-9]),
        "a model configuration of broken JSON",
    ),
}


@pytest.mark.parametrize("name", H5)
def test_an_odd_h5(name: str, tmp_path: Path) -> None:
    edit, words = H5[name]
    path = write_h5(tmp_path / "m.h5", CONFIG, conv_weights())
    with h5py.File(path, "a") as file:
        edit(file)
    read(path, words)


Members = dict[str, "str | bytes | zipfile.ZipInfo"]


def weights() -> bytes:
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        for number, array in enumerate(conv_weights()["conv"]):
            file[f"layers/conv2d/vars/{number}"] = array[1]
    return sink.getvalue()


def linked_weights() -> bytes:
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        file["layers"] = h5py.ExternalLink("/etc/passwd", "x")
    return sink.getvalue()


PLAIN = {"metadata.json": '{"keras_version": "3.15.1"}', "config.json": json.dumps(CONFIG)}
SAME: Callable[[bytes], bytes] = lambda data: data  # noqa: E731


def encrypted(data: bytes) -> bytes:
    """Every member says that it is."""
    local, central = b"PK\x03\x04\x14\0\0\0", b"PK\x01\x02\x14\x03\x14\0\0\0"
    data = data.replace(local, b"PK\x03\x04\x14\0\1\0")
    return data.replace(central, b"PK\x01\x02\x14\x03\x14\0\1\0")


ZIPS: dict[str, tuple[dict[str, str | bytes], Callable[[bytes], bytes], str]] = {
    "plain": ({}, SAME, READ),
    "a path from the root": ({"/segdoctor-marker": "x"}, SAME, READ),
    "paths that lead out": ({"../../m": "x", "assets/../../m": "x", "..\\m": "x"}, SAME, READ),
    "a configuration of another case": ({"Config.json": "{", "config.json/": ""}, SAME, READ),
    "a pickle beside it": ({"assets/x.pkl": b"\x80\x04cos\nsystem\n."}, SAME, READ),
    "metadata that names a class": (
        {"metadata.json": '{"keras_version": {"class_name": "Lambda"}}'},
        SAME,
        READ,
    ),
    "a byte order mark": ({"config.json": "\ufeff" + json.dumps(CONFIG)}, SAME, READ),
    "a script behind it": ({}, lambda data: data + b"#!/bin/sh\n" * 90, READ),
    "a script before it": ({}, lambda data: b"#!/bin/sh\n" * 90 + data, "begins with 23 21"),
    "encrypted": ({}, encrypted, "an encrypted member"),
    "a zero byte in its name": (
        {},
        lambda data: data.replace(b"config.json", b"confi\0.json"),
        "a zip without config.json",
    ),
    "UTF-16": ({"config.json": json.dumps(CONFIG).encode("utf-16")}, SAME, "of broken JSON"),
    "weights that are a page": ({"model.weights.h5": b"<!DOCTYPE html>"}, SAME, "HDF5"),
    "weights behind a link": (
        {"model.weights.h5": linked_weights()},
        SAME,
        "a place outside of it",
    ),
    "metadata that unpack to 80 MB": (
        {"metadata.json": b" " * 80_000_000},
        SAME,
        "a member metadata.json of",
    ),
}


@pytest.mark.parametrize("name", ZIPS)
def test_an_odd_zip(name: str, tmp_path: Path) -> None:
    members, change, words = ZIPS[name]
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, data in ({**PLAIN, "model.weights.h5": weights()} | members).items():
            archive.writestr(member, data)
    path.write_bytes(change(path.read_bytes()))
    read(path, words)


@pytest.mark.parametrize("member", [*PLAIN, "model.weights.h5"])
def test_a_member_that_is_a_link_is_not_followed(member: str, tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**PLAIN, "model.weights.h5": weights()}.items():
            information = zipfile.ZipInfo(name)
            if name == member:
                information.create_system, information.external_attr = 3, 0o120777 << 16
            archive.writestr(information, "../../etc/passwd" if name == member else data)
    with pytest.raises(UserError) as caught:
        segdoctor.inspect(path)
    assert "root:" not in str(caught.value)


@pytest.mark.parametrize("way", ["data descriptors", "zip64", "bzip2", "lzma"])
def test_every_usual_way_to_pack_is_read(way: str, tmp_path: Path) -> None:
    class Stream(io.BytesIO):
        def seekable(self) -> bool:
            return way != "data descriptors"

        def tell(self) -> int:
            if way == "data descriptors":
                raise io.UnsupportedOperation
            return super().tell()

    kinds = {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}
    sink = Stream()
    with zipfile.ZipFile(sink, "w", kinds.get(way, zipfile.ZIP_DEFLATED)) as archive:
        for name, data in {**PLAIN, "model.weights.h5": weights()}.items():
            with archive.open(name, "w", force_zip64=way == "zip64") as stream:
                stream.write(data if isinstance(data, bytes) else data.encode())
    (tmp_path / "m.keras").write_bytes(sink.getvalue())
    read(tmp_path / "m.keras", READ)


def read(path: Path, words: str) -> None:
    """One line with these words; an architecture where there are none."""
    before = {found: os.stat(found).st_mtime_ns for found in path.parent.iterdir()}
    if words:
        with pytest.raises(UserError) as caught:
            segdoctor.inspect(path)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    else:
        assert segdoctor.inspect(path).exit_code in (0, 1)
    assert {found: os.stat(found).st_mtime_ns for found in path.parent.iterdir()} == before
