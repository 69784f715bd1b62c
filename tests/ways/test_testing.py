"""The asserts, on sick models and their healthy twins; the sample file and the pytest plugin."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.core.errors import UserError
from segdoctor.testing import (
    assert_batch_norm_frozen,
    assert_gradients_flow,
    assert_labels_fit,
    assert_loss_ignores_void,
    assert_loss_matches_output,
)

pytest_plugins = ["pytester"]

SAMPLE = Path(__file__).parents[2] / "examples" / "test_my_model.py"
PROJECT = """
import keras
import numpy as np


def build_model(void=255, last=None, frozen=True):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    h = keras.layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    bn = keras.layers.BatchNormalization(name="backbone_bn")
    h = keras.layers.ReLU()(bn(h))
    h = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(h)
    h = keras.layers.Conv2D(3, 1, activation=last)(h)
    model = keras.Model(inputs, keras.layers.UpSampling2D(1)(h) if last else h)
    bn.trainable = not frozen
    # The statistics of these images, as a trained backbone has those of its own.
    features = keras.Model(inputs, model.layers[1].output)(one_batch()[0]).numpy()
    gamma, beta, mean, variance = bn.get_weights()
    bn.set_weights([gamma, beta, features.mean((0, 1, 2)), features.var((0, 1, 2))])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=void)
    model.compile(keras.optimizers.Adam(1e-2), loss)
    return model


def one_batch(shift=0):
    rng = np.random.default_rng(0)
    y = np.zeros((4, 16, 16), np.int32)
    for mask in y:
        for label in (1, 2):
            top, left = rng.integers(2, 9, 2)
            mask[top : top + 6, left : left + 6] = label
    colours = np.array([[-0.8, -0.8, -0.8], [0.9, -0.6, -0.7], [-0.7, 0.8, -0.5]], np.float32)
    x = colours[y] + rng.normal(0, 0.05, (*y.shape, 3)).astype(np.float32)
    y += shift
    y[:, :2] = 255
    return x, y
"""
WHOLE_MODEL = """

def test_all_batch_norms(model):
    assert_batch_norm_frozen(model)
"""
_INSTALLED = bool(entry_points(group="pytest11", name="segdoctor"))
_PLUGIN = () if _INSTALLED else ("-p", "segdoctor.pytest_plugin")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    made: dict[str, Any] = {}
    exec(PROJECT, made)
    return made


@pytest.mark.parametrize(
    ("check", "sick", "shift", "words"),
    [
        (assert_labels_fit, {}, 1, r"LBL008 .*\n.*"),
        (assert_batch_norm_frozen, {"frozen": False}, 0, "1 of 1 batch normalisations are train"),
    ],
    ids=lambda v: getattr(v, "__name__", None),
)
def test_sick_models_fail_with_the_number(
    project: dict[str, Any], check: Any, sick: dict[str, Any], shift: int, words: str
) -> None:
    with pytest.raises(AssertionError, match=words):
        check(project["build_model"](**sick), project["one_batch"](shift))


def test_a_frozen_head_has_no_gradient_to_follow(project: dict[str, Any]) -> None:
    model = project["build_model"]()
    model.trainable = False
    with pytest.raises(AssertionError, match="GRAD007"):
        assert_gradients_flow(model, project["one_batch"]())


def test_a_loss_alone_is_asked() -> None:
    import keras

    cross_entropy = keras.losses.SparseCategoricalCrossentropy
    assert_loss_ignores_void(cross_entropy(from_logits=True, ignore_class=255), num_classes=5)
    assert_loss_ignores_void(cross_entropy(ignore_class=0), num_classes=5, ignore_label=0)
    with pytest.raises(AssertionError, match="IGN003"):
        assert_loss_ignores_void(cross_entropy(), num_classes=5)
    with pytest.raises(AssertionError, match="IGN001"):
        assert_loss_ignores_void(cross_entropy(from_logits=True), num_classes=5, ignore_label=0)
    with pytest.raises(UserError, match="num_classes"):
        assert_loss_ignores_void(cross_entropy())


def test_what_could_not_be_looked_at_does_not_pass(project: dict[str, Any]) -> None:
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(3, 1)])
    batch = (np.zeros((1, 8, 8, 3), np.float32), np.zeros((1, 8, 8), np.int32))
    with pytest.raises(AssertionError, match="no batch normalisation was observed"):
        assert_batch_norm_frozen(model, batch)
    with pytest.raises(AssertionError, match="could not be examined: the model is not compiled"):
        assert_loss_matches_output(model, batch)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    with pytest.raises(AssertionError, match="could not be examined: the batch holds no void"):
        assert_loss_ignores_void(model, batch, loss=loss)


@pytest.mark.parametrize("sick", [False, True])
@pytest.mark.usefixtures("project")  # a run within this process must find TensorFlow loaded
def test_the_sample_file(pytester: pytest.Pytester, sick: bool) -> None:
    text = PROJECT.replace("void=255, last=None", "void=None, last='softmax'") if sick else PROJECT
    pytester.makepyfile(my_project=text)
    steps = 6 if sick else 30  # the loss of the sick one raises in its first step
    told = f"budget_s=20, steps={steps}, crop=16, batch=4"
    sample = SAMPLE.read_text().replace("budget_s=20", told) + WHOLE_MODEL
    pytester.makepyfile(test_my_model=sample)
    pytester.syspathinsert()
    done = pytester.runpytest_inprocess(*_PLUGIN, "-q")
    if not sick:
        done.assert_outcomes(passed=8)
        return
    done.assert_outcomes(passed=2, failed=6)
    text = done.stdout.str()
    assert "AssertionError: IGN003 void-out-of-range (error): " in text
    assert "ignore_class=255" in text
    by_test = dict(re.findall(r"^_+ (test_\w+) _+$([\s\S]*?)(?=^_+ |\Z)", text, re.M))
    matches = by_test["test_the_loss_takes_what_the_model_gives"]
    assert "OUT001 softmax-on-softmax-loss" in matches
    assert re.search(r"OUT001[\s\S]*limit[\s\S]*fix: ", by_test["test_nothing_else_is_wrong"])
    assert "segdoctor explain" in text
    assert "segdoctor/testing.py" not in text  # the line that fails is the test's own


@pytest.mark.usefixtures("project")
def test_fixtures_and_the_reports_of_failed_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(my_project=PROJECT)
    pytester.syspathinsert()
    pytester.makepyfile(
        "from my_project import build_model, one_batch\n"
        "from segdoctor.testing import assert_labels_fit\n"
        "def test_sick():\n"
        "    assert_labels_fit(build_model(), one_batch(1))\n"
        "def test_it(segdoctor_check, segdoctor_voc):\n"
        "    assert callable(segdoctor_check)\n"
        "    assert len(list((segdoctor_voc / 'JPEGImages').iterdir())) == 16\n"
    )
    done = pytester.runpytest_inprocess(*_PLUGIN, "-q", "--segdoctor-report=out")
    done.assert_outcomes(passed=1, failed=1)
    (page,) = pytester.path.glob("out/*test_sick/report.html")
    assert f"report: {page.relative_to(pytester.path)}" in done.stdout.str()
