"""Known-good parts: what stands in for the model, the data, the loss and the optimizer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segdoctor.core.measured import HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.measures.drawn_batch import drawn_batch
from segdoctor.recorder.layers import package_flavour
from segdoctor.recorder.stand_in_net import stand_in_net

PARTS = ("model", "data", "loss", "optimizer")
RATE = 1e-3

_SCALES_ITSELF = ("Rescaling", "Normalization")


@dataclass(frozen=True, slots=True)
class Interface:
    """What a part must fit: the head, the labels as fed, the size of the true ids, and what the
    loss takes (``"logits"``, ``"probabilities"``, or not known)."""

    head: HeadFacts
    labels: LabelFacts
    ids: Any
    takes: str = "unknown"


def exchanged(part: str, rate: float = RATE) -> dict[str, Any]:
    """The patch that exchanges ``part``."""
    if part == "optimizer":
        return {"optimizer.name": "Adam", "optimizer.learning_rate": rate}
    return {f"{part}.stand_in": True}


def part_of(entry: str) -> str:
    """The part that an entry of a patch changes; how the labels are encoded and what stands for
    void goes with none of them, since a stand-in has to fit it."""
    family = entry.partition(".")[0]
    if entry in ("labels.encoding", "labels.void"):
        return ""
    return {"labels": "data", "loss": "loss", "optimizer": "optimizer", "data": "data"}.get(
        family, "model"
    )


def with_stand_in_net(run: Run, interface: Interface) -> Run:
    """The run with a small net of the same input and output."""
    assert run.batch is not None
    import tensorflow as tf

    tf.random.set_seed(run.seed)
    keras_seed(run)
    size = (int(interface.ids.shape[1]), int(interface.ids.shape[2]))
    shape = tuple(int(n) for n in np.asarray(run.batch.x).shape)
    net, _ = stand_in_net(run.model, interface.head, shape, size, scores=scores_of(interface))
    return replace(run, model=net, flavour=package_flavour(net))


def keras_seed(run: Run) -> None:
    """Draw a stand-in's weights alike in every trial of the same seed."""
    from segdoctor.recorder.surgery import keras_of

    keras_of(run.model).utils.set_random_seed(run.seed)


def scores_of(interface: Interface) -> str:
    """What the net gives: as the run's own head, or what the loss takes where that is no answer."""
    head = interface.head
    if head.kind in ("logits", "softmax", "sigmoid"):
        return head.kind
    if interface.takes == "logits":
        return "logits"
    return "sigmoid" if head.channels == 1 else "softmax"


def with_drawn_data(run: Run, interface: Interface) -> Run:
    """The run on drawn images with labels of the same format; void does not occur in them."""
    assert run.batch is not None
    front = [type(layer).__name__ for layer in getattr(run.model, "layers", [])[:4]]
    limits = (0.0, 255.0) if any(name in _SCALES_ITSELF for name in front) else (-1.0, 1.0)
    try:
        x, y, ids = drawn_batch(
            np.asarray(run.batch.x),
            np.asarray(interface.ids),
            interface.labels,
            interface.head.channels,
            limits=limits,
            seed=run.seed,
        )
    except ValueError as why:
        raise NotExaminedError(f"no data stand in for these: {why}") from why
    weight = run.batch.sample_weight
    weight = None if weight is None else np.ones_like(np.asarray(weight))
    batch = replace(run.batch, x=x, y=y, ids=ids, sample_weight=weight, source="drawn")
    return replace(run, batch=batch)
