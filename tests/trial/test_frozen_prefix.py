"""A frozen part is computed once: what the rest makes of it is what the whole net gives."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")
import keras

from segdoctor.core.run import Batch, Run
from segdoctor.recorder.frozen_prefix import split_at_frozen
from segdoctor.trial.bench import Bench
from segdoctor.trial.clinic import Clinic
from segdoctor.trial.clock import Clock
from segdoctor.trial.overfit import Exam, TooLargeError
from segdoctor.trial.traced import TracedNet
from segdoctor.trial.treatments import Tools
from tests.recorder import nets

X, Y = nets.batch(examples=4)


def frozen(kind=keras, **options):
    model = nets.functional(kind, **options)
    for layer in model.layers:
        layer.trainable = layer.name.startswith(("c_", "head", "dropout"))
    return model


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_rest_on_the_features_is_the_whole(package: str) -> None:
    kind = pytest.importorskip(package)
    model = frozen(kind)
    prefix, rest = split_at_frozen(model)
    whole = np.asarray(model(X, training=True))
    features = prefix(X, training=False)
    features = features[0] if isinstance(features, list) else features
    assert np.allclose(np.asarray(rest(features, training=True)), whole, atol=1e-5)
    pairs = zip(rest.trainable_variables, model.trainable_variables, strict=True)
    assert all(ours is theirs for ours, theirs in pairs)


def test_what_changes_is_never_taken_for_frozen() -> None:
    assert split_at_frozen(nets.functional(keras)) is None
    model = frozen()
    model.get_layer("a_bn").trainable = True  # it gathers statistics: nothing behind it is still
    assert split_at_frozen(model) is None
    image = keras.Input((16, 16, 3))
    x = keras.layers.Dropout(0.5)(image)
    for name in "abc":
        x = keras.layers.Conv2D(4, 3, name=name, trainable=False)(x)
    noisy = keras.Model(image, keras.layers.Conv2D(4, 1)(x))
    assert split_at_frozen(noisy) is None
    # Before tf.keras 2 a frozen BN used the batch: there is nothing that stays the same.
    assert not TracedNet(Run(frozen(), flavour="keras2.1.3-2.3.1")).frozen_part
    assert TracedNet(Run(frozen())).frozen_part


def bench(model, steps: int | None = 5) -> Bench:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    run = Run(model, Batch(x=X, y=Y), loss=loss, optimizer=keras.optimizers.Adam(1e-3))
    tools = Tools(ids=Y, void=None, classes=4, right_loss=lambda run: loss)
    exam = Exam(ids=Y, void=None, kind="logits", class_axis=-1, grid=Y.shape[1:])
    return Bench(Clinic(run, tools), exam, Clock(60), steps, lambda *told: None)


def test_the_same_trial_twice_is_the_same() -> None:
    one = bench(frozen(dropout=0.5))
    first, second = one.train("as it is", {}), one.train("again", {})
    assert first.steps == 5
    assert np.allclose([c[1] for c in first.curve], [c[1] for c in second.curve], rtol=1e-5)


def test_out_of_memory_halves_the_batch_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from segdoctor.trial import bench as room

    real, sizes = room.overfit, []

    def scarce(run, exam, **options):
        sizes.append((len(run.batch.x), len(exam.ids)))
        if len(run.batch.x) > 2:
            raise TooLargeError("OOM when allocating")
        return real(run, exam, **options)

    monkeypatch.setattr(room, "overfit", scarce)
    one = bench(nets.functional(keras), steps=2)
    assert one.train("as it is", {}).steps == 2
    assert sizes == [(4, 4), (2, 2)]
    assert one.notes == ["trial 'as it is': out of memory; from here on with 2 of 4 examples"]
