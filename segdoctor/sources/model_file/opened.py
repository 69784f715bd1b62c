"""A model file that was read: its facts, and what rebuilding it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdoctor.core.model_facts import ModelFacts
from segdoctor.sources.model_file.recognise import FileKind
from segdoctor.sources.model_file.stored_weight import StoredWeight


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
        from segdoctor.sources.model_file.checked_h5 import weights_file

        with weights_file(self.path, self.kind) as file:
            if file is None:
                yield _none_stored
            else:
                yield lambda weight: file.read(weight.path)


def _none_stored(weight: StoredWeight) -> Any:
    raise KeyError(weight.path)
