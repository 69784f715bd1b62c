"""What is examined: live objects, paths and what the user declared. Nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Trial:
    """How the overfit trial is sized. Given ``steps``, ``crop`` and ``batch``, the result is the
    same for the same seed; with only a budget in seconds, the verdict is."""

    budget_s: float = 60.0
    steps: int | None = None
    crop: int | None = None
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The batch that is examined, as the run feeds it.

    Parameters
    ----------
    x : array (B, H, W, channels), as fed to the model.
    y : array as fed to the loss: ids (B, H, W) or (B, H, W, 1), or one-hot (B, H, W, C).
    sample_weight : array or None.
    ids : integer array (B, H, W) of the true class ids with void, where known apart from ``y``
        (folders); None where only ``y`` is known.
    names : names of the examples.
    encoding : how ``y`` encodes classes: ``"ids"``, ``"onehot"``, ``"onehot-zero"``,
        ``"onehot-255"``; ``declared_encoding`` is True where the user said so (then it is judged).
    """

    x: Any
    y: Any
    sample_weight: Any = None
    ids: Any = None
    names: tuple[str, ...] = ()
    encoding: str = "ids"
    declared_encoding: bool = True
    source: str = "arrays"
    preprocess: str = "as given"
    declared_range: bool = True

    def first(self, count: int) -> Batch:
        """The batch of the first ``count`` examples."""
        held = {
            name: array[:count]
            for name in ("x", "y", "sample_weight", "ids")
            if (array := getattr(self, name)) is not None
        }
        return replace(self, **held, names=self.names[:count])


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws a batch of the run's own data at each call.

    ``same``: the examples of the batch that is examined, as the pipeline hands them out again;
    else those that come next in its passes.
    """

    draw: Callable[[], Batch]
    same: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A training run to be examined.

    ``model`` is a live Keras model; ``loss`` and ``optimizer`` are live objects or None where the
    run does not say; ``metrics`` are pairs (metric, whether it gets the sample weights).
    ``provenance`` says where each came from (``"file"``, ``"compiled"``, ``"flag"``,
    ``"stand-in"``). ``patches`` are the treatments applied so far.
    """

    model: Any
    batch: Batch | None = None
    loss: Any = None
    optimizer: Any = None
    metrics: tuple[Any, ...] = ()
    num_classes: int | None = None
    ignore_label: int | bool | None = None
    ignore_declared_by: str = ""
    class_weight: Any = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    flavour: str = "keras3"
    provenance: Mapping[str, str] = field(default_factory=dict)
    patches: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
