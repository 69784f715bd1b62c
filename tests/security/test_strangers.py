"""Files that were made to waste time, memory or trust, one by one; each was a defect once."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from PIL import Image

import segdoctor
from segdoctor.core.errors import UserError
from segdoctor.sources.settings import from_file

from ..sources.folders import voc
from ..sources.model_files import (
    conv,
    conv_weights,
    functional,
    image_input,
    write_h5,
    write_keras,
)


def scans(image: bytes) -> bytes:
    """A progressive JPEG whose last scan comes three thousand times."""
    target = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(target, "JPEG", progressive=True)
    made = target.getvalue()
    last = made.rfind(b"\xff\xda")
    return made[:last] + made[last:-2] * 3000 + b"\xff\xd9"


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "scans": ("JPEGImages/0000.jpg", scans, "scans over"),
    "marks": (
        "JPEGImages/0000.jpg",
        lambda image: image[:2] + b"\xff\xfe\0\4ab" * 100_000 + image[2:],
        "more than 2,000 marks",
    ),
    "padding": (
        "JPEGImages/0000.jpg",
        lambda image: image[:2] + b"\xff" * 1_000_000 + image[2:],
        "more than 2,000 marks",
    ),
    "a line": (
        "ImageSets/Segmentation/train.txt",
        lambda text: text + b"a" * (4 << 20),
        "a line of 4,194,30",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_of_the_data_set_is_named_and_not_waited_for(name: str, tmp_path: Path) -> None:
    place, change, words = DAMAGES[name]
    folder = voc(tmp_path, 3)
    (folder / place).write_bytes(change((folder / place).read_bytes()))
    start = time.process_time()
    report = segdoctor.scan(folder, deep=True)
    assert time.process_time() - start < 2
    told = [str(e.value) for f in report.findings if f.code == "DATA002" for e in f.evidence]
    assert any(words in line for line in told), told
    assert len(report.raw.pairs) == 3


@pytest.mark.parametrize("scans", [1, 12])
def test_an_ordinary_progressive_photo_is_fine(scans: int, tmp_path: Path) -> None:
    folder = voc(tmp_path, 2)
    path = folder / "JPEGImages" / "0000.jpg"
    with Image.open(path) as image:
        image.load()
    image.save(path, progressive=scans > 1, icc_profile=b"\xff\xda\0\x08\x01" * 2000)
    assert "DATA002" not in segdoctor.scan(folder, deep=True).codes


def test_urls_in_a_split_list_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refused(*args: Any, **options: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refused)
    folder = voc(tmp_path, 3)
    (folder / "ImageSets/Segmentation/train.txt").write_text("http://127.0.0.1:9/x\n0001\n")
    assert "DATA001" in segdoctor.scan(folder).codes


@pytest.mark.parametrize("text", ["image,mask\n" + "a" * 200_000, 'image,mask\n"a'])
def test_a_list_of_pairs_that_is_no_table(text: str, tmp_path: Path) -> None:
    folder = voc(tmp_path / "voc", 2)
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(UserError, match="The list"):
        segdoctor.scan(folder, pairs=str(tmp_path / "pairs.csv"))


@pytest.mark.parametrize("version", [b"9" * 60_000, b"3." + b"1" * 5_000, b"\xff\xfe"])
def test_a_version_that_is_no_number(version: bytes, tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5", functional(image_input(), conv()), conv_weights())
    with h5py.File(path, "a") as file:
        file.attrs["keras_version"] = version
    assert segdoctor.inspect(path).exit_code == 0


def test_more_layers_than_any_net_has(tmp_path: Path) -> None:
    layers = [conv(f"c{number}") for number in range(5_001)]
    path = write_keras(tmp_path / "m.keras", functional(image_input(), *layers))
    with pytest.raises(UserError, match="at most"):
        segdoctor.inspect(path)


@pytest.mark.parametrize("path", ["x" * 300, "file.py/x", "a\0b", "absent"])
def test_a_file_of_objects_that_cannot_be_is_one_line(path: str, tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("")
    with pytest.raises(UserError, match=r"expected file\.py:name") as caught:
        from_file(f"{tmp_path / path}:f")
    assert "\n" not in str(caught.value)
