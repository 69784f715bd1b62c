"""The batch that is examined, made from a data set folder as the contract says."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import MaskFacts, Pair, ScanFacts
from segdoctor.core.errors import UserError
from segdoctor.core.run import Batch
from segdoctor.sources.voc.image_file import UnreadableError, opened_image
from segdoctor.sources.voc.label_map import LabelMap, parse_label_map
from segdoctor.sources.voc.layout import DataFolderError
from segdoctor.sources.voc.mask_file import read_ids

ENCODINGS = ("ids", "onehot", "onehot-zero", "onehot-255")
RESIZES = ("fit", "crop", "stretch")

# What is taken off a pixel 0–255, and what the rest is divided by.
_RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "tf": ((127.5,), (127.5,)),
    "unit": ((0.0,), (255.0,)),
    "torch": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),  # ImageNet's, × 255
    "caffe": ((103.939, 116.779, 123.68), (1.0,)),  # ImageNet's mean as blue, green, red
    "none": ((0.0,), (1.0,)),
}
PREPROCESS = tuple(_RANGES)

_CROPS_TRIED = 12
_SMALLEST_SHARE = 0.01
_MARK = 255.0

Float = NDArray[np.float32]
Ids = NDArray[np.int32]


def make_batch(
    scan: ScanFacts,
    *,
    size: tuple[int, int],
    count: int,
    num_classes: int,
    channels: int = 3,
    preprocess: str = "tf",
    encoding: str = "ids",
    ignore_label: int | bool | None = None,
    resize: str = "fit",
    seed: int = 0,
    draw: int = 0,
    names: Sequence[str] | None = None,
    decode: str = "stored",
    label_axis: bool = False,
    declared_encoding: bool = True,
    declared_range: bool = True,
) -> Batch:
    """Read ``count`` examples of the split that is trained on.

    Parameters
    ----------
    scan : ScanFacts
        Of the folder; unreadable files and pairs of different size are passed over.
    size : tuple (H, W)
        Of the batch.
    preprocess : str
        ``"tf"``: x/127.5 - 1 · ``"torch"``: ImageNet's mean and deviation of x/255 ·
        ``"caffe"``: BGR minus ImageNet's mean · ``"unit"``: x/255 · ``"none"``: 0 to 255.
    encoding : str
        ``"ids"``, or one-hot over ``num_classes``: ``"onehot"`` and ``"onehot-zero"`` leave void
        (and any id out of range) as a row of zeros, as ``tf.one_hot`` does; ``"onehot-255"``
        fills void rows with 255.
    ignore_label : int, False or None
        With an id, ``fit`` keeps the aspect and pads the image with its mean and the mask with
        that id. With False or None there is nothing to pad with: the example is stretched.
    resize : str
        ``"fit"``, ``"crop"`` (a seeded window at the image's own scale) or ``"stretch"``.
    seed, draw : int
        The draws 0, 1, … of one seed are other examples as long as there are some.
    names : sequence of str, optional
        These examples again, in this order: the same names and seed give the same arrays.
    decode : str
        ``"palette"`` turns colours and luminances of VOC's palette back into ids.
    label_axis : bool
        Ids as (B, H, W, 1).

    Returns
    -------
    Batch
        ``x`` float32 (B, H, W, channels), ``y`` as encoded, ``ids`` int32 (B, H, W) with void.

    Raises
    ------
    UserError
        An option that does not exist, or no example that can be read.
    """
    _allowed("preprocess", preprocess, PREPROCESS)
    _allowed("encoding", encoding, ENCODINGS)
    _allowed("resize", resize, RESIZES)
    if channels not in (1, 3):
        raise UserError(f"Images are made with 1 or 3 channels. Received: channels={channels!r}")
    if count < 1 or min(size) < 1:
        raise UserError(f"A batch needs examples and pixels. Received: {count=}, {size=}")
    void = None if ignore_label is None or ignore_label is False else int(ignore_label)
    mapping = parse_label_map(scan.label_map)
    pictures: list[Float] = []
    masks: list[Ids] = []
    used: list[str] = []
    last = ""
    for pair in _candidates(scan, mapping, void, count, seed, draw, names):
        try:
            image, ids = _read(pair, channels, decode)
        except UnreadableError as error:
            last = str(error)
            continue
        ids = mapping.apply(ids, scan.void if void is None else void)
        rng = np.random.default_rng([seed, zlib.crc32(pair.stem.encode(errors="replace"))])
        picture, ids = _sized(image, ids, size, resize, void, rng)
        pictures.append(picture)
        masks.append(ids)
        used.append(pair.stem)
        if len(used) == count:
            break
    if not used:
        why = f": {clean(last)}" if last else ""
        raise DataFolderError(f"No pair of {clean(scan.folder)} can be read{why}.")
    all_ids = np.stack(masks)
    y = encode(all_ids, encoding, num_classes, void)
    return Batch(
        x=preprocessed(np.stack(pictures), preprocess),
        y=y[..., None] if label_axis and encoding == "ids" else y,
        ids=all_ids,
        names=tuple(used),
        encoding=encoding,
        declared_encoding=declared_encoding,
        source="folder",
        preprocess=preprocess,
        declared_range=declared_range,
    )


def preprocessed(x: NDArray[Any], preprocess: str) -> Float:
    """Pixels 0–255, shape (…, channels), in the range that ``preprocess`` names."""
    shift, scale = _RANGES[preprocess]
    mean, deviation = np.asarray(shift, np.float32), np.asarray(scale, np.float32)
    pixels: Float = np.asarray(x, dtype=np.float32)
    if pixels.shape[-1] == 1:
        mean, deviation = mean.mean(keepdims=True), deviation.mean(keepdims=True)
    elif preprocess == "caffe":
        pixels = pixels[..., ::-1]
    ranged: Float = (pixels - mean) / deviation
    return ranged


def encode(ids: Ids, encoding: str, num_classes: int, void: int | None) -> NDArray[Any]:
    """``ids`` (B, H, W) as the run feeds them: int32 ids, or float32 (B, H, W, num_classes)."""
    if encoding == "ids":
        return ids
    classes = np.arange(num_classes, dtype=ids.dtype)
    y: Float = (ids[..., None] == classes).astype(np.float32)
    if void is not None:
        y[ids == void] = _MARK if encoding == "onehot-255" else 0.0
    return y


def _allowed(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"`{name}` is one of {', '.join(known)}. Received: {value!r}")


def _candidates(
    scan: ScanFacts,
    mapping: LabelMap,
    void: int | None,
    count: int,
    seed: int,
    draw: int,
    names: Sequence[str] | None,
) -> Iterator[Pair]:
    """Sound pairs, the ones to take first in front: with two classes or more, of this draw."""
    broken = {problem.path for problem in scan.problems}
    sound = {
        pair.stem: pair
        for pair in scan.trained_on
        if pair.image and pair.mask and pair.image not in broken and pair.mask not in broken
    }
    if names is not None:
        missing = [name for name in names if name not in sound]
        if missing:
            raise DataFolderError(
                f"{clean(missing[0])!r} is not a readable example of the split {scan.split!r} of "
                f"{clean(scan.folder)}."
            )
        yield from (sound[name] for name in names)
        return
    declared = scan.void if void is None else void
    plenty = {mask.path for mask in scan.masks if _tells(mask, mapping, declared)}
    stems = list(sound)
    order = np.random.default_rng(seed).permutation(len(stems)).tolist()
    ranked = sorted(order, key=lambda i: sound[stems[i]].mask not in plenty)
    best = sum(sound[stem].mask in plenty for stem in stems)
    # Further draws stay among the examples of two classes or more where there are enough of them.
    among = best if best >= count else len(ranked)
    turn = draw * count % max(among, 1)
    turned = (*ranked[turn:among], *ranked[:turn], *ranked[among:])
    yield from (sound[stems[i]] for i in turned)


def _tells(mask: MaskFacts, mapping: LabelMap, void: int | bool | None) -> bool:
    """Two classes or more, each large enough to survive a small crop: with a class of a few
    pixels in it, a batch takes four times the steps to be memorised (50 against 12)."""
    if mask.colours:
        return len(mask.colours) > 1
    shares: dict[int, int] = {}
    for label, pixels in mask.histogram.items():
        mapped = mapping.of(label, void)
        if void is None or void is False or mapped != void:
            shares[mapped] = shares.get(mapped, 0) + pixels
    return len(shares) > 1 and min(shares.values()) >= _SMALLEST_SHARE * sum(shares.values())


def _read(pair: Pair, channels: int, decode: str) -> tuple[Image.Image, Ids]:
    with opened_image(str(pair.image)) as image:
        picture = image.convert("L" if channels == 1 else "RGB")
    ids = read_ids(str(pair.mask), decode=decode)
    if (picture.height, picture.width) != ids.shape:
        raise UnreadableError("image and mask differ in size")
    return picture, ids


def _sized(
    image: Image.Image,
    ids: Ids,
    size: tuple[int, int],
    resize: str,
    void: int | None,
    rng: np.random.Generator,
) -> tuple[Float, Ids]:
    """Image (H, W, channels) and ids (H, W) of the batch's size."""
    height, width = size
    if resize == "crop":
        pixels, ids = _pixels(image), ids
        top, left = _window(ids, size, void, rng)
        pixels = pixels[top : top + height, left : left + width]
        ids = ids[top : top + height, left : left + width]
        if ids.shape == size:
            return pixels, ids
        if void is None:  # smaller than the window, and nothing to pad with
            return _stretched(image, ids=_nearest(ids, size), size=size)
        return _padded(pixels, ids, size, void)
    if resize == "stretch" or void is None:
        return _stretched(image, ids=_nearest(ids, size), size=size)
    scale = min(height / image.height, width / image.width)
    inner = (
        min(height, max(1, round(image.height * scale))),
        min(width, max(1, round(image.width * scale))),
    )
    pixels, ids = _stretched(image, ids=_nearest(ids, inner), size=inner)
    return _padded(pixels, ids, size, void)


def _pixels(image: Image.Image) -> Float:
    pixels = np.asarray(image, dtype=np.float32)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _stretched(image: Image.Image, ids: Ids, size: tuple[int, int]) -> tuple[Float, Ids]:
    return _pixels(image.resize((size[1], size[0]), Image.Resampling.BILINEAR)), ids


def _nearest(ids: Ids, size: tuple[int, int]) -> Ids:
    """``ids`` brought to ``size`` by the nearest neighbour of each pixel's centre."""
    rows = ((np.arange(size[0]) + 0.5) * ids.shape[0] / size[0]).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * ids.shape[1] / size[1]).astype(np.intp)
    nearest: Ids = ids[rows[:, None], columns[None, :]]
    return nearest


def _padded(pixels: Float, ids: Ids, size: tuple[int, int], void: int) -> tuple[Float, Ids]:
    height, width = ids.shape
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    picture = np.empty((*size, pixels.shape[-1]), dtype=np.float32)
    picture[:] = pixels.mean(axis=(0, 1))
    picture[top : top + height, left : left + width] = pixels
    mask = np.full(size, void, dtype=np.int32)
    mask[top : top + height, left : left + width] = ids
    return picture, mask


def _window(
    ids: Ids, size: tuple[int, int], void: int | None, rng: np.random.Generator
) -> tuple[int, int]:
    """Top and left of a window, of a few drawn the first that holds two classes."""
    room = [max(0, ids.shape[axis] - size[axis]) for axis in (0, 1)]
    best, most = (0, 0), -1
    for _ in range(_CROPS_TRIED):
        top, left = (int(rng.integers(0, free + 1)) for free in room)
        window = ids[top : top + size[0], left : left + size[1]]
        classes = len(set(np.unique(window).tolist()) - {void})
        if classes > most:
            best, most = (top, left), classes
        if classes > 1:
            break
    return best
