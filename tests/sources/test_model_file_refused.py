"""Broken and hostile files: one line each, quickly, and nothing is run."""

from __future__ import annotations

import json
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from segdoctor.sources.model_file import ModelFileError, read_model_file

from ..processor_time import used
from .model_files import conv, conv_weights, functional, image_input, write_h5, write_keras

CONFIG = functional(image_input(), conv())


def refusal(path: Path) -> str:
    """The one line; refused within 1 s of processor time (``benchmarks.promises`` measures 1 s by
    the clock) and 200 MB."""
    tracemalloc.start()
    start = used()
    try:
        with pytest.raises(ModelFileError) as caught:
            read_model_file(path)
        assert used() - start < 1
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    line = str(caught.value)
    assert "\n" not in line
    assert path.name in line
    assert "expected" in line
    assert "received" in line
    return line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>not found</html>", "HTML"),
        (pickle.dumps(print), "pickle"),
        (b"\xef\xbf\xbdHDF\r\n\x1a\n" + b"\0" * 600, "text conversion"),
        (b"\0" * 4096, "zero bytes"),
        (b'{"class_name": "Sequential"}', "JSON"),
        (b"\x1c\0\0\0TFL3" + b"\0" * 60, "TensorFlow Lite"),
        (b"some text", "begins with"),
        (b"PK\x03\x04" + b"\0" * 100, "truncated zip"),
    ],
)
def test_something_else(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    assert said in refusal(path)


def test_absent_and_folder(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "absent.h5")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    assert "SavedModel" in refusal(tmp_path / "saved")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.h5")
    assert "pipe" in refusal(tmp_path / "model.h5")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["h5", "keras"])
def test_truncated(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f"model.{kind}"
    if kind == "h5":
        write_h5(path, CONFIG, conv_weights())
    else:
        write_keras(path, CONFIG, {"layers/conv2d/vars/0": np.zeros((3, 3, 3, 4), "f")})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "truncated" in refusal(path)


def test_hdf5_that_is_no_model(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["images"] = np.zeros(3)
    assert "without model_config" in refusal(tmp_path / "data.h5")


def test_zip_that_is_no_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert "PyTorch" in refusal(tmp_path / "m.keras")


def test_many_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        for index in range(10_000):
            archive.writestr(f"{index}", b"")
    assert "10000 members" in refusal(tmp_path / "m.keras")


@pytest.mark.parametrize("member", ["config.json", "model.weights.h5"])
def test_zip_bomb(tmp_path: Path, member: str) -> None:
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        if member != "config.json":
            archive.writestr("config.json", json.dumps(CONFIG))
        with archive.open(member, "w") as stream:
            for _ in range(90):
                stream.write(b" " * (1 << 20))
    assert "packed into" in refusal(path)


@pytest.mark.parametrize("depth", [101, 20_000])
def test_deep_json(tmp_path: Path, depth: int) -> None:
    text = '{"class_name": "Sequential", "config": ' + "[" * depth + "]" * depth + "}"
    assert "nested deeper" in refusal(write_keras(tmp_path / "m.keras", text))


def test_wide_json(tmp_path: Path) -> None:
    text = '{"class_name": "Sequential", "config": [' + "[]," * 2_000_000 + "[]]}"
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", text)
    assert "objects and lists" in refusal(path)


def test_double_keys(tmp_path: Path) -> None:
    text = '{"class_name": "Sequential", "class_name": "Lambda", "config": []}'
    assert "twice" in refusal(write_keras(tmp_path / "m.keras", text))


@pytest.mark.parametrize("text", ["{", "[]", '"model"', "{}", '{"class_name": 3}'])
def test_no_model_configuration(tmp_path: Path, text: str) -> None:
    refusal(write_keras(tmp_path / "m.keras", text))
    refusal(write_h5(tmp_path / "m.h5", text, conv_weights()))


@pytest.mark.parametrize("chunks", [None, (1 << 10, 1 << 10)])
def test_shape_bomb(tmp_path: Path, chunks: tuple[int, int] | None) -> None:
    """40 GiB claimed, nothing stored."""
    path = write_h5(tmp_path / "m.h5", CONFIG, {"conv": []})
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv"]
        group.create_dataset("kernel:0", (100_000, 100_000), "f4", chunks=chunks)
        del group.attrs["weight_names"]
        group.attrs["weight_names"] = [b"kernel:0"]
    assert path.stat().st_size < 1e5
    assert "claims 40000000000 bytes" in refusal(path)


def test_compressed_bomb(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", CONFIG, {"conv": []})
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv"]
        group.create_dataset("k", data=np.zeros(1 << 24, "u1"), compression="gzip")
        del group.attrs["weight_names"]
        group.attrs["weight_names"] = [b"k"]
    assert "claims" in refusal(path)


@pytest.mark.parametrize("kind", ["external", "virtual", "soft", "outside", "objects"])
def test_values_from_elsewhere(tmp_path: Path, kind: str) -> None:
    (tmp_path / "secret").write_bytes(b"\1" * 64)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["k"] = np.zeros(16, "f")
    path = write_h5(tmp_path / "m.h5", CONFIG, {"conv": []})
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv"]
        del group.attrs["weight_names"]
        group.attrs["weight_names"] = [b"k"]
        if kind == "external":
            group.create_dataset("k", (16,), "f4", external=[(str(tmp_path / "secret"), 0, 64)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((16,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "k", (16,))
            group.create_virtual_dataset("k", layout)
        elif kind == "soft":
            group["k"] = h5py.SoftLink("/model_weights")
        elif kind == "outside":
            group["k"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "k")
        else:
            group.create_dataset("k", data=["text"], dtype=h5py.string_dtype())
    refusal(path)


def test_large_claims_in_the_configuration_are_harmless(tmp_path: Path) -> None:
    path = write_h5(
        tmp_path / "m.h5", functional(image_input(), conv(filters=2**33)), conv_weights()
    )
    assert read_model_file(path).graph.output_shapes == ((None, 8, 8, 2**33),)


def test_control_characters_do_not_reach_the_message(tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[31m.h5"
    path.write_bytes(b"x")
    with pytest.raises(ModelFileError) as caught:
        read_model_file(path)
    assert "\x1b" not in str(caught.value)
