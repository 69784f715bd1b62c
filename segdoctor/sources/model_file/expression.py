"""The expression that a small function returns, read off its bytecode without running it.

Only what a one-line Lambda needs is understood: arguments, constants, the closure, names and
attributes, calls, arithmetic, slices. One instruction beyond that, and there is no expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from segdoctor.sources.model_file.marshal_data import Code

_MAX_INSTRUCTIONS = 200
_VARIADIC = 0x04 | 0x08 | 0x20  # *args, **kwargs, a generator


class NotUnderstoodError(ValueError):
    """The bytecode does something that is not on the list."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """The layer's input: the function's first argument."""


@dataclass(frozen=True, slots=True)
class Path:
    """A name and its attributes: ``tf.image.resize``. It is never looked up."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    value: Any


@dataclass(frozen=True, slots=True)
class Applied:
    """A call of the function at ``path``, or an operator (``"+"``, ``"-"``, ``"*"``, ``"/"``)."""

    path: str
    arguments: tuple[Any, ...]
    named: Mapping[str, Any] = field(default_factory=dict)


def expressions(code: Code, bound: Mapping[str, Any]) -> Iterator[Any]:
    """What the function returns, once for each Python whose instructions these can be.

    Parameters
    ----------
    bound : values of the closure and of the arguments after the first one, by name.
    """
    first = code.variables[:1]
    if code.arguments < 1 or not first or code.flags & _VARIADIC:
        return
    for numbers, wide in _OF_LAYOUT[code.layout]:
        names: dict[str, Any] = {key: Constant(value) for key, value in bound.items()}
        names[first[0]] = Tensor()
        try:
            yield _Reading(code, numbers, names).run(wide)
        except (NotUnderstoodError, IndexError, KeyError, TypeError, ValueError):
            continue


# Names of the instructions by their numbers. Python 2.7 to 3.5: three bytes where there is an
# argument; from 3.6 on: two bytes each.
_COMMON = {
    1: "drop", 9: "nothing", 11: "negative", 20: "*", 23: "+", 24: "-", 25: "subscript", 27: "/",
    83: "return", 100: "constant", 102: "tuple", 103: "tuple", 106: "attribute", 108: "import",
    109: "import from", 116: "path", 124: "variable", 125: "store", 133: "slice", 136: "closure",
}  # fmt: skip
_TO_3_5 = {**_COMMON, 131: "old call", 144: "extend"}
_2_7 = {**_TO_3_5, 21: "/", 33: "old slice", 145: "extend"}
_3_6 = {
    **_COMMON,
    2: "swap",
    131: "call",
    141: "call named",
    144: "extend",
    160: "attribute",
    161: "call",
}
_3_11 = {
    **{number: name for number, name in _COMMON.items() if name not in "+-*/"},
    0: "nothing", 2: "nothing", 99: "swap", 116: "path or null", 122: "operator", 137: "closure",
    144: "extend", 149: "nothing", 151: "nothing", 160: "attribute", 166: "nothing", 171: "call",
    172: "names",
}  # fmt: skip
_3_12 = {**_3_11, 26: "cut", 106: "attribute or method", 121: "return constant", 127: "variable"}
_3_13 = {
    0: "nothing", 4: "cut", 5: "subscript", 30: "nothing", 32: "drop", 34: "nothing", 36: "return",
    42: "negative", 45: "operator", 47: "tuple", 50: "slice", 52: "tuple", 53: "call",
    57: "call named", 62: "nothing", 71: "extend", 74: "import from", 75: "import",
    82: "attribute or method", 83: "constant", 84: "closure", 85: "variable", 87: "variable",
    88: "two variables", 91: "path or null", 103: "return constant", 110: "store", 115: "swap",
    149: "nothing",
}  # fmt: skip
_3_14 = {
    0: "nothing", 1: "cut", 27: "nothing", 33: "nothing", 35: "return", 41: "negative",
    44: "operator", 46: "tuple", 49: "slice", 51: "tuple", 52: "call", 55: "call named",
    60: "nothing", 69: "extend", 80: "attribute or method", 82: "constant", 83: "closure",
    84: "variable", 86: "variable", 87: "two variables", 88: "variable", 89: "two variables",
    92: "path or null", 94: "number", 128: "nothing",
}  # fmt: skip
_OF_LAYOUT = {  # (instructions, two bytes each)
    "2.7": ((_2_7, False),),
    "3.0": ((_TO_3_5, False), (_3_6, True)),
    "3.8": ((_3_6, True),),
    "3.11": ((_3_11, True), (_3_12, True), (_3_13, True), (_3_14, True)),
}
_OPERATORS = {0: "+", 5: "*", 10: "-", 11: "/"}
_PYTHON_2 = {"True": True, "False": False, "None": None}  # names there, and no constants
_SUBSCRIPT = 26  # of 3.14's operators


class _Reading:
    """A stack of expressions, as the interpreter has a stack of values."""

    def __init__(self, code: Code, numbers: Mapping[int, str], names: dict[str, Any]) -> None:
        self._code = code
        self._numbers = numbers
        self._names = names
        self._stack: list[Any] = []
        self._named: tuple[str, ...] = ()
        self._slots = code.slots if code.layout == "3.11" else code.variables

    def run(self, wide: bool) -> Any:
        for count, (number, argument) in enumerate(_instructions(self._code.code, wide)):
            name = self._numbers.get(number)
            if name is None or count > _MAX_INSTRUCTIONS:
                raise NotUnderstoodError(f"instruction {number}")
            if name == "return":
                (found,) = self._stack
                return found
            if name == "return constant":
                return Constant(self._code.constants[argument])
            if name == "extend":
                raise NotUnderstoodError("an argument beyond a byte")
            if name != "nothing":
                self._do(name, argument)
        raise NotUnderstoodError("no return")

    def _do(self, name: str, argument: int) -> None:
        code, stack = self._code, self._stack
        match name:
            case "constant":
                stack.append(Constant(code.constants[argument]))
            case "number":
                stack.append(Constant(argument))
            case "variable":
                stack.append(self._names[self._slots[argument]])
            case "two variables":
                stack.append(self._names[self._slots[argument >> 4]])
                stack.append(self._names[self._slots[argument & 15]])
            case "swap" if argument in (0, 2):
                stack[-2], stack[-1] = stack[-1], stack[-2]
            case "closure":
                stack.append(self._names[code.slots[argument]])
            case "store":
                self._names[self._slots[argument]] = _module(stack.pop())
            case "path":
                word = code.names[argument]
                python_2 = code.layout == "2.7" and word in _PYTHON_2
                stack.append(Constant(_PYTHON_2[word]) if python_2 else Path(word))
            case "path or null":
                stack.append(Path(code.names[argument >> 1]))
            case "attribute":
                stack.append(_attribute(stack.pop(), code.names[argument]))
            case "attribute or method":
                stack.append(_attribute(stack.pop(), code.names[argument >> 1]))
            case "import":
                wanted, _ = stack.pop(), stack.pop()
                module = code.names[argument]
                stack.append(Path(module if _value(wanted) else module.partition(".")[0]))
            case "import from":
                stack.append(_attribute(stack[-1], code.names[argument]))
            case "drop":
                _module(stack.pop())
            case "tuple":
                stack.append(Constant([_value(item) for item in self._pop(argument)]))
            case "negative":
                stack.append(Constant(-_value(stack.pop())))
            case "slice":
                stack.append(Constant(slice(*(_value(item) for item in self._pop(argument)))))
            case "names":
                self._named = tuple(code.constants[argument])
            case _:
                self._take(name, argument)

    def _take(self, name: str, argument: int) -> None:
        """What takes its operands from the stack: operators, subscripts, calls."""
        match name:
            case "operator" if argument in _OPERATORS:
                self._stack.append(Applied(_OPERATORS[argument], self._pop(2)))
            case "operator" if argument == _SUBSCRIPT:
                self._stack.append(_item(*self._pop(2)))
            case "subscript":
                self._stack.append(_item(*self._pop(2)))
            case "cut" | "old slice":
                what, start, stop = self._pop(3)
                self._stack.append(_item(what, Constant(slice(_value(start), _value(stop)))))
            case "+" | "-" | "*" | "/":
                self._stack.append(Applied(name, self._pop(2)))
            case "old call":
                pairs = self._pop(2 * (argument >> 8))
                given = self._pop(argument & 0xFF)
                named = {
                    _word(key): value for key, value in zip(pairs[::2], pairs[1::2], strict=True)
                }
                self._call(given, named)
            case "call named":
                self._named = tuple(_value(self._stack.pop()))
                self._counted_call(argument)
            case "call":
                self._counted_call(argument)
            case _:
                raise NotUnderstoodError(f"{name} {argument}")

    def _counted_call(self, count: int) -> None:
        given = self._pop(count)
        names = [_word(Constant(name)) for name in self._named]
        self._named = ()
        split = len(given) - len(names)
        self._call(given[:split], dict(zip(names, given[split:], strict=True)))

    def _call(self, given: tuple[Any, ...], named: Mapping[str, Any]) -> None:
        function = self._stack.pop()
        if not isinstance(function, Path):
            raise NotUnderstoodError("a call of something that is no name")
        self._stack.append(Applied(function.text, given, named))

    def _pop(self, count: int) -> tuple[Any, ...]:
        if count > len(self._stack):
            raise NotUnderstoodError("more operands than there are")
        found = tuple(self._stack[len(self._stack) - count :])
        del self._stack[len(self._stack) - count :]
        return found


def _instructions(code: bytes, wide: bool) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(code):
        number = code[at]
        if wide:
            yield number, code[at + 1]
            at += 2
        elif number >= 90:
            yield number, code[at + 1] | code[at + 2] << 8
            at += 3
        else:
            yield number, 0
            at += 1


def _attribute(of: Any, name: str) -> Path:
    if not isinstance(of, Path):
        raise NotUnderstoodError("an attribute of something that is no name")
    return Path(f"{of.text}.{name}")


def _module(item: Any) -> Path:
    """What may be stored and dropped: the imports of a function that begins with one."""
    if not isinstance(item, Path):
        raise NotUnderstoodError("a value that is stored or dropped")
    return item


def _item(of: Any, index: Any) -> Constant:
    return Constant(_value(of)[_value(index)])


def _value(item: Any) -> Any:
    if not isinstance(item, Constant):
        raise NotUnderstoodError("a value that the file does not state")
    return item.value


def _word(item: Any) -> str:
    value = _value(item)
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
