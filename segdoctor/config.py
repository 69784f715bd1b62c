"""Defaults of the flags from ``pyproject.toml`` (``[tool.segdoctor]``) or ``segdoctor.toml``.

The names are those of the flags, without dashes in front: ``fail-on = "warning"``. A table of a
command's name (``[tool.segdoctor.check]``) holds for that command alone and stands above the rest;
a flag on the command line stands above both.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.given_file import given_text

_NOT_HERE = ("help", "version")


def configure(commands: Mapping[str, argparse.ArgumentParser], folder: str = ".") -> None:
    """Give the parsers of ``commands`` the defaults of the file that is nearest to ``folder``.

    Raises
    ------
    UserError
        For a file that is no TOML, a name that no flag has, or a value that a flag does not take.
    """
    found = _nearest(Path(folder))
    if found is None:
        return
    path, table = found
    shared = {name: value for name, value in table.items() if name not in commands}
    for name in shared:
        if not any(_action(parser, name) for parser in commands.values()):
            raise _unknown(path, name)
    for command, parser in commands.items():
        own = table.get(command, {})
        if not isinstance(own, Mapping):
            raise UserError(f"{clean(path)}: {command}: expected a table, received {clean(own)}")
        for name, value in {**shared, **own}.items():
            action = _action(parser, name)
            if action is not None:
                parser.set_defaults(**{action.dest: _value(path, name, action, value)})
            elif name in own:
                raise _unknown(path, f"{command}.{name}")


def _nearest(folder: Path) -> tuple[Path, Mapping[str, Any]] | None:
    """The file and its table, from ``folder`` upwards to the root of the repository."""
    for place in (folder.resolve(), *folder.resolve().parents):
        for name, keys in (("segdoctor.toml", ()), ("pyproject.toml", ("tool", "segdoctor"))):
            path = place / name
            if path.is_file():
                table: Any = _read(path)
                for key in keys:
                    table = table.get(key, {}) if isinstance(table, Mapping) else {}
                if table or not keys:
                    return Path(os.path.relpath(path)), table
        if (place / ".git").exists():
            return None
    return None


def _read(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(given_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{clean(path)}: it cannot be read as TOML: {clean(error)}") from error


def _action(parser: argparse.ArgumentParser, name: str) -> argparse.Action | None:
    flag = "--" + name.replace("_", "-")
    found = (a for a in parser._actions if flag in a.option_strings and a.dest not in _NOT_HERE)
    return next(found, None)


def _value(path: Path, name: str, action: argparse.Action, value: Any) -> Any:
    """``value`` as the flag would have it on the command line."""
    if action.nargs == 0:  # a switch
        if not isinstance(value, bool):
            raise _wrong(path, name, "true or false", value)
        return action.const if value else action.default
    listed = value if isinstance(value, list) else [value]
    if isinstance(action, argparse._AppendAction):
        return [str(item) for item in listed]
    if len(listed) != 1 or isinstance(listed[0], Mapping):
        raise _wrong(path, name, "one value", value)
    text = str(listed[0]).lower() if isinstance(listed[0], bool) else str(listed[0])
    kind = action.type if callable(action.type) else str
    try:
        made = kind(text)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"{clean(path)}: {clean(name)}: {clean(error)}") from error
    except ValueError as error:
        wanted = getattr(kind, "__name__", "a value")
        raise _wrong(path, name, {"int": "a whole number"}.get(wanted, wanted), value) from error
    if action.choices is not None and made not in action.choices:
        raise _wrong(path, name, "one of " + ", ".join(map(str, action.choices)), value)
    return made


def _wrong(path: Path, name: str, expected: str, value: Any) -> UserError:
    return UserError(
        f"{clean(path)}: {clean(name)}: expected {expected}, received {clean(repr(value), 80)}"
    )


def _unknown(path: Path, name: str) -> UserError:
    return UserError(
        f"{clean(path)}: {clean(name)}: no flag has this name (`segdoctor check --help` lists them)"
    )
