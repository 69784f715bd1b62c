"""Every kind of copy that ``segdoctor fix`` writes, and what segdoctor says of the copy.

    python -m benchmarks.fixes [CASE …]

A small net per fault, saved as ``.h5`` and as ``.keras``, with a drawn folder. ``fix`` examines,
tries and writes; the copy (file, masks or both) is then checked anew. A row holds if the finding is
confirmed, what is listed was written, the copy shows neither that code nor another error, and the
file and the folder that were given are as they were.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import segdoctor
from segdoctor.core.run import Trial
from segdoctor.measures.drawing import voc_palette, write_voc_folder
from segdoctor.measures.palettes import luminances
from segdoctor.remedy import fix

SIDE, CLASSES, VOID = 64, 3, 255
TRIED = Trial(budget_s=90, steps=40, crop=SIDE, batch=4)


@dataclass(frozen=True)
class Case:
    """``net`` makes the sick model; ``masks`` changes the ids of the folder; ``wanted`` are the
    names of the patch that must be written."""

    code: str
    wanted: tuple[str, ...]
    net: Callable[[], Any] | None = None
    masks: Callable[[Any], Any] | None = None
    formats: tuple[str, ...] = ("h5", "keras")


def net(
    *, channels=CLASSES, size=1, last=None, behind=None, wired=None, frozen=(), stale=False,
    rate=3e-2, nested=False, **loss,
) -> Any:  # fmt: skip
    """Convolution, BN, ReLU, head; the rest says what is wrong with it."""
    import keras

    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 3))
    h = layers.Conv2D(16, 3, padding="same", use_bias=False, name="stem")(inputs)
    bn = layers.BatchNormalization(name="bn")
    if nested:
        base = keras.Model(inputs, layers.ReLU()(bn(h)), name="base")
        h = base(inputs, training=wired)
    else:
        h = layers.ReLU()(bn(h) if wired is None else bn(h, training=wired))
    h = layers.Conv2D(channels, size, padding="same", activation=last, name="head")(h)
    model = keras.Model(inputs, h if behind is None else behind(layers)(h))
    for layer in model._flatten_layers():
        if layer.name in frozen or "all" in frozen:
            layer.trainable = False
    gamma, beta, mean, variance = bn.get_weights()
    if stale is not False:
        bn.set_weights([gamma, beta + 0.1, mean + stale, variance])
    options = {"from_logits": last is None and behind is None, "ignore_class": VOID, **loss}
    model.compile(
        keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(**options)
    )
    return model


def grey(ids: Any) -> Any:
    table = np.zeros(256, np.uint8)
    for label, value in luminances().items():
        table[label] = value
    return table[ids]


def clipped(ids: Any) -> Any:
    return np.where(ids == VOID, CLASSES - 1, ids)


CASES = {
    "softmax, and a loss on logits": Case(
        "OUT001", ("loss.from_logits",),
        lambda: net(last="softmax", behind=lambda k: k.UpSampling2D(1), from_logits=True),
    ),
    "logits, and a loss on probabilities": Case(
        "OUT002", ("loss.from_logits",), lambda: net(from_logits=False)
    ),
    "softmax twice": Case(
        "OUT003", ("head.activation",), lambda: net(last="softmax", behind=lambda k: k.Softmax())
    ),
    "rectified logits": Case(
        "OUT007", ("head.activation",), lambda: net(last="relu", from_logits=True)
    ),
    "a channel too few": Case("OUT008", ("head.channels",), lambda: net(channels=CLASSES - 1)),
    "void not left out": Case(
        "IGN003", ("loss.ignore_class",), lambda: net(ignore_class=None)
    ),
    "everything frozen": Case("GRAD007", ("freeze",), lambda: net(frozen=("all",))),
    "the head frozen": Case("GRAD007", ("head.trainable",), lambda: net(size=5, frozen=("head",))),
    "a wired mode that is overridden": Case(
        "BN011", ("bn.freeze",), lambda: net(wired=False, nested=True)
    ),
    "statistics never loaded": Case(
        "BN004", ("bn.recalibrate",), lambda: net(frozen=("bn",), stale=0.0)
    ),
    "statistics of other data": Case(
        "BN005", ("bn.recalibrate",), lambda: net(frozen=("bn",), stale=4.0)
    ),
    "ids that begin at 1": Case(
        "LBL008", ("labels.shift",), net, lambda ids: np.where(ids == VOID, VOID, ids + 1)
    ),
    "colours": Case("LBL004", ("labels.decode",), net, lambda ids: voc_palette()[ids]),
    "luminances": Case("LBL005", ("labels.decode",), net, grey),
    "ids times 40": Case(
        "LBL007", ("labels.scale",), net, lambda ids: np.where(ids == VOID, VOID, ids * 40)
    ),
    "void clipped into a class": Case("IGN004", ("labels.restore",), net, clipped),
}  # fmt: skip


def know(model: Any, data: Path) -> None:
    """Moving statistics of the folder's own images, as a trained backbone has those of its own."""
    paths = sorted((data / "JPEGImages").iterdir())
    images = np.stack([np.asarray(Image.open(path), np.float32) for path in paths]) / 127.5 - 1
    layers = {layer.name: layer for layer in model._flatten_layers()}
    features = np.asarray(layers["stem"](images))
    gamma, beta, _, _ = layers["bn"].get_weights()
    axes = (0, 1, 2)
    layers["bn"].set_weights([gamma, beta, features.mean(axes), features.var(axes)])


def examined(case: Case, form: str, room: Path) -> tuple[bool, str]:
    data = write_voc_folder(room / "voc", 12, 4, size=(SIDE, SIDE), classes=CLASSES, seed=0)
    if case.masks is not None:
        for path in (data / "SegmentationClass").iterdir():
            ids = np.asarray(Image.open(path))
            Image.fromarray(case.masks(ids).astype(np.uint8)).save(path)
    assert case.net is not None
    file = room / f"net.{form}"
    model = case.net()
    if case.code not in ("BN004", "BN005"):
        know(model, data)
    model.save(file)
    before = {p: p.read_bytes() for p in room.rglob("*") if p.is_file()}
    mended = fix(
        file, str(data), to=str(room / "fixed"), trial=TRIED, preprocess="tf", num_classes=CLASSES
    )
    same = {p: p.read_bytes() for p in before} == before
    confirmed = {finding.code for finding in mended.plan.confirmed}
    found = [f.code for f in mended.report.findings if f.severity == "error" and not f.because_of]
    missing = [name for name in case.wanted if name not in mended.done]
    copy, masks = room / "fixed" / file.name, room / "fixed" / "data" / "masks_fixed"
    options: dict[str, Any] = {"masks": str(masks)} if masks.is_dir() else {}
    again = segdoctor.check(
        str(copy if copy.exists() else file), str(data), trial=False, preprocess="tf",
        num_classes=CLASSES, **options,
    )  # fmt: skip
    left = [f.code for f in again.findings if f.severity == "error" and not f.because_of]
    holds = case.code in confirmed and not missing and not left and same and bool(mended.written)
    wrote = ", ".join(sorted(mended.done)) or "nothing"
    undone = f"; not: {mended.undone}" if mended.undone else ""
    told = f"found {', '.join(found) or 'nothing'}; wrote {wrote}{undone}; left {left or 'nothing'}"
    reason = [f"{f.code}: {why}" for f, why in mended.plan.left if f.severity == "error"]
    return holds, told + (f"; {reason}" if reason and not holds else "")


def main() -> int:
    broken = 0
    print("| fault | file | fix, and the copy checked anew | s | verdict |")
    print("| --- | --- | --- | --- | --- |")
    for name, case in CASES.items():
        if sys.argv[1:] and not {name, case.code} & set(sys.argv[1:]):
            continue
        for form in case.formats if case.masks is None else case.formats[:1]:
            start = time.perf_counter()
            with tempfile.TemporaryDirectory() as room:
                holds, told = examined(case, form, Path(room))
            broken += not holds
            took = time.perf_counter() - start
            verdict = "holds" if holds else "**FAILS**"
            print(f"| {case.code}: {name} | {form} | {told} | {took:.0f} | {verdict} |", flush=True)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
