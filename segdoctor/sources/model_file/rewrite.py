"""Writes a changed copy of a model file, as data: nothing in it is run, and whatever is not
changed stays as it is, the Keras version that it is of included."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.measures.config_edits import Config
from segdoctor.sources.model_file.bounded_json import parse_json
from segdoctor.sources.model_file.keras_zip import WEIGHTS, open_keras_zip, weights_stream
from segdoctor.sources.model_file.opened import OpenedModel


@dataclass
class Changes:
    """What is changed: ``model`` and ``compiled`` edit the configurations in place, ``arrays`` are
    stored in the place of others (place in the file → values). With ``restart`` the optimizer's
    state is left out, which would belong to other variables."""

    model: list[Callable[[Config], object]] = field(default_factory=list)
    compiled: list[Callable[[Config], object]] = field(default_factory=list)
    arrays: dict[str, Any] = field(default_factory=dict)
    restart: bool = False

    def __bool__(self) -> bool:
        return bool(self.model or self.compiled or self.arrays)


def rewrite(opened: OpenedModel, changes: Changes, target: Path) -> None:
    """Write ``target``, whole or not at all; a file that is there already is never replaced.

    Raises
    ------
    UserError
        If ``target`` is there or cannot be written.
    """
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write = _write_h5 if opened.kind == "h5" else _write_zip
        write(opened, changes, beside)
        with open(beside, "rb+") as stream:
            os.fsync(stream.fileno())
        put_in_place(beside, target)
    except OSError as error:
        why = clean(error.strerror or str(error), 160)
        raise UserError(f"cannot write {clean(target)}: {why}") from error
    finally:
        beside.unlink(missing_ok=True)


def put_in_place(beside: Path, target: Path) -> None:
    """Give the finished file its name, in one step; an error if the name is taken."""
    try:
        os.link(beside, target)
    except FileExistsError as error:
        raise UserError(f"{clean(target)} is there already, and nothing is overwritten") from error
    except OSError:  # a file system without links
        if target.exists():
            raise UserError(
                f"{clean(target)} is there already, and nothing is overwritten"
            ) from None
        os.rename(beside, target)


def _inner(config: Any) -> Config:
    """The configuration that holds ``layers``; Sequential of Keras ≤ 2.1 is a bare list."""
    inner = config["config"]
    return {"layers": inner} if isinstance(inner, list) else inner


def _edited(text: str | bytes, edits: list[Callable[[Config], object]], *, inner: bool) -> str:
    config = parse_json(text)
    for edit in edits:
        edit(_inner(config) if inner else config)
    return json.dumps(config)


def _write_h5(opened: OpenedModel, changes: Changes, target: Path) -> None:
    shutil.copyfile(opened.path, target)
    with h5py.File(target, "r+") as file:
        for name, edits in (("model_config", changes.model), ("training_config", changes.compiled)):
            if edits:
                _replace_text(file, name, edits, inner=name == "model_config")
        _replace_arrays(file, changes.arrays)
        if changes.restart and "optimizer_weights" in file:
            del file["optimizer_weights"]


def _replace_text(
    file: h5py.File, name: str, edits: list[Callable[[Config], object]], *, inner: bool
) -> None:
    held = file.attrs[name]
    kind = file.attrs.get_id(name).dtype
    text = _edited(held, edits, inner=inner)
    fixed = kind.kind == "S"  # as old readers take it: of the length that it has
    value = np.bytes_(text.encode()) if fixed else text
    file.attrs.create(name, value, dtype=None if fixed else kind)


def _replace_arrays(file: h5py.File, arrays: Mapping[str, Any]) -> None:
    for place, values in arrays.items():
        stored = file[place]
        if stored.shape == values.shape:
            stored[...] = values.astype(stored.dtype)
            continue
        kind = stored.dtype
        del file[place]
        file.create_dataset(place, data=values.astype(kind))


def _write_zip(opened: OpenedModel, changes: Changes, target: Path) -> None:
    weights = target.with_name(f"{target.name}.h5")
    try:
        with (
            open_keras_zip(opened.path) as archive,
            zipfile.ZipFile(target, "w", allowZip64=True) as new,
        ):
            for info in archive.infolist():
                if info.filename == WEIGHTS:
                    _copy_weights(opened, changes, weights)
                    new.write(weights, WEIGHTS, zipfile.ZIP_STORED)
                elif info.filename == "config.json":
                    new.writestr(info, _edited_config(archive.read(info), changes))
                elif not info.is_dir():
                    with archive.open(info) as source, new.open(info, "w") as copy:
                        shutil.copyfileobj(source, copy)
    finally:
        weights.unlink(missing_ok=True)


def _edited_config(text: bytes, changes: Changes) -> str:
    config = parse_json(text)
    for edit in changes.model:
        edit(_inner(config))
    for edit in changes.compiled:
        edit(config["compile_config"])
    return json.dumps(config)


def _copy_weights(opened: OpenedModel, changes: Changes, target: Path) -> None:
    with weights_stream(opened.path) as found, open(target, "wb") as copy:
        assert found is not None
        shutil.copyfileobj(found[0], copy, 1 << 20)
    if changes.arrays or changes.restart:
        with h5py.File(target, "r+") as file:
            _replace_arrays(file, changes.arrays)
            if changes.restart and "optimizer" in file:
                del file["optimizer"]
