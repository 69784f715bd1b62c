"""Lambda bytecode is read, never run: what is recognised, in which Python, and what is not."""

from __future__ import annotations

import base64
import json
import marshal
import random
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from segdoctor.sources.model_file import open_model_file
from segdoctor.sources.model_file.known_lambda import lambda_replacement
from segdoctor.sources.model_file.marshal_data import codes_in

from ..mutants import mutant
from . import lambdas, old_python
from .model_files import conv, conv_weights, functional, image_input, write_h5

WORDS = {
    "aligned": "Resize(33×33, bilinear, align_corners=True)",
    "closure": "Resizing(5, 6, 'bilinear')",
    "corner": "Resize(5×6, bilinear, align_corners=False)",
    "nearest": "Resizing(7, 8, 'nearest')",
    "method": "Resizing(7, 9, 'bilinear')",
    "default": "Resizing(3, 4, 'bilinear')",
    "expand": "ExpandDims(1)",
    "expand_last": "ExpandDims(-1)",
    "to_one": "Rescaling(x · 0.00784314 + -1)",
    "scale": "Rescaling(x · 2 + -6)",
    "flip": "Rescaling(x · -1 + 1)",
    "relu6": "ReLU(6)",
    "relu2": "ReLU(2)",
    "softmax": "Activation('softmax')",
    "imports": "Resizing(5, 6, 'bilinear')",
    "imports_from": "Resizing(5, 6, 'bilinear')",
    "imports_below": "Resize(4×4, bilinear, align_corners=True)",
}
PYTHONS = [
    json.loads(line) for line in Path(__file__).with_name("lambdas.jsonl").read_text().splitlines()
]
each_python = pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python["python"])


def words_of(function: Any, **settings: Any) -> str | None:
    known = lambda_replacement({"function": function, "function_type": "lambda", **settings})
    return known and known.words


@each_python
def test_recognised_in_every_python(python: dict[str, Any]) -> None:
    assert {name: words_of(function) for name, function in python["known"].items()} == WORDS


def test_recognised_in_this_python() -> None:
    found = {name: words_of(lambdas.stored(f)) for name, f in lambdas.KNOWN.items()}
    assert found == WORDS


def test_recognised_in_python_3_5() -> None:
    makers = (old_python.resize, old_python.scale, old_python.expand)
    found = [words_of(**maker()) for maker in makers]
    assert found == [WORDS["aligned"], WORDS["to_one"], WORDS["expand"]]


@each_python
def test_look_alikes_are_not(python: dict[str, Any]) -> None:
    found = {name: words_of(function) for name, function in python["look_alikes"].items()}
    assert found == dict.fromkeys(lambdas.LOOK_ALIKES)


@pytest.mark.parametrize("wrapped", [False, True])
def test_nested_code_in_the_constants_is_refused(wrapped: bool) -> None:
    """The bytecode never touches it; a loader would carry it along all the same."""
    plain, other = (lambda x: x / 255).__code__, (lambda x: x).__code__
    code = plain.replace(co_consts=(*plain.co_consts, (1, other) if wrapped else other))
    data = base64.b64encode(marshal.dumps(code)).decode()
    assert words_of([data, None, None]) is None


tf: Any = None
HALF: Any = lambdas.stored(lambda x: x / 255)


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
    assert words_of(HALF) is not None
    assert words_of(HALF, **extra) is None


def test_the_arguments_of_the_layer_are_bound() -> None:
    function = lambdas.stored(lambda x, size: tf.image.resize(x, size))
    assert words_of(function, arguments={"size": [7, 8]}) == "Resizing(7, 8, 'bilinear')"


def test_as_tf_keras_wraps_it() -> None:
    items = lambdas.stored(lambdas.KNOWN["closure"])
    assert words_of({"class_name": "__tuple__", "items": items}) == WORDS["closure"]
    code = dict(zip(("code", "defaults", "closure"), items, strict=True))
    assert words_of({"class_name": "__lambda__", "config": code}) == WORDS["closure"]


def test_bytecode_as_characters() -> None:
    """Keras 1 and 2.0 stored the marshalled bytes as text."""
    data = base64.b64decode(HALF[0])
    assert words_of([data.decode("raw_unicode_escape"), None, None]) is not None


PLAIN = [base64.b64decode(f[0]) for python in PYTHONS for f in python["known"].values()]


def test_nothing_else_comes_out_of_any_bytes() -> None:
    """2,000 mutants: a replacement or None, never an exception, and no code object is made."""
    rng = random.Random(0)
    for _ in range(2_000):
        data = mutant(rng.choice(PLAIN), rng)
        for extra in (None, [[3, 4]]):
            words_of([base64.b64encode(data).decode(), extra, extra])
        for code in codes_in(data):
            assert not isinstance(code, CodeType)


CRASHED = {  # a function of Python 3.11, the bytes that were changed, and its defaults
    "an import whose names are no constant": ("imports", b"d\x00l\x00", b"t\x00l\x00", None),
    "more arguments than names": ("to_one", b"\xe3\x01\0", b"\xe3\x03\0", ["x"]),
}


@pytest.mark.parametrize("case", CRASHED)
def test_what_crashed_once(case: str) -> None:
    """Found by mutants: each was an exception, and is a function that is not known."""
    name, old, new, defaults = CRASHED[case]
    (python,) = (python for python in PYTHONS if python["python"] == "3.11")
    data = base64.b64decode(python["known"][name][0])
    assert data.count(old) == 1
    changed = base64.b64encode(data.replace(old, new)).decode()
    assert words_of([changed, defaults, None]) is None


@pytest.mark.parametrize("text", ["", "====", "é", "\ud800", "4w", "A" * 300_000])
def test_no_bytecode_at_all(text: str) -> None:
    assert words_of([text, None, None]) is None


def test_the_graph_and_the_vetting_know_it(tmp_path: Path) -> None:
    lam = {"class_name": "Lambda", "name": "lam", "config": {"name": "lam"}}
    lam["config"] = {"name": "lam", **old_python.resize()}
    path = write_h5(tmp_path / "m.h5", functional(image_input(), conv(), lam), conv_weights())
    facts = open_model_file(path).facts
    (item,) = facts.code
    assert item.kind == "lambda bytecode"
    assert item.recognised == "Resize(33×33, bilinear, align_corners=True)"
    assert facts.graph.layers[-1].class_name == "BilinearUpsampling"
    assert facts.graph.output_shapes == ((None, 33, 33, 4),)
