"""The diff of a script: one plain place, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segdoctor.remedy.script_diff import diff_of

IGNORE = {"loss.ignore_class": 255}
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)", IGNORE,
     "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)"),
    ("loss = SparseCategoricalCrossentropy()", IGNORE,
     "loss = SparseCategoricalCrossentropy(ignore_class=255)"),
    ("loss = SparseCategoricalCrossentropy(from_logits=True,)", {"loss.from_logits": False},
     "loss = SparseCategoricalCrossentropy(from_logits=False,)"),
    ("import keras\nm.compile('adam', 'sparse_categorical_crossentropy')", IGNORE,
     "m.compile('adam', keras.losses.SparseCategoricalCrossentropy(ignore_class=255))"),
    ("import tensorflow as tf\nm.compile(loss='binary_crossentropy')", {"loss.from_logits": True},
     "m.compile(loss=tf.keras.losses.BinaryCrossentropy(from_logits=True))"),
    ("opt = optimizers.Adam(learning_rate=1e-9)", {"optimizer.learning_rate": 0.001},
     "opt = optimizers.Adam(learning_rate=0.001)"),
    ("from tensorflow import keras as k\nm.compile('adadelta', f)",
     {"optimizer.name": "Adam", "optimizer.learning_rate": 0.001},
     "m.compile(k.optimizers.Adam(0.001), f)"),
    ("x = layers.Conv2D(21, 1, activation='softmax')(é)", {"head.activation": "remove"},
     "x = layers.Conv2D(21, 1, activation=None)(é)"),
    ("é = layers.Activation('sigmoid')(x)", {"head.activation": "remove"},
     "é = layers.Activation(None)(x)"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "patch", "wanted"), CASES, ids=lambda v: str(v)[:24])
def test_one_plain_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, patch: Any, wanted: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train.py"
    path.write_text(f"# naïve\n{source}\nprint('ready')\n")
    before = path.read_bytes()
    diff, covered = diff_of("train.py", patch)
    assert f"\n+{wanted}\n" in diff
    assert diff.startswith("--- a/train.py\n+++ b/train.py\n@@")
    assert set(covered) == set(patch)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("source", "patch"),
    [
        ("a = SparseCategoricalCrossentropy()\nb = SparseCategoricalCrossentropy()", IGNORE),
        ("loss = my_own_loss", IGNORE),
        ("loss = CategoricalCrossentropy()", IGNORE),  # it has no ignore_class
        ("m.compile('adam', dice)", {"optimizer.learning_rate": 1e-3, "bn.freeze": True}),
        ("x = Conv2D(9, 1, activation='relu')(x)", {"head.activation": "remove"}),
        ("def (:", IGNORE),
    ],
)
def test_no_plain_place_no_diff(tmp_path: Path, source: str, patch: Any) -> None:
    path = tmp_path / "train.py"
    path.write_text(source)
    diff, covered = diff_of(str(path), patch)
    if "optimizer.learning_rate" in patch:  # 'adam' by its name is plain
        assert covered == ("optimizer.learning_rate",)
        return
    assert (diff, covered) == ("", ())
