"""``segdoctor.check`` on live objects of every kind; everything is left as it was."""

from __future__ import annotations

import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import segdoctor
from segdoctor.core.errors import UserError
from segdoctor.sources import patience

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")
import keras
import tensorflow as tf

QUICK = segdoctor.Trial(budget_s=30, steps=25)
SIDE, CLASSES = 32, 3


def scenes(count: int = 4, void: int | None = 255) -> tuple[np.ndarray, np.ndarray]:
    """Images in [-1, 1] whose colour tells the class, and ids with a void ring."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 0.1, (count, SIDE, SIDE, 3)).astype(np.float32)
    y = np.zeros((count, SIDE, SIDE), np.int32)
    for i in range(count):
        label = 1 + i % (CLASSES - 1)
        y[i, 6:26, 6:26] = 255 if void else label
        y[i, 8:24, 8:24] = label
        x[i, 7:25, 7:25, label] += 0.8
    return np.clip(x, -1, 1), y


def net(kind=keras, head: str | None = None, classes: int = CLASSES):
    kind.utils.set_random_seed(1)
    layers = kind.layers
    inputs = layers.Input((SIDE, SIDE, 3))
    x = inputs
    for width in (16, 16):
        x = layers.Conv2D(width, 3, padding="same")(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.Dropout(0.1)(x)
    return kind.Model(inputs, layers.Conv2D(classes, 1, activation=head, name="head")(x))


def right(kind=keras, **options):
    return kind.losses.SparseCategoricalCrossentropy(
        **({"from_logits": True, "ignore_class": 255} | options)
    )


def errors(report) -> list[str]:
    return [f.code for f in report.findings if f.severity == "error" and not f.because_of]


def test_a_healthy_run() -> None:
    report = segdoctor.check(
        net(), scenes(), loss=right(), optimizer=keras.optimizers.Adam(1e-2), trial=QUICK
    )
    assert (errors(report), report.exit_code, report.diagnosis) == ([], 0, ())
    assert report.trials[0].verdict == "learns"


def test_a_sick_run_and_its_report() -> None:
    report = segdoctor.check(
        net(),
        scenes(),
        loss=right(from_logits=False),
        optimizer=keras.optimizers.Adam(1e-2),
        trial=QUICK,
    )
    assert errors(report)[0] == "OUT002"
    assert report.exit_code == 1
    assert report.findings[0].verdict.status == "confirmed"
    assert report.diagnosis[0] == "OUT002"
    assert list(report.frame()["code"]) == [f.code for f in report.findings]
    assert "OUT002" in report._repr_html_()
    assert "OUT002" in str(report)


def test_everything_is_as_it_was() -> None:
    model = net()
    model.compile(keras.optimizers.Adam(1e-2), right(from_logits=False))
    x, y = scenes()
    model.fit(x, y, epochs=1, verbose=0)
    model.layers[1].trainable = False
    before = [
        [np.array(w) for w in model.get_weights()],
        [v.numpy() for v in model.optimizer.variables],
        [layer.trainable for layer in model.layers],
        (x.copy(), y.copy()),
    ]
    random.seed(3)
    np.random.seed(4)
    tf.random.set_seed(5)
    state = (random.getstate(), np.random.get_state()[1].copy())
    kept = (model.loss, model.optimizer, model.train_function)
    segdoctor.check(model, (x, y), trial=segdoctor.Trial(budget_s=20, steps=5))
    assert all(np.array_equal(a, b) for a, b in zip(before[0], model.get_weights(), strict=True))
    slots = [v.numpy() for v in model.optimizer.variables]
    assert all(np.array_equal(a, b) for a, b in zip(before[1], slots, strict=True))
    assert before[2] == [layer.trainable for layer in model.layers]
    assert np.array_equal(before[3][0], x)
    assert np.array_equal(before[3][1], y)
    assert random.getstate() == state[0]
    assert np.array_equal(np.random.get_state()[1], state[1])
    assert (model.loss, model.optimizer, model.train_function) == kept


def test_what_it_was_compiled_with_is_used() -> None:
    model = net(head="softmax")
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    report = segdoctor.check(model, scenes(), trial=QUICK)
    assert errors(report)[0] == "IGN003" or "IGN009" in report.codes
    x, y = scenes(void=None)
    assert errors(segdoctor.check(model, (x, y), trial=QUICK)) == []


@pytest.mark.parametrize("form", ["dataset", "generator", "callable", "list of batches"])
def test_every_kind_of_data_gives_the_same_answer(form: str) -> None:
    x, y = scenes()

    def batches():
        yield x, y
        yield x, y

    data = {
        "dataset": lambda: tf.data.Dataset.from_tensor_slices((x, y)).batch(4),
        "generator": batches,
        "callable": lambda: batches,
        "list of batches": lambda: tf.data.Dataset.from_generator(
            batches,
            output_signature=(
                tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32),
                tf.TensorSpec((None, SIDE, SIDE), tf.int32),
            ),
        ),
    }[form]()
    report = segdoctor.check(net(), data, loss=right(ignore_class=None), trial=False)
    assert "IGN003" in errors(report) or "IGN009" in report.codes


def test_tf_keras_models_are_taken() -> None:
    tf_keras = pytest.importorskip("tf_keras")
    model = net(tf_keras)
    good = segdoctor.check(
        model,
        scenes(void=None),
        loss=right(tf_keras, ignore_class=None),
        optimizer=tf_keras.optimizers.Adam(1e-2),
        trial=QUICK,
    )
    assert errors(good) == []
    # Its ignore_class divides by the valid pixels, none in an all-void crop: its own habit.
    void = segdoctor.check(model, scenes(), loss=right(tf_keras), trial=False)
    assert errors(void) == []
    assert [f.code for f in void.findings if f.severity == "warning"] == ["LOSS004"]
    sick = segdoctor.check(model, scenes(), loss=right(tf_keras, from_logits=False), trial=False)
    assert errors(sick)[0] == "OUT002"


class Subclassed(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.conv = keras.layers.Conv2D(16, 3, padding="same", activation="relu")
        self.head = keras.layers.Conv2D(CLASSES, 1)

    def call(self, x):
        return self.head(self.conv(x))


def test_a_subclassed_net_is_examined() -> None:
    model = Subclassed()
    model(np.zeros((1, SIDE, SIDE, 3), np.float32))
    adam = keras.optimizers.Adam(1e-2)
    assert errors(segdoctor.check(model, scenes(), loss=right(), optimizer=adam, trial=QUICK)) == []
    sick = segdoctor.check(model, scenes(), loss=right(from_logits=False), trial=False)
    assert errors(sick)[0] == "OUT002"


def test_without_data_only_the_graph_is_examined() -> None:
    report = segdoctor.check(net(), loss=right())
    states = {o.code: (o.status, o.reason) for o in report.outcomes}
    assert states["OUT002"][0] == "not examined"
    assert "--data" in states["GRAD002"][1]
    assert report.diagnosis is None
    assert report.exit_code == 0


def test_without_a_loss_a_right_one_stands_in() -> None:
    report = segdoctor.check(net(), scenes(), ignore_label=255, trial=QUICK)
    assert errors(report) == []
    assert "stand-in" in report.run["loss"]
    assert {o.code: o.status for o in report.outcomes}["OUT002"] == "not examined"


def test_the_same_seed_gives_the_same_document() -> None:
    model = net()

    def document():
        trial = segdoctor.Trial(budget_s=60, steps=5)
        report = segdoctor.check(model, scenes(), loss=right(), trial=trial)
        told = report.to_dict()
        told.pop("timings")
        for run in told["trials"]:
            run.pop("seconds")
        for outcome in told["outcomes"]:
            outcome.pop("seconds", None)
        return told

    assert document() == document()


def test_a_budget_is_kept() -> None:
    report = segdoctor.check(
        net(), scenes(), loss=right(), trial=segdoctor.Trial(budget_s=4, steps=100_000)
    )
    assert report.timings["trial"] < 4 * 1.1 + 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": 3}, "expected a Keras model or a path"),
        ({"data": (np.zeros((2, 4)), np.zeros(3))}, "data"),
        ({"loss": "no_such_loss"}, "no_such_loss"),
        ({"optimizer": "no_such"}, "no_such"),
        ({"select": "BN999"}, "unknown code"),
        ({"trial": "soon"}, "trial"),
        ({"fail_on": "info"}, "fail_on"),
        ({"device": "gpu:9"}, "device"),
        ({"freeze": "no_such_layer"}, "no_such_layer"),
    ],
)
def test_a_mistake_is_one_line(arguments, words) -> None:
    given = {"model": net(), "data": scenes(), **arguments}
    with pytest.raises(UserError) as caught:
        segdoctor.check(given.pop("model"), given.pop("data"), **given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ctrl_c_keeps_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("segdoctor.trial.overfit._Course.train", interrupt)
    report = segdoctor.check(net(), scenes(), loss=right(from_logits=False), trial=QUICK)
    assert report.exit_code == 130
    assert errors(report) == ["OUT002"]
    assert report.diagnosis is None


@pytest.mark.skipif(os.name != "posix", reason="no alarm here (Windows)")
def test_a_hanging_generator_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def batches():
        yield scenes(2)
        threading.Event().wait()

    monkeypatch.setattr(patience, "BATCH_LIMIT_S", 0.3)
    report = segdoctor.check(net(), batches(), loss=right(), trial=False)
    assert report.exit_code == 3
    assert "batch 2 of the generator did not come within 0.3 s" in report.headline
    assert report.diagnosis is None


PIPELINE = """
import numpy as np

def make():
    for start in (0, 4):
        yield X[start:start + 4], Y[start:start + 4]
    {change}

from PIL import Image
from pathlib import Path
HERE = Path(__file__).parent / "set"
NAMES = sorted(path.stem for path in (HERE / "images").glob("*.png"))
X = np.stack([np.asarray(Image.open(HERE / f"images/{{n}}.png")) for n in NAMES]) / 127.5 - 1
Y = np.stack([np.asarray(Image.open(HERE / f"masks/{{n}}.png")) for n in NAMES]).astype("int32")
Y = np.where(Y == 255, {void}, Y)
"""


@pytest.mark.parametrize(("void", "expected"), [(255, False), (0, True)])
def test_batches_of_a_file_of_mine_beside_the_files_of_a_url(
    void: int, expected: bool, tmp_path: Path
) -> None:
    x, y = scenes(8)
    x = x + np.random.default_rng(0).normal(0, 0.2, (8, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    for part, pixels in (("images", (np.clip(x, -1, 1) + 1) * 127.5), ("masks", y)):
        (tmp_path / "set" / part).mkdir(parents=True)
        for i, picture in enumerate(pixels.astype(np.uint8)):
            Image.fromarray(picture).save(tmp_path / "set" / part / f"{i}.png")
    (tmp_path / "pipeline.py").write_text(PIPELINE.format(change="", void=void))
    report = segdoctor.check(
        net(),
        f"{tmp_path / 'pipeline.py'}:make",
        files=f"file://{tmp_path / 'set'}",
        ignore_label=255,
        loss=right(),
        trial=False,
        select="IGN007",
    )
    assert ("IGN007" in report.codes) is expected
    assert any("8 of 8 examples are whole pictures of the files" in n for n in report.notes)


def test_a_ctrl_c_that_becomes_another_exception_ends_the_examination(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where it comes while TensorFlow calls Python."""
    from segdoctor.examination import recording

    def torn(*given: Any) -> Any:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise SystemError("bad argument to internal function") from None

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        pytest.skip("no Ctrl-C here")
    x = np.zeros((2, 8, 8, 3), np.float32)
    y = np.arange(2 * 64).reshape(2, 8, 8) % 3
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1)])
    monkeypatch.setattr(recording, "record", torn)
    report = segdoctor.check(model, (x, y), loss="mse", trial=False)
    assert report.exit_code == 130
    assert any("interrupted" in note for note in report.notes)
