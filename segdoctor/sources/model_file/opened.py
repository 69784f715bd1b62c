"""A model file that was read: its facts, and what rebuilding it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdoctor.core.model_facts import ModelFacts
from segdoctor.sources.model_file.checked_h5 import CheckedH5, opened_h5
from segdoctor.sources.model_file.recognise import FileKind
from segdoctor.sources.model_file.stored_weights import StoredWeight


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """``config`` is the raw model configuration, None for weights-only files; ``compiled`` the
    raw compile settings; ``stored`` says which array in the file belongs to which layer."""

    facts: ModelFacts
    config: Any
    compiled: Any
    stored: tuple[StoredWeight, ...]
    kind: FileKind

    @property
    def path(self) -> Path:
        return Path(self.facts.path)

    @contextmanager
    def weights(self) -> Iterator[Callable[[StoredWeight], Any]]:
        """A function that reads one stored array as NumPy, checked; the file is open meanwhile."""
        with weights_file(self.path, self.kind) as file:
            if file is None:
                yield _none_stored
            else:
                yield lambda weight: file.read(weight.path)


def _none_stored(weight: StoredWeight) -> Any:
    raise KeyError(weight.path)


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
