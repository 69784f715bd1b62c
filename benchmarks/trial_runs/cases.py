"""The fifty runs: thirty sick ones with one or two faults, twenty healthy ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trial_runs.run import Case
from benchmarks.trial_runs.small import CLASSES, SIDE, Small, adam, sparse

# True of a home-made loss or a net from scratch on real pairs, whatever else is planted.
FACES = {
    "loss": ("TRIAL006",),
    "model": ("TRIAL004",),
    "data": ("TRIAL005",),
    "optimizer": ("TRIAL007",),
}


def small_cases(data: Path) -> Iterator[Case]:
    yield from _known(Small(data))
    yield from _unknown(Small(data))
    yield from _healthy(Small(data))


def given(s: Small, **changes: Any) -> dict[str, Any]:
    """The healthy run, with something in another way."""
    run = {"x": s.x, "y": s.ids, "loss": None, "optimizer": None, "model": None} | changes
    return {
        "model": run.pop("model") or s.net(),
        "data": (run.pop("x"), run.pop("y")),
        "loss": run.pop("loss") or sparse(),
        "optimizer": run.pop("optimizer") or adam(),
        "num_classes": CLASSES,
        **run,
    }


def _known(s: Small) -> Iterator[Case]:
    import keras

    from benchmarks.trial_runs import parts

    def case(name: str, causes: tuple[tuple[str, ...], ...], **options: Any) -> Any:
        symptoms = options.pop("symptoms", ())
        made = {key: options[key] for key in options}
        return Case(
            name, lambda: given(s, **{k: v() for k, v in made.items()}), causes, symptoms=symptoms
        )

    layers = keras.layers

    def probabilities() -> Any:
        return sparse(from_logits=False)

    slow = _adadelta
    yield case("logits into a probability loss", (("OUT002",),), loss=probabilities)
    yield case(
        "softmax twice",
        (("OUT003",),),
        model=lambda: s.net(activation="softmax", behind=layers.Softmax()),
        loss=probabilities,
    )
    yield case(
        "softmax, crop, logits loss",
        (("OUT001",),),
        model=lambda: s.net(
            activation="softmax",
            behind=lambda x: layers.Cropping2D(1)(layers.ZeroPadding2D(1)(x)),
        ),
    )
    yield case("void without ignore_class", (("IGN003",),), loss=lambda: sparse(ignore_class=None))
    yield case("Adadelta at 1e-4", (("OPT001",),), optimizer=slow)
    yield case(
        "Adam at 10", (("OPT002",),), optimizer=lambda: adam(10.0), symptoms=("GRAD003", "GRAD004")
    )
    yield case(
        "a Dice over one flat vector",
        (("LOSS006", "LOSS005"),),
        y=lambda: s.onehot_255,
        loss=lambda: parts.dice_of_gathered,
        symptoms=("LOSS002", "LOSS004"),
    )
    yield case(
        "ReLU on the logits",
        (("OUT007",),),
        model=lambda: s.net(activation="relu"),
    )
    yield case(
        "one-hot labels into a sparse loss",
        (("LBL001",),),
        y=lambda: s.onehot,
        loss=lambda: sparse(ignore_class=None),
    )
    yield case(
        "ids divided by 255",
        (("LBL007",),),
        y=lambda: s.no_void.astype(np.float32) / 255,
        symptoms=("LBL011",),
    )
    yield case(
        "all frozen before it was trained",
        (("GRAD007",),),
        symptoms=("MDL003",),
        model=lambda: _frozen(s.net()),
    )
    # Two faults.
    yield case(
        "probability loss, Adadelta at 1e-4",
        (("OUT002",), ("OPT001",)),
        loss=probabilities,
        optimizer=slow,
    )
    yield case(
        "no ignore_class, Adadelta at 1e-4",
        (("IGN003",), ("OPT001",)),
        loss=lambda: sparse(ignore_class=None),
        optimizer=slow,
    )
    yield case(
        "softmax twice, Adadelta at 1e-4",
        (("OUT003",), ("OPT001",)),
        model=lambda: s.net(activation="softmax", behind=layers.Softmax()),
        loss=probabilities,
        optimizer=slow,
    )


def _frozen(model: Any) -> Any:
    for layer in model.layers:
        layer.trainable = False
    return model


def _unknown(s: Small) -> Iterator[Case]:
    from benchmarks.trial_runs import parts

    def case(part: str, name: str, *others: tuple[str, ...], symptoms: Any = (), **how: Any) -> Any:
        made = dict(how)
        return Case(
            name,
            lambda: given(s, **{k: v() for k, v in made.items()}),
            (FACES[part], *others),
            unknown=True,
            symptoms=symptoms,
        )

    yield case(
        "model", "a layer that averages the map", model=lambda: s.net(behind=parts.SpatialMean())
    )
    yield case(
        "model",
        "a layer that turns the gradient around",
        model=lambda: s.net(behind=parts.ReversedGradient()),
    )
    yield case(
        "model",
        "a layer that shuffles the batch",
        model=lambda: s.net(behind=parts.ShuffledBatch()),
    )
    yield case("model", "a layer that adds much noise", model=lambda: s.net(behind=parts.Noise()))
    yield case("loss", "a loss of a strip of the picture", loss=lambda: parts.first_row_only)
    yield case(
        "loss", "a loss whose gradient is turned around", loss=lambda: parts.reversed_gradient
    )
    yield case("loss", "a loss whose gradient is averaged", loss=lambda: parts.averaged_gradient)
    yield case("optimizer", "an optimizer that climbs", optimizer=lambda: parts.Uphill(0.05))
    yield case("optimizer", "an optimizer that pulls back", optimizer=lambda: parts.Forgetful(0.05))
    yield case("optimizer", "an optimizer of noise", optimizer=lambda: parts.OneInTen(0.05))
    yield case("data", "labels shuffled pixel by pixel", y=lambda: _shuffled(s.ids))
    yield case("data", "one image, four labels", x=lambda: _one_image(s.x))
    yield case(
        "loss",
        "a loss whose gradient is turned around, Adadelta at 1e-4",
        ("OPT001",),
        loss=lambda: parts.reversed_gradient,
        optimizer=lambda: _adadelta(),
    )


def _adadelta() -> Any:
    import keras

    return keras.optimizers.Adadelta(1e-4)


def _shuffled(ids: Any) -> Any:
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(one.reshape(-1)).reshape(one.shape) for one in ids])


def _one_image(x: Any) -> Any:
    """The same picture four times under a little noise, beside four labels."""
    rng = np.random.default_rng(0)
    return np.stack([x[0] + rng.normal(0, 1e-3, x[0].shape).astype(np.float32) for _ in x])


def _healthy(s: Small) -> Iterator[Case]:
    import keras

    from benchmarks.trial_runs import parts

    def case(name: str, **how: Any) -> Case:
        made = dict(how)
        return Case(f"healthy: {name}", lambda: given(s, **{k: v() for k, v in made.items()}))

    layers, losses = keras.layers, keras.losses
    yield case("plain")
    yield case(
        "softmax and a probability loss",
        model=lambda: s.net(activation="softmax"),
        loss=lambda: sparse(from_logits=False),
    )
    yield case(
        "softmax last, rescued by Keras",
        model=lambda: s.net(activation="softmax"),
        y=lambda: s.onehot,
        loss=lambda: losses.CategoricalCrossentropy(from_logits=True),
    )
    yield case(
        "two classes, one sigmoid",
        model=lambda: s.net(channels=1, activation="sigmoid"),
        y=lambda: s.person,
        loss=lambda: losses.BinaryCrossentropy(),
        num_classes=lambda: 2,
    )
    yield case("dropout of a half", model=lambda: s.net(dropout=0.5))
    yield case("Adam at 1e-4", optimizer=lambda: adam(1e-4))
    yield case("SGD with momentum", optimizer=lambda: keras.optimizers.SGD(0.05, momentum=0.9))
    yield case("group normalisation", model=lambda: s.net(norm="group"))
    yield case("no normalisation", model=lambda: s.net(norm="none"))
    yield case(
        "label smoothing",
        y=lambda: s.onehot,
        loss=lambda: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
    )
    yield case("Dice beside cross-entropy", loss=lambda: parts.soft_dice_and_entropy)
    yield case("focal", loss=lambda: parts.focal)
    yield case(
        "flattened output",
        model=lambda: s.net(behind=layers.Reshape((SIDE * SIDE, CLASSES))),
        y=lambda: s.no_void.reshape(4, -1),
        loss=lambda: sparse(ignore_class=None),
    )
    yield case("half of the net frozen", model=lambda: _half_frozen(s))
    yield Case("healthy: tf_keras", lambda: _of_tf_keras(s))


def _half_frozen(s: Small) -> Any:
    """Trained a little, then frozen at the bottom, as a backbone is."""
    model = s.net()
    model.compile(adam(), sparse())
    model.fit(s.x, s.ids, epochs=30, verbose=0)
    for layer in model.layers[:7]:
        layer.trainable = False
    return model


def _of_tf_keras(s: Small) -> dict[str, Any]:
    import tf_keras

    return given(
        s,
        model=s.net(keras=tf_keras),
        y=s.no_void,
        loss=sparse(tf_keras, ignore_class=None),  # with one, an all-void crop is NaN there
        optimizer=adam(keras=tf_keras),
    )


def deeplab_cases(data: Path, folder: Path) -> Iterator[Case]:
    """MobileNetV2 DeepLabv3+ files with a folder of VOC pairs, as ``benchmarks.ward`` has them."""
    from tests.faults.deeplab import Ward

    ward = Ward(folder, data, alpha=0.35)
    sick: dict[str, tuple[tuple[str, ...], ...]] = {
        "reset": (("BN004",),),
        "probabilities": (("OUT002",),),
        "no_ignore": (("IGN003",),),
    }

    def make(name: str, **options: Any) -> Callable[[], dict[str, Any]]:
        return lambda: {"model": ward.file(name), "data": data, "preprocess": "tf", **options}

    for name, causes in sick.items():
        yield Case(f"DeepLabv3+: {name}", make(name), causes, net="DeepLabv3+")
    for name in ("healthy", "frozen", "rescued"):
        yield Case(f"healthy: DeepLabv3+ {name}", make(name), net="DeepLabv3+")
    yield Case(
        "healthy: DeepLabv3+ SGD",
        make("healthy", optimizer="sgd", learning_rate=0.05),
        net="DeepLabv3+",
    )
    yield Case(
        "healthy: DeepLabv3+ Adam at 5e-4",
        make("healthy", optimizer="adam", learning_rate=5e-4),
        net="DeepLabv3+",
    )
