"""Real model files of public repositories: each is rebuilt, or refused in one line."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segdoctor.sources.model_file import ModelFileError, open_model_file

keras = pytest.importorskip("keras")

from segdoctor.sources.model_file.rebuild import rebuild  # noqa: E402 - needs Keras, see above

MODELS = Path(__file__).parents[2] / ".." / "shared" / "data" / "models"
pytestmark = pytest.mark.skipif(not MODELS.is_dir(), reason="../shared/data/models is absent")

FILES = sorted(path.name for path in MODELS.glob("*") if path.suffix in {".h5", ".hdf5", ".keras"})
REFUSED = {
    "Mahalakshmi2007rpm__": "unreadable",
    "afiliot__Geometrical-Forms-Classification__dncnn_weights": "not rebuilt",
    "akinoriosamura__": "not rebuilt",
    "chopralab__": "unreadable",
    "orobix__": "not rebuilt",
}
# Keras 3 gives these an input rank that they were not saved with.
WRONG_IN_KERAS_3 = ("ChrisArreFall__", "shiningrain__")


def expected_refusal(name: str) -> str | None:
    return next((why for start, why in REFUSED.items() if name.startswith(start)), None)


def loaded(library: Any, name: str) -> Any:
    """The model as ``load_model`` gives it; None if it does not."""
    try:
        return library.models.load_model(MODELS / name, compile=False)
    except (OSError, TypeError, ValueError, EOFError):
        return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_rebuilt_or_refused(name: str) -> None:
    why = expected_refusal(name)
    if why is not None:
        with pytest.raises(ModelFileError) as caught:
            rebuild(open_model_file(MODELS / name))
        assert caught.value.reason == why
        assert "\n" not in str(caught.value)
        return
    model, _ = rebuild(open_model_file(MODELS / name))
    shape = [1, *(size or 64 for size in model.input_shape[1:])]
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    ours = np.asarray(model(x, training=False))
    import tf_keras

    for library in (keras, tf_keras):
        if library is keras and name.startswith(WRONG_IN_KERAS_3):
            continue
        theirs = loaded(library, name)
        if theirs is not None:
            np.testing.assert_allclose(ours, np.asarray(theirs(x, training=False)), atol=1e-5)


@cache
def person(form: str) -> Any:
    return rebuild(open_model_file(MODELS / f"deeplabv3_mnv2_dm05_person_trained.{form}"))[0]


@pytest.mark.parametrize("form", ["k3.keras", "tfk.h5", "tfk.keras"])
def test_four_forms_of_one_model(form: str) -> None:
    """The tf_keras ``.h5`` is one that Keras 3 itself refuses (``groups: 1``)."""
    x = np.random.default_rng(0).uniform(-1, 1, (1, 513, 513, 3)).astype("float32")
    expected = np.asarray(person("k3.h5")(x, training=False))
    np.testing.assert_allclose(np.asarray(person(form)(x, training=False)), expected, atol=1e-5)


def test_facts_of_the_four_forms_agree() -> None:
    found = [open_model_file(path).facts for path in sorted(MODELS.glob("deeplabv3_mnv2_dm05_*"))]
    assert len(found) == 4
    assert {facts.parameters for facts in found} == {709_442}
    assert {facts.graph.flavour for facts in found} == {"keras3", "tf_keras"}
    assert {len(facts.batch_norms) for facts in found} == {54}
    for facts in found:
        assert facts.graph.output_shapes == ((None, 513, 513, 2),)
        assert all(norm.feeds_from and norm.moving_variance for norm in facts.batch_norms)
        means = {norm.layer: norm.moving_mean for norm in facts.batch_norms}
        first = {norm.layer: norm.moving_mean for norm in found[0].batch_norms}
        assert [m and m.mean for m in means.values()] == [m and m.mean for m in first.values()]
