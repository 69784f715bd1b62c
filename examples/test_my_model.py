"""A test file to copy into your project: what must hold before a training is worth its hours.

Change the two fixtures to your own model and one batch of your own pipeline; the asserts stay.
They examine and do not train, but for the last one. Each fails with the finding and its number.

    pip install segdoctor pytest
    pytest test_my_model.py --segdoctor-report=reports/tests
"""

import pytest
from my_project import build_model, one_batch

from segdoctor import Trial
from segdoctor.testing import (
    assert_batch_norm_frozen,
    assert_gradients_flow,
    assert_labels_fit,
    assert_loss_ignores_void,
    assert_loss_matches_output,
    assert_no_findings,
    assert_overfits_one_batch,
)


@pytest.fixture(scope="module")
def model():
    """Compiled as the training compiles it."""
    return build_model()


@pytest.fixture(scope="module")
def batch():
    """``(x, y)`` or ``(x, y, sample_weight)``, as the training is fed."""
    return one_batch()


def test_labels_are_ids_of_the_model_s_classes(model, batch):
    assert_labels_fit(model, batch)


def test_the_loss_takes_what_the_model_gives(model, batch):
    assert_loss_matches_output(model, batch)


def test_void_does_not_reach_the_loss(model, batch):
    assert_loss_ignores_void(model, batch, ignore_label=255)


def test_every_trainable_variable_has_a_gradient(model, batch):
    assert_gradients_flow(model, batch)


def test_the_backbone_s_batch_norm_is_frozen(model, batch):
    assert_batch_norm_frozen(model, batch, layers="backbone")


def test_nothing_else_is_wrong(model, batch):
    assert_no_findings(model, batch, at="error")


def test_the_run_memorises_one_batch(model, batch):
    # This one trains: on a copy, for some seconds.
    assert_overfits_one_batch(model, batch, trial=Trial(budget_s=20))
