"""``segdoctor demo``: a drawn data set in VOC layout, a healthy model file and sick ones, checked.

The files are what a person would have on disk: saved by Keras, with their compile settings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError

SIDE = 96
CLASSES = 21
WARM_UP = 40


@dataclass(frozen=True, slots=True)
class Case:
    """A model file of the demo: its name, what is wrong with it, the code that must come first."""

    name: str
    words: str
    expected: str | None
    make: Callable[[Any, Any], Any]


def run_demo(folder: str, *, budget_s: float = 40.0) -> int:
    """Write the data and the models into ``folder``, check each, and name the reports.

    Returns
    -------
    int
        0 if every file got the diagnosis that it was made for, else 1.
    """
    from segdoctor import api
    from segdoctor.core.run import Trial
    from segdoctor.examination.opening import need_tensorflow
    from segdoctor.measures.drawing import write_voc_folder
    from segdoctor.report.files import check_writable
    from segdoctor.report.progress import Progress

    need_tensorflow()
    check_writable(folder)
    home = Path(folder)
    print(f"Drawing a data set in VOC layout: {clean(home / 'voc')}", flush=True)
    data = write_voc_folder(home / "voc", 48, 12, size=(160, 160), classes=CLASSES, seed=0)
    wrong = 0
    for case in CASES:
        path = home / f"{case.name}.keras"
        print(f"\n{path.name}: {case.words}", flush=True)
        with Progress() as progress:
            progress(f"making {path.name}")
            _save(case, path, data)
            report = api.check(
                str(path),
                str(data),
                trial=Trial(budget_s=budget_s),
                out=str(home / case.name),
                progress=progress,
            )
            report.save(str(home / case.name))
        first = report.findings[0] if report.findings else None
        errors = [f for f in report.findings if f.severity == "error" and not f.because_of]
        told = errors[0].code if errors else None
        print(f"  {report.headline}")
        if first is not None and first.verdict is not None:
            print(f"  {first.code}: {first.verdict.status}, {first.verdict.effect}")
        if told != case.expected:
            wrong += 1
            print(f"  expected {case.expected or 'no error'}, received {told or 'no error'}")
        print(f"  exit status {report.exit_code}", flush=True)
    last = home / CASES[-1].name / "report.html"
    print(f"\nEach file has its report beside it; open the last one: {clean(last)}")
    if wrong:
        print(f"{wrong} of {len(CASES)} diagnoses were not the expected one", file=sys.stderr)
    return 1 if wrong else 0


def _save(case: Case, path: Path, data: Path) -> None:
    import keras

    from segdoctor.sources.deeplab import build_deeplab

    keras.utils.set_random_seed(0)
    model = build_deeplab("mobilenetv2", (SIDE, SIDE, 3), CLASSES, alpha=0.35, momentum=0.9)
    _warm_up(model, data)
    model = case.make(keras, model)
    try:
        model.save(path)
    except OSError as error:
        raise UserError(f"{clean(path)}: could not be written ({error.strerror})") from error


def _warm_up(model: Any, data: Path) -> None:
    """A few steps on the drawn images, so that weights and BN statistics are those of a trained
    backbone: no pretrained one can be shipped."""
    import keras

    from segdoctor.recorder.recalibrate import recalibrate
    from segdoctor.sources.voc import make_batch, scan_folder

    batch = make_batch(
        scan_folder(data), size=(SIDE, SIDE), count=16, num_classes=CLASSES, ignore_label=255
    )
    model.compile(keras.optimizers.Adam(1e-3), _loss(keras, from_logits=True))
    model.fit(batch.x, batch.y, batch_size=8, epochs=WARM_UP // 2, verbose=0)
    # A long training would have let the moving averages settle.
    recalibrate(model, [batch.x])


def _loss(keras: Any, *, from_logits: bool, ignore_class: int | None = 255) -> Any:
    return keras.losses.SparseCategoricalCrossentropy(
        from_logits=from_logits, ignore_class=ignore_class
    )


def _healthy(keras: Any, model: Any) -> Any:
    model.compile(keras.optimizers.Adam(1e-3), _loss(keras, from_logits=True))
    return model


def _softmax_on_logits_loss(keras: Any, model: Any) -> Any:
    """Softmax on the small logits, resized afterwards, into a loss that applies it again."""
    resize = model.layers[-1]
    small = keras.layers.Activation("softmax", name="softmax")(resize.input)
    model = keras.Model(model.inputs, resize(small))
    model.compile(keras.optimizers.Adam(1e-3), _loss(keras, from_logits=True))
    return model


def _void_unmasked(keras: Any, model: Any) -> Any:
    model.compile(keras.optimizers.Adam(1e-3), _loss(keras, from_logits=True, ignore_class=None))
    return model


def _statistics_never_loaded(keras: Any, model: Any) -> Any:
    """A frozen backbone whose moving statistics are still 0 and 1."""
    for layer in model.layers:
        if layer.name.startswith(("Conv", "expanded_conv")):
            layer.trainable = False
            if isinstance(layer, keras.layers.BatchNormalization):
                gamma, beta, mean, variance = layer.get_weights()
                layer.set_weights([gamma, beta, 0 * mean, 0 * variance + 1])
    model.compile(keras.optimizers.Adam(1e-3), _loss(keras, from_logits=True))
    return model


def _first_356_frozen(keras: Any, model: Any) -> Any:
    """The freeze of the question, on the default backbone: it has fewer layers than that."""
    for layer in model.layers[:356]:
        layer.trainable = False
    model.compile(keras.optimizers.Adadelta(1e-3), _loss(keras, from_logits=True))
    return model


CASES = (
    Case("healthy", "nothing is wrong with it", None, _healthy),
    Case("void_unmasked", "255 marks void, and the loss is not told", "IGN003", _void_unmasked),
    Case("frozen_head", "`layers[:356]` frozen, in a net of 165", "GRAD007", _first_356_frozen),
    Case("bn_at_default", "frozen BN, statistics never loaded", "BN004", _statistics_never_loaded),
    Case(
        "double_softmax",
        "softmax, then a resize, into a loss with from_logits=True",
        "OUT001",
        _softmax_on_logits_loss,
    ),
)
