"""The batch made from a folder: size, range, encoding, and the same examples again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.errors import UserError
from segdoctor.measures.drawing import voc_palette
from segdoctor.sources.voc import make_batch, scan_folder
from segdoctor.sources.voc.batch import PREPROCESS, encode, preprocessed

from .folders import image, mask, plain, voc

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data"


@pytest.fixture
def scan(tmp_path: Path) -> ScanFacts:
    return scan_folder(voc(tmp_path, 12))


def batch_of(scan: ScanFacts, **options: object):
    settings: dict[str, object] = {
        "size": (16, 16),
        "count": 3,
        "num_classes": 21,
        "ignore_label": 255,
    }
    return make_batch(scan, **(settings | options))  # type: ignore[arg-type]


def test_shapes_and_types(scan: ScanFacts) -> None:
    batch = batch_of(scan)
    assert (batch.x.shape, batch.x.dtype) == ((3, 16, 16, 3), np.float32)
    assert (batch.y.shape, batch.y.dtype) == ((3, 16, 16), np.int32)
    assert batch.ids is not None
    assert len(set(batch.names)) == 3
    assert set(batch.names) <= {pair.stem for pair in scan.trained_on}
    assert batch_of(scan, label_axis=True).y.shape == (3, 16, 16, 1)
    assert batch_of(scan, channels=1).x.shape == (3, 16, 16, 1)


def test_fit_keeps_the_aspect_and_pads_with_the_mean_and_void(tmp_path: Path) -> None:
    root = voc(tmp_path, 1, lists=False)
    Image.new("RGB", (12, 10), (200, 100, 0)).save(root / "JPEGImages/0000.jpg", quality=100)
    mask(root / "SegmentationClass/0000.png", np.ones((10, 12), dtype=np.uint8))
    batch = batch_of(scan_folder(root), size=(24, 24), count=1, preprocess="none")
    ids = batch.ids[0]
    assert (ids[:2] == 255).all()
    assert (ids[-2:] == 255).all()
    assert (ids[2:22] == 1).all()
    np.testing.assert_allclose(batch.x[0, 0, 0], batch.x[0].mean(axis=(0, 1)), atol=1.5)


@pytest.mark.parametrize("ignore_label", [False, None])
def test_without_void_there_is_nothing_to_pad_with(
    scan: ScanFacts, ignore_label: int | bool | None
) -> None:
    batch = batch_of(scan, size=(30, 10), ignore_label=ignore_label)
    column = batch.ids[0][:, 0]
    assert (column == 0).all()  # reaches from the top to the bottom
    assert {0, 1} <= set(np.unique(batch.ids).tolist()) <= {0, 1, 255}


def test_stretch_and_crop_have_the_size(scan: ScanFacts) -> None:
    for resize in ("stretch", "crop"):
        for size in ((8, 8), (20, 20), (8, 20)):
            batch = batch_of(scan, resize=resize, size=size)
            assert batch.x.shape[1:3] == batch.y.shape[1:3] == size
            assert set(np.unique(batch.ids).tolist()) <= {0, 1, 255}


def test_a_crop_is_a_window_of_image_and_mask(tmp_path: Path) -> None:
    """Image and mask say the same, so a window of both does too."""
    root = plain(tmp_path, 1)
    values = np.random.default_rng(1).integers(0, 3, (60, 60), dtype=np.uint8)
    Image.fromarray(np.stack([values * 80] * 3, axis=-1)).save(root / "images/0.png")
    Image.fromarray(values).save(root / "masks/0.png")
    batch = batch_of(scan_folder(root), resize="crop", count=1, preprocess="none")
    np.testing.assert_array_equal(batch.x[0, ..., 0], batch.ids[0] * 80)


def test_masks_are_never_interpolated(tmp_path: Path) -> None:
    root = voc(tmp_path, 1, lists=False)
    values = np.random.default_rng(0).choice([0, 15, 255], (10, 12)).astype(np.uint8)
    mask(root / "SegmentationClass/0000.png", values)
    for size in ((7, 5), (33, 47)):
        ids = batch_of(scan_folder(root), count=1, size=size, resize="stretch").ids
        assert set(np.unique(ids).tolist()) <= {0, 15, 255}


def test_examples_of_two_classes_come_first(tmp_path: Path) -> None:
    root = voc(tmp_path, 30, lists=False)
    rich = {3, 11, 17, 25}
    for i in set(range(30)) - rich:
        mask(root / f"SegmentationClass/{i:04d}.png", np.zeros((10, 12), dtype=np.uint8))
    facts = scan_folder(root)
    for seed in range(4):
        for draw in (0, 1):
            names = batch_of(facts, count=2, seed=seed, draw=draw).names
            assert {int(name) for name in names} <= rich
    assert len(batch_of(facts, count=10).names) == 10


def test_draws_are_other_examples_and_can_be_had_again(scan: ScanFacts) -> None:
    first, fresh = batch_of(scan), batch_of(scan, draw=1)
    assert set(first.names).isdisjoint(fresh.names)
    again = batch_of(scan, names=first.names, resize="crop", size=(8, 8))
    once = batch_of(scan, names=first.names, resize="crop", size=(8, 8))
    assert again.names == first.names
    np.testing.assert_array_equal(again.x, once.x)
    np.testing.assert_array_equal(batch_of(scan, names=first.names).x, first.x)
    assert batch_of(scan, seed=0).names == first.names
    other = batch_of(scan, names=first.names, preprocess="none")
    np.testing.assert_allclose(other.x / 127.5 - 1, first.x, atol=1e-5)
    with pytest.raises(UserError, match="not a readable example"):
        batch_of(scan, names=["nowhere"])


def test_the_ranges() -> None:
    x = np.array([[[[0.0, 127.5, 255.0]]]])
    np.testing.assert_allclose(preprocessed(x, "tf").ravel(), [-1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(preprocessed(x, "unit").ravel(), [0, 0.5, 1], atol=1e-6)
    np.testing.assert_allclose(preprocessed(x, "none").ravel(), [0, 127.5, 255])
    np.testing.assert_allclose(
        preprocessed(x, "torch").ravel(),
        [-0.485 / 0.229, (0.5 - 0.456) / 0.224, (1 - 0.406) / 0.225],
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        preprocessed(x, "caffe").ravel(), [255 - 103.939, 127.5 - 116.779, -123.68], rtol=1e-5
    )
    grey = np.full((1, 2, 2, 1), 100.0)
    for name in PREPROCESS:
        assert preprocessed(grey, name).shape == grey.shape
        assert preprocessed(grey, name).dtype == np.float32


def test_the_encodings() -> None:
    ids = np.array([[[0, 2, 255, 7]]], dtype=np.int32)
    assert encode(ids, "ids", 3, 255) is ids
    for name in ("onehot", "onehot-zero"):
        np.testing.assert_array_equal(
            encode(ids, name, 3, 255)[0, 0], [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
        )
    np.testing.assert_array_equal(
        encode(ids, "onehot-255", 3, 255)[0, 0],
        [[1, 0, 0], [0, 0, 1], [255, 255, 255], [0, 0, 0]],
    )


def test_the_label_map_is_applied(tmp_path: Path) -> None:
    root = voc(tmp_path, 2, lists=False)
    facts = scan_folder(root, label_map="1=5,else=2")
    batch = batch_of(facts, count=2)
    assert set(np.unique(batch.ids).tolist()) == {2, 5, 255}


def test_colour_masks_as_loaders_read_them_and_decoded(tmp_path: Path) -> None:
    root = plain(tmp_path, 1)
    values = np.zeros((10, 12), dtype=np.uint8)
    values[:, 6:] = 15
    Image.fromarray(voc_palette()[values]).save(root / "masks/0.png")
    facts = scan_folder(root)
    options = {"count": 1, "ignore_label": False, "size": (10, 12)}
    assert set(np.unique(batch_of(facts, **options).ids).tolist()) == {0, 147}
    np.testing.assert_array_equal(batch_of(facts, decode="palette", **options).ids[0], values)


def test_broken_pairs_are_passed_over(tmp_path: Path) -> None:
    root = voc(tmp_path, 6, lists=False)
    (root / "JPEGImages/0000.jpg").write_bytes(b"")
    (root / "SegmentationClass/0001.png").write_bytes(b"")
    image(root / "JPEGImages/0002.jpg", size=(5, 5))
    facts = scan_folder(root)
    (root / "JPEGImages/0003.jpg").write_bytes(b"broken since")
    assert set(batch_of(facts, count=6).names) == {"0004", "0005"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"preprocess": "TF"},
        {"encoding": "one-hot"},
        {"resize": "pad"},
        {"channels": 4},
        {"count": 0},
    ],
)
def test_wrong_options_are_one_line(scan: ScanFacts, wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match="Received") as caught:
        batch_of(scan, **wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not (SHARED / "voc").is_dir(), reason="real VOC pairs are not at hand")
def test_real_pairs() -> None:
    facts = scan_folder(SHARED / "voc")
    batch = batch_of(facts, size=(96, 96), count=8)
    assert all(len(set(np.unique(ids).tolist()) - {255}) > 1 for ids in batch.ids)
    assert batch.x.min() >= -1
    assert batch.x.max() <= 1
    crop = batch_of(facts, size=(96, 96), count=40, resize="crop")
    several = [len(set(np.unique(ids).tolist()) - {255}) > 1 for ids in crop.ids]
    assert np.mean(several) > 0.9  # 66 % of random 96 px crops hold two classes
