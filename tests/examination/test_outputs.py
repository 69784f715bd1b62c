"""A model of several outputs: each with its own loss, labels and metrics, whatever holds them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import segdoctor
from segdoctor.core.engine import examine
from segdoctor.core.trace import Trace
from segdoctor.examination.outputs import part_of, views_of
from segdoctor.examination.request import Request
from segdoctor.examination.training import training_of
from segdoctor.probes.callbacks import MonitorAbsent

SIDE, CLASSES = 16, 3


@pytest.fixture(scope="module")
def two_heads() -> Any:
    """``main`` ends in softmax; of ``deep`` the softmax is resized."""
    import keras

    layers = keras.layers
    image = layers.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    main = layers.Conv2D(CLASSES, 1, activation="softmax", name="main")(x)
    deep = layers.Conv2D(CLASSES, 1, strides=2, activation="softmax")(x)
    deep = layers.UpSampling2D(2, name="deep")(deep)
    return keras.Model(image, [main, deep])


def arrays() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, CLASSES, (2, 4, 4)).repeat(4, 1).repeat(4, 2).astype(np.int32)
    return rng.random((2, SIDE, SIDE, 3), dtype=np.float32), ids


def test_parts() -> None:
    assert part_of({"a": 1, "b": 2}, 0, "b") == 2
    assert part_of([1, 2], 1, "b") == 2
    assert part_of([1], 1, "b") is None
    assert part_of("mse", 1, "b") == "mse"


@pytest.mark.parametrize("kind", ["lists", "dicts in a generator"])
def test_the_sick_output_is_named(two_heads: Any, kind: str) -> None:
    import keras

    x, ids = arrays()
    right = keras.losses.SparseCategoricalCrossentropy()
    twice = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss, y, data = {"main": right, "deep": twice}, {"main": ids, "deep": ids}, None
    if kind == "lists":
        loss, y = list(loss.values()), list(y.values())  # type: ignore[assignment]
        data = (x, y)
    report = segdoctor.check(
        two_heads,
        data or ((x, y) for _ in range(3)),
        loss=loss,
        optimizer="adam",
        trial=False,
        select=("OUT", "LOSS"),
    )
    errors = [f for f in report.findings if f.severity == "error"]
    assert [f.code for f in errors] == ["OUT001"]
    assert errors[0].message.startswith("Output deep: ")
    assert report.exit_code == 1
    assert report.diagnosis != ()
    titles = [table["title"] for table in report.measured["tables"]]
    assert sum("What the loss expects" in title for title in titles) == 2


def test_a_declared_number_of_classes_is_of_the_outputs_that_have_as_many(two_heads: Any) -> None:
    import keras

    edge = keras.layers.Conv2D(1, 1, activation="sigmoid", name="edge")(two_heads.layers[1].output)
    model = keras.Model(two_heads.input, {"main": two_heads.outputs[0], "edge": edge})
    views, _, _ = views_of(Request(model=model, num_classes=CLASSES))
    told = {view.name: view.request.num_classes for view in views}
    assert told == {"edge": None, "main": CLASSES}
    views, _, _ = views_of(Request(model=model, num_classes=7))
    assert {view.request.num_classes for view in views} == {7}


def test_a_callback_may_watch_each_output(two_heads: Any) -> None:
    import keras

    watch = [
        keras.callbacks.EarlyStopping("val_main_miou", mode="max"),
        keras.callbacks.EarlyStopping("val_deep_loss", mode="min"),
    ]
    metrics = {name: [keras.metrics.MeanIoU(CLASSES, name="miou")] for name in ("main", "deep")}
    request = Request(
        model=two_heads, metrics=metrics, callbacks=watch, validation_data=arrays(), loss="mse"
    )
    (first, _), _, _ = views_of(request)
    facts = training_of(first.request, first.request.model)
    known = Trace({"training": facts})
    assert examine(MonitorAbsent(), known).status == "clear"
    typo = replace(facts, callbacks=(replace(facts.callbacks[0], monitor="val_main_iou"),))  # type: ignore[index]
    assert examine(MonitorAbsent(), Trace({"training": typo})).status == "fired"


def test_an_output_without_a_loss_is_left_out(two_heads: Any) -> None:
    views, notes, _ = views_of(Request(two_heads, loss={"main": "mse"}, optimizer="adam"))
    assert [view.name for view in views] == ["main"]
    assert "deep" in notes[0]


def test_one_output_is_no_matter_of_views(two_heads: Any) -> None:
    import keras

    single = keras.Model(two_heads.inputs, two_heads.outputs[0])
    assert views_of(Request(single, loss="mse"))[:2] == ((), ())
    assert views_of(Request("file.keras"))[:2] == ((), ())


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_loss_that_a_layer_adds_is_asked(from_logits: bool) -> None:
    import keras

    class EndPoint(keras.layers.Layer):  # type: ignore[misc]
        def call(self, mask: Any, output: Any) -> Any:
            loss = keras.losses.sparse_categorical_crossentropy(mask, output, from_logits)
            self.add_loss(keras.ops.mean(loss))
            return output

    layers = keras.layers
    image, mask = layers.Input((SIDE, SIDE, 3)), layers.Input((SIDE, SIDE), dtype="int32")
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = layers.UpSampling2D(1)(layers.Conv2D(CLASSES, 1, activation="softmax")(x))
    model = keras.Model([image, mask], EndPoint(name="end")(mask, x))
    model.compile("adam")
    report = segdoctor.check(model, (list(arrays()),), trial=False, select=("OUT", "LOSS"))
    assert "add_loss" in report.notes[0]
    assert [f.code for f in report.findings] == (["OUT001"] if from_logits else [])
    assert {o.status for o in report.outcomes if o.code.startswith("LOSS0")} == {"clear"}
    assert not model.losses


class Twice:
    """What makes a subclassed net of two heads; ``kind`` says what holds its outputs."""

    def __new__(cls, kind: str) -> Any:
        import keras

        class Net(keras.Model):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.main = keras.layers.Conv2D(CLASSES, 1, activation="softmax")
                self.deep = keras.layers.Conv2D(CLASSES, 1)

            def call(self, x: Any) -> Any:
                main, deep = self.main(x), self.deep(x)
                return {"a": main, "b": deep} if kind == "dict" else [main, deep]

        net = Net()
        net(arrays()[0])
        return net


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_outputs_of_a_subclassed_net(kind: str) -> None:
    x, ids = arrays()
    loss: Any = "sparse_categorical_crossentropy"
    names = ["a", "b"] if kind == "dict" else ["0", "1"]
    given = (dict.fromkeys(names, loss), dict.fromkeys(names, ids))
    losses, y = given if kind == "dict" else (list(given[0].values()), list(given[1].values()))
    data = ((x, y) for _ in range(2))
    report = segdoctor.check(
        Twice(kind), data, loss=losses, optimizer="adam", trial=False, select=("OUT",)
    )
    errors = [f for f in report.findings if f.severity == "error"]
    assert [f.code for f in errors] == ["OUT002"]
    assert errors[0].message.startswith(f"Output {names[1]}: ")
    assert report.headline.startswith(f"Output {names[1]}: ")
    assert {o.code: o.status for o in report.outcomes}["OUT002"] == "fired"


def test_outputs_of_a_file(two_heads: Any, tmp_path: Any) -> None:
    import keras

    x, ids = arrays()
    path = tmp_path / "two.keras"
    right = keras.losses.SparseCategoricalCrossentropy()
    twice = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    two_heads.compile("adam", loss=[right, twice], metrics=[["accuracy"], ["accuracy"]])
    two_heads.save(path)
    report = segdoctor.check(path, (x, [ids, ids]), trial=False, select=("OUT", "MET"))
    errors = [f for f in report.findings if f.severity == "error"]
    assert [f.code for f in errors] == ["OUT001"]
    assert errors[0].message.startswith("Output deep: ")


@pytest.mark.parametrize("way", ["a tensor", "a layer"])
def test_what_tf_keras_adds_is_cut_off_at_the_scores(way: str) -> None:
    legacy = pytest.importorskip("tf_keras")
    layers, function = legacy.layers, legacy.losses.sparse_categorical_crossentropy

    class EndPoint(layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, mask: Any, output: Any) -> Any:
            self.add_loss(legacy.backend.mean(function(mask, output)))
            return output

    image, mask = layers.Input((SIDE, SIDE, 3)), layers.Input((SIDE, SIDE), dtype="int32")
    scores = layers.Conv2D(CLASSES, 1)(layers.Conv2D(4, 3, padding="same")(image))
    given = EndPoint()(mask, scores) if way == "a layer" else scores
    model = legacy.Model([image, mask], given)
    if way == "a tensor":
        model.add_loss(legacy.backend.mean(function(mask, scores)))
    model.compile("adam")
    report = segdoctor.check(model, (list(arrays()),), trial=False, select=("OUT",))
    assert "add_loss" in report.notes[0]
    assert [f.code for f in report.findings] == ["OUT002"]


def test_a_loss_inside_the_call_of_a_subclassed_net_is_one_line() -> None:
    from segdoctor.core.errors import UserError

    with pytest.raises(UserError, match="takes the labels as an input"):
        segdoctor.check(Twice("dict"), (list(arrays()),), trial=False)


def test_an_output_without_a_channel_axis() -> None:
    import keras

    layers = keras.layers
    image = layers.Input((SIDE, SIDE, 3))
    scores = layers.Conv2D(1, 3, padding="same")(image)
    model = keras.Model(image, layers.Reshape((SIDE * SIDE,))(scores))
    x, ids = arrays()
    data = (x, (ids > 0).reshape(2, -1).astype(np.float32))
    codes = []
    for loss in (keras.losses.BinaryCrossentropy(from_logits=True), "binary_crossentropy"):
        report = segdoctor.check(model, data, loss=loss, trial=False, select=_ASKED)
        codes.append([f.code for f in report.findings])
    assert codes == [[], ["OUT002"]]


_ASKED = ("OUT", "LOSS", "LBL")


def test_a_generator_of_one_batch_is_not_used_up() -> None:
    import keras

    x, ids = arrays()

    class One(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.head = keras.layers.Conv2D(CLASSES, 1)

        def call(self, x: Any) -> Any:
            return self.head(x)

    net = One()
    net(x)
    loss = "sparse_categorical_crossentropy"
    report = segdoctor.check(net, iter([(x, ids)]), loss=loss, trial=False, select=("OUT",))
    assert [f.code for f in report.findings] == ["OUT002"]
