"""Masks as arrays: ``.npy`` and SBD's ``.mat``, sound, damaged and hostile."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdoctor.api import scan
from segdoctor.sources.voc import scan_folder
from segdoctor.sources.voc.image_file import UnreadableError
from segdoctor.sources.voc.mask_file import look_at_mask, read_ids, read_mask
from segdoctor.sources.voc.mat_file import MatError, read_mat

from .folders import image, plain_mask

scipy_io = pytest.importorskip("scipy.io")
IDS = plain_mask()


def mat(ids: Any, **options: Any) -> bytes:
    """As SBD writes it: a struct with the classes, their map and their borders."""
    target = io.BytesIO()
    borders = np.empty((3, 1), dtype=object)
    borders[:] = [[np.eye(4)], [np.zeros((2, 2))], [np.ones(3)]]
    content = {"Boundaries": borders, "Segmentation": ids, "CategoriesPresent": np.array([1, 15])}
    scipy_io.savemat(target, {"GTcls": content}, **options)
    return target.getvalue()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float64])
def test_the_class_map_is_what_scipy_reads(kind: Any, compressed: bool) -> None:
    data = mat(IDS.astype(kind), do_compression=compressed)
    other = scipy_io.loadmat(io.BytesIO(data), squeeze_me=True)["GTcls"]["Segmentation"].item()
    assert np.array_equal(read_mat(data), other)
    assert np.array_equal(read_mat(data), IDS)


def test_sbd_as_it_is_published(tmp_path: Path) -> None:
    for i in range(4):
        image(tmp_path / "dataset" / "img" / f"2008_00000{i}.jpg", seed=i)
        path = tmp_path / "dataset" / "cls" / f"2008_00000{i}.mat"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mat(np.where(IDS == 255, 0, IDS), do_compression=True))
    (tmp_path / "dataset" / "train.txt").write_text("2008_000000\n2008_000001\n")
    (tmp_path / "dataset" / "val.txt").write_text("2008_000002\n2008_000003\n")
    facts = scan_folder(tmp_path / "dataset")
    assert facts.problems == ()
    assert facts.histogram == {0: 280, 1: 200}
    assert np.array_equal(read_ids(facts.masks[0].path), np.where(IDS == 255, 0, IDS))


@settings(max_examples=150, deadline=500)
@given(st.integers(0, 4000), st.integers(0, 255), st.booleans())
def test_a_damaged_mat_is_refused_or_read(place: int, value: int, compressed: bool) -> None:
    data = bytearray(mat(IDS, do_compression=compressed))
    data[place % len(data)] = value
    with contextlib.suppress(MatError):
        assert read_mat(bytes(data)).ndim == 2


@given(st.binary(max_size=300))
def test_noise_is_no_mat(noise: bytes) -> None:
    with pytest.raises(MatError):
        read_mat(b"MATLAB 5.0".ljust(126) + b"IM" + noise)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[object(), 1]], dtype=object), "not of numbers"),
        (np.zeros(5), "no picture"),
        (np.zeros((4, 4, 5)), "neither ids, colours nor one-hot"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.full((4, 4), 1 << 40), "larger than any id"),
    ],
)
def test_arrays_that_are_no_mask(values: Any, reason: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    with pytest.raises(UnreadableError, match=reason):
        read_mask(str(tmp_path / "a.npy"))


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(data.replace(b"(4, 4), }    ", b"(9999, 9999),"))
    with pytest.raises(UnreadableError):
        read_mask(str(tmp_path / "b.npy"))
    (tmp_path / "c.npy").write_bytes(data[:-3])
    with pytest.raises(UnreadableError, match="cut off"):
        read_mask(str(tmp_path / "c.npy"))


def test_one_hot_arrays_are_ids(tmp_path: Path) -> None:
    ids = np.where(IDS == 255, 2, IDS)
    np.save(tmp_path / "a.npy", np.eye(3, dtype=np.float32)[ids])
    assert np.array_equal(look_at_mask(str(tmp_path / "a.npy"))[1], ids)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda ids: np.where(ids == 255, 0, ids).astype(np.float32), None),
        (lambda ids: ids.astype(np.float32) / 255, "LBL007"),
        (lambda ids: (ids == 1) * np.uint8(255), "LBL007"),
    ],
)
def test_masks_of_npy(make: Any, code: str | None, tmp_path: Path) -> None:
    for i in range(6):
        image(tmp_path / "images" / f"{i}.png", seed=i)
        (tmp_path / "masks").mkdir(exist_ok=True)
        np.save(tmp_path / "masks" / f"{i}.npy", make(IDS))
    report = scan(tmp_path, fail_on="never")
    errors = {finding.code for finding in report.findings if finding.severity == "error"}
    assert errors == ({code} if code else set())


HEADS = {
    "a call": b"__import__('os').system('true')",
    "deep": b"(" * 100,
    "no dictionary": b"[1, 2]",
    "keys missing": b"{'descr': '|u1'}",
    "text for a shape": b"{'descr': '|u1', 'fortran_order': False, 'shape': 'ab', }",
    "not UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_header_that_is_no_header(name: str, tmp_path: Path) -> None:
    head = HEADS[name].ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + head + bytes(64))
    with pytest.raises(UnreadableError) as caught:
        read_mask(str(tmp_path / "a.npy"))
    assert str(caught.value) == "an .npy file that is broken in its header"


def test_sizes_below_one_are_no_picture(tmp_path: Path) -> None:
    head = b"{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 4), }".ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + head + bytes(64))
    with pytest.raises(UnreadableError, match="which is no picture"):
        read_mask(str(tmp_path / "a.npy"))
