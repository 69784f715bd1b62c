"""An HDF5 file of a stranger: only plain data sets that the file itself holds are read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np

from segdoctor.measures.weight_statistics import block_slices
from segdoctor.sources.model_file.errors import ModelFileError
from segdoctor.sources.model_file.recognise import FileKind

_MAX_MEMBERS = 100_000
_MAX_ATTRIBUTE = 64 << 20
_MAX_RATIO = 200  # stored to unpacked, for compressed data sets
_MAX_CHUNK = 256 << 20
_ROOM = 4 << 20  # bytes read at once
_CHUNKED = h5py.h5d.CHUNKED
_FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, Fletcher-32, LZF: no plug-in is ever loaded


class CheckedH5:
    """A reader that refuses what is linked, external, virtual, foreign or too large.

    Parameters
    ----------
    file : the open HDF5 file.
    path : named in the errors.
    size : bytes of the file; no data set may claim more than it can hold.
    place : descriptor of the file that holds it, and where it begins there; None if not known.
    """

    def __init__(
        self, file: h5py.File, path: Path, size: int, place: tuple[int, int] | None = None
    ) -> None:
        self._file = file
        self._path = path
        self._size = size
        self._groups: dict[str, h5py.Group] = {}
        self.place = place

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
        return isinstance(self._get(path), h5py.h5d.DatasetID)

    def attribute(self, path: str, name: str) -> Any:
        """The attribute as str, bytes, number or array; None where there is none."""
        found = self._get(path)
        key = name.encode()
        try:
            if found is None:
                return None
            try:
                raw = h5py.h5a.open(found.id, key)
            except KeyError:
                return None
            kind, shape = raw.dtype, raw.shape
            size = math.prod(shape) * kind.itemsize
            if size > min(_MAX_ATTRIBUTE, self._size):
                raise self.refuse(f"an attribute {name!r} of {size} bytes")
            if not shape and raw.get_space().get_simple_extent_type() == h5py.h5s.NULL:
                return None
            value = np.zeros(shape, kind)
            raw.read(value)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise self.refuse(f"a damaged attribute {name!r} ({error})") from None
        return value[()] if value.ndim == 0 else value

    def text(self, path: str, name: str) -> str | None:
        """The attribute, if it is a text."""
        value = self.attribute(path, name)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        return value if isinstance(value, str) else None

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

    def array(self, path: str) -> StoredArray:
        """The data set at ``path``, if it passes the checks; nothing of it is read yet."""
        found = self._get(path)
        if not isinstance(found, h5py.h5d.DatasetID):
            raise self.refuse(f"no data set at {path}")
        try:
            return self._checked(found, path)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise self.refuse(f"a damaged data set at {path} ({error})") from None

    def read(self, path: str) -> Any:
        """The whole data set as a NumPy array."""
        return self.array(path).values()

    def _get(self, path: str) -> Any:
        """The object at ``path`` by hard links only; None where there is none."""
        current: Any = self._file
        walked = ""
        for part in path.split("/"):
            if part in ("", "."):
                continue
            walked = f"{walked}/{part}"
            if walked in self._groups:
                current = self._groups[walked]
                continue
            if not isinstance(current, h5py.Group):
                return None
            current = self._child(current, part, path)
            if isinstance(current, h5py.Group):
                self._groups[walked] = current
        return current

    def _child(self, group: h5py.Group, name: str, path: str) -> Any:
        try:
            key = name.encode("utf-8", "surrogateescape")
            links = group.id.links
            try:
                kind = links.get_info(key).type
            except (KeyError, RuntimeError):
                if links.exists(key):
                    raise
                return None
            if kind != h5py.h5l.TYPE_HARD:
                raise self.refuse(f"a link at {path} to a place outside of it")
            found = h5py.h5o.open(group.id, key)
        except (OSError, RuntimeError, KeyError, UnicodeError, ValueError) as error:
            if isinstance(error, ModelFileError):
                raise
            raise self.refuse(f"a damaged entry at {path} ({error})") from None
        if isinstance(found, h5py.h5d.DatasetID):
            return found
        return h5py.Group(found) if isinstance(found, h5py.h5g.GroupID) else None

    def _checked(self, dataset: h5py.h5d.DatasetID, path: str) -> StoredArray:
        dtype, shape = dataset.dtype, dataset.shape
        offset = dataset.get_offset()  # None where it is chunked, external or virtual
        if offset is not None and dtype.kind == "f" and shape is not None:
            stored = math.prod(shape) * dtype.itemsize
            if dataset.get_storage_size() == stored <= self._size:
                return StoredArray(dataset, self, dtype, shape, offset)  # the usual case
        plist = dataset.get_create_plist()
        layout = plist.get_layout()
        if plist.get_external_count() or layout == h5py.h5d.VIRTUAL:
            raise self.refuse(f"a data set at {path} whose values lie in other files")
        if dtype.kind not in "fiubV" or dtype.itemsize > 16:
            raise self.refuse(f"a data set at {path} of the type {dtype}")
        if dtype.kind == "V" and dtype.itemsize != 2:
            raise self.refuse(f"a data set at {path} of the type {dtype}")
        filters = {plist.get_filter(index)[0] for index in range(plist.get_nfilters())}
        if filters - _FILTERS:
            raise self.refuse(f"a data set at {path} that needs the HDF5 plug-in {max(filters)}")
        if shape is None:
            raise self.refuse(f"an empty data set at {path}")
        claimed = math.prod(shape) * dtype.itemsize
        stored = dataset.get_storage_size()
        ratio = _MAX_RATIO if filters & {1, 32000} else 1
        chunk = math.prod(plist.get_chunk()) * dtype.itemsize if layout == _CHUNKED else 0
        if stored > self._size + chunk or claimed > stored * ratio or chunk > _MAX_CHUNK:
            raise self.refuse(
                f"a data set at {path} that claims {claimed} bytes, shape {list(shape)},"
                f" and stores {stored}"
            )
        return StoredArray(dataset, self, dtype, shape, None)


class StoredArray:
    """A data set that passed the checks."""

    def __init__(
        self,
        dataset: h5py.h5d.DatasetID,
        file: CheckedH5,
        kind: np.dtype[Any],
        shape: tuple[int, ...],
        offset: int | None,
    ) -> None:
        self._dataset = dataset
        self._file = file
        self._kind = kind
        self._offset = offset  # of plain numbers, in one piece
        self.shape: tuple[int, ...] = tuple(shape)
        self.dtype: str = kind.name
        if kind.itemsize == 2 and kind.kind in "uV":
            marked = h5py.AttributeManager(h5py.Dataset(dataset)).get("dtype")
            if marked in ("bfloat16", b"bfloat16"):
                self.dtype = "bfloat16"

    def values(self) -> Any:
        """The whole array."""
        return self._decoded(self._read(np.empty(self.shape, self._kind), ()))

    def pieces(self, room: Any) -> Iterator[Any]:
        """The array, a few megabytes at a time. A piece lies in ``room``, bytes of
        :func:`room_for_pieces`, and is valid until the next one is taken."""
        room = room[: room.size - room.size % self._kind.itemsize].view(self._kind)
        count = math.prod(self.shape)
        if self._offset is not None and self._file.place is not None:
            for start in range(0, count, room.size):
                yield self._in_place(room[: min(room.size, count - start)], start)
            return
        whole = count <= room.size
        for piece in [()] if whole else block_slices(self.shape, room.size):
            rest = self.shape[len(piece) :]
            shape = (*(part.stop - part.start for part in piece), *rest)
            into = room[: math.prod(shape)].reshape(shape)
            yield self._decoded(self._read(into, piece))

    def _in_place(self, into: Any, start: int) -> Any:
        """Elements from ``start`` on, past the HDF5 library, which lets one thread in at a time."""
        assert self._file.place is not None
        assert self._offset is not None
        descriptor, begin = self._file.place
        at = begin + self._offset + start * self._kind.itemsize
        try:
            read = os.preadv(descriptor, [into], at)
        except OSError as error:
            raise self._file.refuse(f"a data set that cannot be read ({error})") from None
        if read != into.nbytes:
            raise self._file.refuse(f"a truncated data set ({read} of {into.nbytes} bytes)")
        return into

    def _read(self, into: Any, piece: tuple[slice, ...]) -> Any:
        try:
            if piece:
                h5py.Dataset(self._dataset).read_direct(into, piece)
            elif into.size:
                self._dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, into)
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise self._file.refuse(f"a data set that cannot be read ({error})") from None
        return into

    def _decoded(self, values: Any) -> Any:
        if self.dtype == "bfloat16":  # Keras 3 stores the bits
            return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        return values


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
        place = file.id.get_vfd_handle() if isinstance(source, Path) else None
        yield CheckedH5(file, path, size, (place, 0) if isinstance(place, int) else None)


def room_for_pieces() -> Any:
    """Bytes to read into: fresh memory costs more than reading."""
    return np.empty(_ROOM, np.uint8)


@contextmanager
def weights_file(path: Path, kind: FileKind) -> Iterator[CheckedH5 | None]:
    """The checked HDF5 file with the weights; None where a ``.keras`` file has none."""
    if kind == "h5":
        with opened_h5(path, path, path.stat().st_size) as file:
            yield file
        return
    from segdoctor.sources.model_file.keras_zip import weights_stream

    with weights_stream(path) as found:
        if found is None:
            yield None
            return
        stream, size = found
        with opened_h5(path, stream, size) as file:
            yield file
