"""An HDF5 file of a stranger: only plain data sets that the file itself holds are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from segdoctor.sources.model_file.errors import ModelFileError

_MAX_MEMBERS = 100_000
_MAX_ATTRIBUTE = 64 << 20
_MAX_RATIO = 200  # stored to unpacked, for compressed data sets
_MAX_CHUNK = 256 << 20
_FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, Fletcher-32, LZF: no plug-in is ever loaded


class CheckedH5:
    """A reader that refuses what is linked, external, virtual, foreign or too large.

    Parameters
    ----------
    file : the open HDF5 file.
    path : named in the errors.
    size : bytes of the file; no data set may claim more than it can hold.
    """

    def __init__(self, file: h5py.File, path: Path, size: int) -> None:
        self._file = file
        self._path = path
        self._size = size

    def refuse(self, received: str) -> ModelFileError:
        return ModelFileError(self._path, received, "it was not read further")

    def names(self, group: str) -> list[str]:
        """Names in ``group``, in the file's order; [] if there is no such group."""
        found = self._get(group)
        if not isinstance(found, h5py.Group):
            return []
        if len(found) > _MAX_MEMBERS:
            raise self.refuse(f"a group of {len(found)} members (at most {_MAX_MEMBERS})")
        return list(found)

    def is_group(self, path: str) -> bool:
        return isinstance(self._get(path), h5py.Group)

    def is_dataset(self, path: str) -> bool:
        return isinstance(self._get(path), h5py.Dataset)

    def attribute(self, path: str, name: str) -> Any:
        """The attribute as str, bytes, number or array; None where there is none."""
        found = self._get(path)
        if found is None or name not in found.attrs:
            return None
        try:
            raw = h5py.h5a.open(found.id, name.encode())
            size = math.prod(raw.shape) * raw.dtype.itemsize
            if size > min(_MAX_ATTRIBUTE, self._size):
                raise self.refuse(f"an attribute {name!r} of {size} bytes")
            value = found.attrs[name]
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise self.refuse(f"a damaged attribute {name!r} ({error})") from None
        return None if isinstance(value, h5py.Empty) else value

    def text_attribute(self, path: str, name: str) -> str | bytes | None:
        value = self.attribute(path, name)
        return value if isinstance(value, str | bytes) else None

    def name_list(self, path: str, name: str) -> list[str]:
        """A list of names, which Keras splits into ``name0, name1, …`` beyond 64 KB."""
        whole = self.attribute(path, name)
        parts = [] if whole is None else [whole]
        if whole is None:
            while (part := self.attribute(path, f"{name}{len(parts)}")) is not None:
                parts.append(part)
        found = []
        for part in parts:
            for item in np.asarray(part).reshape(-1).tolist():
                if isinstance(item, bytes):
                    item = item.decode("utf-8", "replace")
                if isinstance(item, str):
                    found.append(item)
        return found

    def shape(self, path: str) -> tuple[tuple[int, ...], str]:
        """``(shape, dtype)`` of a data set that passed the checks."""
        dataset = self._dataset(path)
        return tuple(dataset.shape), _stored_type(dataset)

    def blocks(self, path: str, slices: Iterator[tuple[slice, ...]]) -> Iterator[Any]:
        """The data set at ``path``, block by block."""
        dataset = self._dataset(path)
        kind = _stored_type(dataset)
        for piece in slices:
            yield self._values(dataset, piece, kind)

    def read(self, path: str) -> Any:
        """The whole data set as a NumPy array."""
        dataset = self._dataset(path)
        return self._values(dataset, (), _stored_type(dataset))

    def _values(self, dataset: h5py.Dataset, piece: tuple[slice, ...], kind: str) -> Any:
        try:
            values = np.asarray(dataset[piece])
        except (OSError, RuntimeError, ValueError) as error:
            raise self.refuse(f"a data set {dataset.name} that cannot be read ({error})") from None
        if kind == "bfloat16":  # Keras 3 stores the bits
            return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        return values

    def _get(self, path: str) -> Any:
        """The object at ``path`` by hard links only; None where there is none."""
        current: Any = self._file
        for part in [part for part in path.split("/") if part not in ("", ".")]:
            if not isinstance(current, h5py.Group):
                return None
            try:
                key = part.encode("utf-8", "surrogateescape")
                if not current.id.links.exists(key):
                    return None
                if current.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
                    raise self.refuse(f"a link at {path} to a place outside of it")
                current = current[part]
            except (OSError, RuntimeError, KeyError, UnicodeError, ValueError) as error:
                if isinstance(error, ModelFileError):
                    raise
                raise self.refuse(f"a damaged entry at {path} ({error})") from None
        return current

    def _dataset(self, path: str) -> h5py.Dataset:
        found = self._get(path)
        if not isinstance(found, h5py.Dataset):
            raise self.refuse(f"no data set at {path}")
        try:
            self._check(found, path)
        except (OSError, RuntimeError, TypeError, OverflowError) as error:
            raise self.refuse(f"a damaged data set at {path} ({error})") from None
        return found

    def _check(self, dataset: h5py.Dataset, path: str) -> None:
        plist = dataset.id.get_create_plist()
        if plist.get_external_count() or dataset.is_virtual:
            raise self.refuse(f"a data set at {path} whose values lie in other files")
        if dataset.dtype.kind not in "fiubV" or dataset.dtype.itemsize > 16:
            raise self.refuse(f"a data set at {path} of the type {dataset.dtype}")
        if dataset.dtype.kind == "V" and dataset.dtype.itemsize != 2:
            raise self.refuse(f"a data set at {path} of the type {dataset.dtype}")
        filters = {plist.get_filter(index)[0] for index in range(plist.get_nfilters())}
        if filters - _FILTERS:
            raise self.refuse(f"a data set at {path} that needs the HDF5 plug-in {max(filters)}")
        if dataset.shape is None:
            raise self.refuse(f"an empty data set at {path}")
        claimed = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        ratio = _MAX_RATIO if filters & {1, 32000} else 1
        chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
        padding = chunk if dataset.chunks else 0
        if stored > self._size + padding or claimed > stored * ratio or chunk > _MAX_CHUNK:
            raise self.refuse(
                f"a data set at {path} that claims {claimed} bytes, shape {list(dataset.shape)},"
                f" and stores {stored}"
            )


def _stored_type(dataset: h5py.Dataset) -> str:
    if dataset.dtype.itemsize == 2 and dataset.dtype.kind in "uV":
        marked = dataset.attrs.get("dtype")
        if marked in ("bfloat16", b"bfloat16"):
            return "bfloat16"
    return str(dataset.dtype)


@contextmanager
def opened_h5(path: Path, source: Path | BinaryIO, size: int) -> Iterator[CheckedH5]:
    """Open ``source``, the file itself or a stream of it; errors name ``path``."""
    try:
        file = h5py.File(source, "r")
    except (OSError, RuntimeError, ValueError) as error:
        text = str(error)
        if "truncated" in text:
            stated = text.rpartition("stored_eof = ")[2].rstrip(")")
            raise ModelFileError(
                path,
                f"a truncated HDF5 file ({size} of {stated} bytes)",
                "download or save it again",
            ) from None
        raise ModelFileError(path, f"a damaged HDF5 file ({text})", "save it again") from None
    with file:
        yield CheckedH5(file, path, size)
