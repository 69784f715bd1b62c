"""The trained person model of a stranger, in its four forms, on real VOC pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

import segdoctor

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")

TRIAL = segdoctor.Trial(budget_s=240, steps=40, crop=96, batch=4)
PERSON = {"label_map": "15=1,*=0"}


def errors(report) -> list[str]:
    return [f.code for f in report.findings if f.severity == "error" and not f.because_of]


@pytest.mark.parametrize("form", ["k3.h5", "k3.keras", "tfk.h5", "tfk.keras"])
def test_two_channels_against_21_ids_is_said_first(
    form: str, person_model: Path, few_pairs: Path
) -> None:
    path = person_model.with_name(f"{person_model.name}.{form}")
    report = segdoctor.check(path, few_pairs, trial=False)
    assert errors(report) == ["OUT008"]
    assert "2 output channels" in report.findings[0].message
    assert report.exit_code == 1


@pytest.fixture(scope="module")
def few_real(real_voc: Path, few_pairs: Path) -> Path:
    """The model was trained on photographs: on drawn scenes it would show nothing."""
    return few_pairs


def test_with_its_label_map_it_is_healthy(person_model: Path, few_real: Path) -> None:
    path = person_model.with_name(f"{person_model.name}.tfk.h5")
    report = segdoctor.check(path, few_real, trial=TRIAL, **PERSON)
    assert (report.exit_code, errors(report), report.diagnosis) == (0, [], ())
    person = report.to_dict()["measured"]["as_loaded"]["per_class"]["1"]
    assert 0.3 < person < 0.95
    assert "as_it_came" in report.run


def test_inputs_in_another_range(person_model: Path, few_real: Path) -> None:
    path = person_model.with_name(f"{person_model.name}.k3.keras")
    two = segdoctor.Trial(budget_s=240, steps=40, crop=96, batch=2)
    report = segdoctor.check(path, few_real, trial=two, preprocess="none", **PERSON)
    assert errors(report) == ["DATA007"]
    verdict = report.findings[0].verdict
    assert verdict.status == "confirmed", verdict
    assert errors(segdoctor.check(path, few_real, trial=False, preprocess="tf", **PERSON)) == []


def loaded(person_model: Path):
    import keras

    return keras.models.load_model(
        person_model.with_name(f"{person_model.name}.k3.keras"), compile=False
    )


def test_statistics_reset(person_model: Path, few_real: Path, tmp_path: Path) -> None:
    model = loaded(person_model)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights([gamma, beta, 0 * mean, 0 * variance + 1])
    model.save(tmp_path / "reset.keras")
    report = segdoctor.check(tmp_path / "reset.keras", few_real, trial=False, **PERSON)
    assert errors(report)[0] == "BN004"  # its fix is tried on the other DeepLab


def test_softmax_and_a_resize_behind_the_logits(
    person_model: Path, few_real: Path, tmp_path: Path
) -> None:
    import keras

    model = loaded(person_model)
    logits = model.get_layer("custom_logits_semantic").output
    small = keras.layers.Activation("softmax", name="softmax")(logits)
    big = keras.layers.Resizing(513, 513, interpolation="bilinear", name="big")(small)
    model = keras.Model(model.inputs, big)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    model.save(tmp_path / "softmax.keras")
    report = segdoctor.check(tmp_path / "softmax.keras", few_real, trial=False, **PERSON)
    assert errors(report) == ["OUT001"]  # its fix is tried on the other DeepLab
