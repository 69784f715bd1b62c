"""Lambda bytecode is read, never run: what is recognised, in which Python, and what is not."""

from __future__ import annotations

import base64
import json
import marshal
import random
from collections.abc import Callable
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from segdoctor.sources.model_file import open_model_file
from segdoctor.sources.model_file.known_lambda import lambda_replacement
from segdoctor.sources.model_file.marshal_data import codes_in

from . import old_python
from .model_files import conv, conv_weights, functional, image_input, write_h5

K: Any = None
tf: Any = None
os: Any = None
H = 5


def stored(function: Callable[..., Any], **settings: Any) -> dict[str, Any]:
    """The settings of a Lambda as this Python's Keras stores them."""
    code = base64.b64encode(marshal.dumps(function.__code__)).decode()
    closure = [cell.cell_contents for cell in function.__closure__ or ()] or None
    defaults = list(function.__defaults__ or ()) or None
    whole = {"function": [code, defaults, closure], "function_type": "lambda", **settings}
    return json.loads(json.dumps(whole))  # type: ignore[no-any-return]


def with_closure() -> dict[str, Callable[..., Any]]:
    before, h, w = (None, 33, 33, 8), 5, 6
    return {
        "Resize(33×33, bilinear, align_corners=True)": lambda x: tf.compat.v1.image.resize(
            x, before[1:3], method="bilinear", align_corners=True
        ),
        "Resizing(5, 6, 'bilinear')": lambda x: tf.image.resize(x, (h, w)),
        "Resize(5×6, bilinear, align_corners=False)": lambda x: tf.image.resize_bilinear(x, [h, w]),
    }


KNOWN: dict[str, Callable[..., Any]] = {
    **with_closure(),
    "Resizing(7, 8, 'nearest')": lambda x: tf.image.resize(x, [7, 8], method="nearest"),
    "Resizing(7, 9, 'bilinear')": lambda x: tf.image.resize(
        x, (7, 9), method=tf.image.ResizeMethod.BILINEAR
    ),
    "Resizing(3, 4, 'bilinear')": lambda x, size=(3, 4): tf.image.resize(x, size),
    "ExpandDims(1)": lambda x: K.expand_dims(x, 1),
    "ExpandDims(-1)": lambda x: tf.keras.backend.expand_dims(x, axis=-1),
    "Rescaling(x · 0.00784314 + -1)": lambda x: x / 127.5 - 1,
    "Rescaling(x · 2 + -6)": lambda x: (x - 3) * 2,
    "Rescaling(x · -1 + 1)": lambda x: 1 - x,
    "ReLU(6)": lambda x: tf.nn.relu6(x),
    "ReLU(2)": lambda x: K.relu(x, max_value=2.0),
    "Activation('softmax')": lambda x: tf.nn.softmax(x, axis=-1),
}


@pytest.mark.parametrize("words", KNOWN)
def test_recognised(words: str) -> None:
    known = lambda_replacement(stored(KNOWN[words]))
    assert known is not None
    assert known.words == words


@pytest.mark.parametrize("version", old_python.VERSIONS)
def test_recognised_in_other_pythons(version: str) -> None:
    found = [
        known and known.words
        for known in map(
            lambda_replacement,
            (old_python.resize(version), old_python.scale(version), old_python.expand(version)),
        )
    ]
    assert found == [
        "Resize(33×33, bilinear, align_corners=True)",
        "Rescaling(x · 0.00784314 + -1)",
        "ExpandDims(1)",
    ]


def shown(x: Any) -> Any:
    print("a marker")
    return tf.image.resize(x, (7, 8))


LOOK_ALIKES: dict[str, Callable[..., Any]] = {
    "nested function": lambda x: (lambda z: tf.image.resize(z, (7, 8)))(x),
    "comprehension": lambda x: tf.image.resize(x, [side + 1 for side in (7, 8)]),
    "a call before it": shown,
    "a call inside it": lambda x: tf.image.resize(x, os.system("true")),
    "another function around it": lambda x: os.system(tf.image.resize(x, (7, 8))),
    "another module": lambda x: os.image.resize(x, (7, 8)),
    "a size that the file does not state": lambda x: tf.image.resize(x, (H, H)),
    "a scale that the file does not state": lambda x: x / H,
    "softmax over rows": lambda x: tf.nn.softmax(x, axis=1),
    "a power": lambda x: x**2,
    "division by the input": lambda x: 1 / x,
    "the input twice": lambda x: x * x,
    "several arguments": lambda *x: x[0] / 2,
    "two tensors": lambda x, y: x - y,
    "antialiased": lambda x: tf.image.resize(x, (7, 8), antialias=True),
    "nothing": lambda x: x,
    "no function of the input": lambda x: tf.image.resize((7, 8), (7, 8)),
}


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_look_alikes_are_not(name: str) -> None:
    assert lambda_replacement(stored(LOOK_ALIKES[name])) is None


def test_nested_code_in_the_constants_is_refused() -> None:
    """The bytecode never touches it; a loader would carry it along all the same."""
    plain = (lambda x: x / 255).__code__
    assert lambda_replacement(stored(lambda x: x / 255)) is not None
    code = plain.replace(co_consts=(*plain.co_consts, shown.__code__))
    data = base64.b64encode(marshal.dumps(code)).decode()
    assert lambda_replacement({"function": [data, None, None]}) is None


@pytest.mark.parametrize(
    "extra",
    [
        {"output_shape_type": "lambda", "output_shape": ["4wEAAAA=", None, None]},
        {"mask": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
        {"arguments": {"size": {"class_name": "function", "module": "os", "config": "system"}}},
        {"output_shape": {"class_name": "Thing", "module": "evil", "config": {}}},
    ],
)
def test_other_code_beside_it(extra: dict[str, Any]) -> None:
    assert lambda_replacement(stored(lambda x: x / 255)) is not None
    assert lambda_replacement(stored(lambda x: x / 255, **extra)) is None


def test_the_arguments_of_the_layer_are_bound() -> None:
    settings = stored(lambda x, size: tf.image.resize(x, size), arguments={"size": [7, 8]})
    known = lambda_replacement(settings)
    assert known is not None
    assert known.words == "Resizing(7, 8, 'bilinear')"


def test_as_tf_keras_wraps_it() -> None:
    settings = stored(with_closure()["Resizing(5, 6, 'bilinear')"])
    items = settings["function"]
    wrapped = {"class_name": "__tuple__", "items": items}
    assert lambda_replacement({**settings, "function": wrapped}) is not None
    code = {"code": items[0], "defaults": items[1], "closure": items[2]}
    keras_3 = {"class_name": "__lambda__", "config": code}
    assert lambda_replacement({"function": keras_3}) is not None


def test_bytecode_as_characters() -> None:
    """Keras 1 and 2.0 stored the marshalled bytes as text."""
    settings = stored(lambda x: x / 255)
    data = base64.b64decode(settings["function"][0])
    settings["function"][0] = data.decode("raw_unicode_escape")
    assert lambda_replacement(settings) is not None


def test_nothing_else_comes_out_of_any_bytes() -> None:
    """2,000 mutants: a replacement or None, never an exception, and no code object is made."""
    rng = random.Random(0)
    plain = [base64.b64decode(stored(f)["function"][0]) for f in KNOWN.values()]
    for turn in range(2_000):
        data = bytearray(plain[turn % len(plain)])
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if turn % 3 == 0:
            del data[rng.randrange(len(data)) :]
        text = base64.b64encode(bytes(data)).decode()
        lambda_replacement({"function": [text, None, None]})
        for code in codes_in(bytes(data)):
            assert not isinstance(code, CodeType)


@pytest.mark.parametrize("text", ["", "====", "é", "\ud800", "4w", "A" * 300_000])
def test_no_bytecode_at_all(text: str) -> None:
    assert lambda_replacement({"function": [text, None, None]}) is None


def test_the_graph_and_the_vetting_know_it(tmp_path: Path) -> None:
    lam = {"class_name": "Lambda", "name": "lam", "config": {"name": "lam"}}
    lam["config"] = {"name": "lam", **old_python.resize("3.5")}
    path = write_h5(tmp_path / "m.h5", functional(image_input(), conv(), lam), conv_weights())
    facts = open_model_file(path).facts
    (item,) = facts.code
    assert item.kind == "lambda bytecode"
    assert item.recognised == "Resize(33×33, bilinear, align_corners=True)"
    assert facts.graph.layers[-1].class_name == "BilinearUpsampling"
    assert facts.graph.output_shapes == ((None, 33, 33, 4),)
