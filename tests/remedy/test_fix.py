"""``segdoctor fix`` from one end to the other: a model file with its data set, and a script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from segdoctor.core.errors import UserError
from segdoctor.core.run import Trial
from segdoctor.examination import apart, script_apart
from segdoctor.measures.drawing import write_voc_folder
from segdoctor.remedy import Mended, fix
from segdoctor.remedy.told import show

SCRIPTS = Path(__file__).parents[1] / "ways" / "scripts"
CLASSES = 3


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child process is tested elsewhere (tests/examination/test_apart.py)."""
    monkeypatch.setattr(apart, "can_be_apart", lambda request: None)
    monkeypatch.setattr(script_apart, "can_be_apart", lambda request: None)


def told(mended: Mended) -> str:
    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    show(mended, console)
    return console.export_text()


def test_a_file_and_its_masks(tmp_path: Path) -> None:
    """Softmax twice, statistics never loaded, and ids that begin at 1."""
    import keras

    import segdoctor

    data = write_voc_folder(tmp_path / "voc", 8, 2, size=(64, 64), classes=CLASSES, seed=0)
    for path in (data / "SegmentationClass").iterdir():
        ids = np.asarray(Image.open(path)).astype(int)
        Image.fromarray(np.where(ids == 255, 255, ids + 1).astype(np.uint8)).save(path)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64, 64, 3))
    h = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    h = keras.layers.BatchNormalization(name="bn", trainable=False)(h)
    h = keras.layers.Conv2D(CLASSES, 1, activation="softmax")(keras.layers.ReLU()(h))
    model = keras.Model(inputs, keras.layers.UpSampling2D(1)(h))
    bn = model.get_layer("bn")
    bn.set_weights([w + 0.1 if i == 1 else w for i, w in enumerate(bn.get_weights())])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    model.compile(keras.optimizers.Adam(3e-2), loss)
    file = tmp_path / "net.keras"
    model.save(file)
    held = file.read_bytes()
    small = Trial(budget_s=60, steps=30, crop=64, batch=4)
    mended = fix(file, str(data), to=str(tmp_path / "fixed"), trial=small)
    codes = {finding.code for finding in mended.plan.confirmed}
    assert {"BN004", "LBL008", "OUT001"} <= codes, told(mended)
    assert mended.exit_code == 0
    assert file.read_bytes() == held
    text = told(mended)
    assert "--masks" in text
    assert "from_logits=False" in text
    masks = tmp_path / "fixed" / "data" / "masks_fixed"
    again = segdoctor.check(
        str(tmp_path / "fixed" / "net.keras"), str(data), masks=str(masks), trial=False
    )
    assert [f.code for f in again.findings if f.severity == "error"] == []
    with pytest.raises(UserError, match="nothing is overwritten"):
        fix(file, str(data), to=str(tmp_path / "fixed"), trial=small)


def test_a_script_gets_a_diff(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(SCRIPTS)
    small = Trial(budget_s=60, steps=30, crop=16, batch=4)
    mended = fix("arrays.py", to=str(tmp_path / "fixed"), trial=small, select="OUT001")
    assert [finding.code for finding in mended.plan.confirmed] == ["OUT001"]
    assert "+++ b/arrays.py" in mended.diffs[0]
    assert "from_logits=False" in mended.diffs[0]
    assert not (tmp_path / "fixed").exists()
    assert "it was not changed" in told(mended)


def test_what_cannot_be_asked_for_is_one_line(tmp_path: Path) -> None:
    for words, options in (
        ("expected --trial auto", {"target": "m.h5", "trial": False}),
        ("takes no arguments", {"target": "m.h5", "args": ["3"]}),
        ("expected no --data", {"target": "train.py", "data": "voc"}),
        ("nothing is overwritten", {"target": "m.h5", "to": str(tmp_path)}),
    ):
        with pytest.raises(UserError, match=words):
            fix(**{"to": str(tmp_path / "new"), **options})
