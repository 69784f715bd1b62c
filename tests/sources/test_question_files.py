"""Files of every generation of the question's model: rebuilt with safe layers, the same outputs.

Small nets with the layers that its files hold (the table of versions): ``BilinearUpsampling`` and
``relu6`` by name (2018), ``relu6`` and Lambda bytecode (2019), Lambda bytecode alone (2020), and
``Resizing`` (2021). Each is written by tf_keras and runs there as its author meant it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.sources.model_file import open_model_file

tf_keras = pytest.importorskip("tf_keras")
tf = pytest.importorskip("tensorflow")
K = tf_keras.backend

from segdoctor.sources.model_file.rebuild import rebuild  # noqa: E402 - needs Keras, see above

GENERATIONS = ("2018", "2019", "2020", "2021")


def relu6(x: Any) -> Any:
    return tf.nn.relu6(x)


class BilinearUpsampling(tf_keras.layers.Layer):  # type: ignore[misc]
    def __init__(self, output_size: Any = None, upsampling: Any = (2, 2), **rest: Any) -> None:
        super().__init__(**rest)
        self.output_size, self.upsampling = output_size, upsampling

    def call(self, inputs: Any) -> Any:
        size = self.output_size
        if size is None:
            size = [s * f for s, f in zip(inputs.shape[1:3], self.upsampling, strict=True)]
        return tf.compat.v1.image.resize_bilinear(inputs, size, align_corners=True)

    def get_config(self) -> dict[str, Any]:
        own = {"output_size": self.output_size, "upsampling": self.upsampling}
        return {**super().get_config(), **own}


def expanded(x: Any, generation: str) -> Any:
    layers = tf_keras.layers
    if generation == "2018":
        return layers.Reshape((1, 1, int(x.shape[-1])))(x)
    x = layers.Lambda(lambda x: K.expand_dims(x, 1))(x)
    return layers.Lambda(lambda x: K.expand_dims(x, 1))(x)


def resized(x: Any, like: Any, generation: str) -> Any:
    before = tf_keras.backend.int_shape(like)
    layers = tf_keras.layers
    if generation == "2018":
        factors = [like.shape[i] // x.shape[i] for i in (1, 2)]
        whole = all(x.shape[i] * f == like.shape[i] for i, f in zip((1, 2), factors, strict=True))
        if whole and x.shape[1] > 1:
            return BilinearUpsampling(upsampling=tuple(factors))(x)
        return BilinearUpsampling(output_size=before[1:3])(x)
    if generation == "2021":
        return layers.Resizing(before[1], before[2], interpolation="bilinear")(x)
    return layers.Lambda(
        lambda x: tf.compat.v1.image.resize(
            x, before[1:3], method="bilinear", align_corners=True
        )
    )(x)  # fmt: skip


def original(generation: str) -> Any:
    layers = tf_keras.layers
    image = layers.Input((34, 34, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.BatchNormalization(momentum=0.999)(x)
    by_name = generation in ("2018", "2019")
    x = layers.Activation(relu6)(x) if by_name else layers.ReLU(6.0)(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    pooled = expanded(layers.GlobalAveragePooling2D()(x), generation)
    pooled = resized(layers.Conv2D(8, 1, activation="relu")(pooled), x, generation)
    x = layers.Concatenate()([pooled, x])
    x = layers.Conv2D(5, 1, name="custom_logits_semantic")(x)
    return tf_keras.Model(image, resized(x, image, generation))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    folder = tmp_path_factory.mktemp("generations")
    found = {}
    for generation in GENERATIONS:
        model = original(generation)
        rng = np.random.default_rng(0)
        model.set_weights([rng.uniform(0.05, 0.4, w.shape) for w in model.get_weights()])
        path = folder / f"{generation}.h5"
        model.save(path)
        found[generation] = (path, model)
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("generation", GENERATIONS)
def test_rebuilt_without_trust(files: dict[str, tuple[Path, Any]], generation: str) -> None:
    path, model = files[generation]
    opened = open_model_file(path)
    assert not [item for item in opened.facts.code if item.runs and item.recognised is None]
    assert not opened.facts.not_loadable
    assert opened.facts.graph.output_shapes == ((None, 34, 34, 5),)
    rebuilt, _ = rebuild(opened)
    x = np.random.default_rng(1).uniform(-1, 1, (2, 34, 34, 3)).astype("float32")
    expected = np.asarray(model(x, training=False))
    np.testing.assert_allclose(np.asarray(rebuilt(x, training=False)), expected, atol=1e-5)


def test_the_whole_examination_takes_it_without_trust(
    files: dict[str, tuple[Path, Any]],
) -> None:
    """The report says what was replaced; the run is recorded, so it does not end with 4."""
    import segdoctor

    x = np.random.default_rng(1).uniform(-1, 1, (2, 34, 34, 3)).astype("float32")
    y = np.random.default_rng(2).integers(0, 5, (2, 34, 34))
    report = segdoctor.check(
        str(files["2020"][0]), (x, y), loss="SparseCategoricalCrossentropy(from_logits=True)",
        optimizer="adam", trial=False,
    )  # fmt: skip
    assert report.exit_code != 4
    (known,) = [finding for finding in report.findings if finding.code == "MDL001"]
    assert known.severity == "info"
    assert "align_corners=True" in known.message
    assert next(o for o in report.outcomes if o.code == "GRAD001").status in ("clear", "fired")
