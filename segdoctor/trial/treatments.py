"""Applies a finding's patch to a run. The run that is given is never changed.

The patch is declarative; these are the names it may use:

=========================  ===================================================================
``loss.from_logits``       bool: the loss is told what the model gives
``loss.ignore_class``      int: the loss leaves this label out
``loss.stand_in``          True: a right loss for the head and the labels takes its place
``head.activation``        ``"remove"`` the last one, or put ``"softmax"`` / ``"sigmoid"`` behind
``head.channels``          int: the last convolution is made anew with so many channels
``head.trainable``         True: the last layer with weights trains
``head.resize``            ``"96x96"``: the output is resized to these rows and columns
``head.tail``              ``"remove"``: the scores as they are, only resized and flattened
``labels.encoding``        ``"ids"`` or ``"onehot"``
``labels.void``            ``"zero weight"``: sample weights of 0 at void pixels
``labels.decode``          ``"palette"``: colours or luminances back to ids
``labels.scale``           float: ids are multiplied by it
``labels.shift``           int: added to the ids
``labels.restore``         int: thin rings of this class become void again (folders only)
``data.preprocess``        ``"tf"``, ``"torch"``, …: the input range that the weights expect
``bn.training``            ``"inference"``: frozen BN runs on its moving statistics
``bn.recalibrate``         True: moving statistics are measured anew on the data
``bn.freeze``              True: every BN is frozen
``bn.unwire``              True: ``training=…`` is taken out of the graph
``freeze``                 ``"none"``: everything trains; ``"module"``: BN follows its convolution
``regularisation``         ``"none"``: no L1/L2 losses and no weight decay
``optimizer.name``         a Keras optimizer
``optimizer.learning_rate``  float
``model.stand_in``         True: a small net of the same input and output takes its place
``data.stand_in``          True: drawn images with labels of the same format take their place
=========================  ===================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Batch, Draws, Run
from segdoctor.measures import config_edits
from segdoctor.measures.input_range import in_each_range
from segdoctor.recorder import surgery, surgery_tail
from segdoctor.recorder.layers import batch_norm_layers
from segdoctor.recorder.recalibrate import recalibrate
from segdoctor.trial import parts


@dataclass(frozen=True, slots=True)
class Tools:
    """What the treatments need of the run beside the run itself.

    ``ids``: true ids (B, H, W) of the batch with ``void``; ``right_loss``: a right loss for a
    run's head and labels; ``interface``: what a part must fit; ``redraw``: the same
    examples with another preprocessing, ``restore``: with void for the rings of a class (folders
    only); ``draws``: the run's own batches drawn anew, with their true ids; ``decode``: colours or
    luminances (the labels as fed) to ids.
    """

    ids: Any
    void: int | None
    classes: int
    right_loss: Callable[[Run], Any]
    redraw: Callable[[str], Batch] | None = None
    restore: Callable[[int], Batch] | None = None
    draws: Draws | None = None
    decode: Callable[[Any], Any] | None = None
    interface: parts.Interface | None = None


def treated(run: Run, patch: Mapping[str, Any], tools: Tools) -> Run:
    """``run`` with every entry of ``patch`` applied.

    Raises
    ------
    NotExaminedError
        If an entry cannot be applied to this run (a subclassed net, an unknown loss); the text
        says why.
    """
    unknown = [name for name in patch if name not in _STEPS]
    if unknown:
        raise NotExaminedError(f"the trial has no treatment named {', '.join(unknown)}")
    for name, step in _STEPS.items():
        if name in patch:
            run = step(run, patch[name], tools)
    return replace(run, patches={**run.patches, **patch})


def _batch(run: Run, **changes: Any) -> Run:
    if run.batch is None:
        raise NotExaminedError("there is no batch whose labels could be changed")
    return replace(run, batch=replace(run.batch, **changes))


def _decode(run: Run, value: Any, tools: Tools) -> Run:
    if tools.decode is None or run.batch is None:
        raise NotExaminedError("no palette is known that the labels could be decoded with")
    return _batch(run, y=tools.decode(run.batch.y), encoding="ids")


def _scale(run: Run, value: Any, tools: Tools) -> Run:
    return _moved(run, lambda y: np.rint(np.asarray(y, np.float64) * float(value)), tools)


def _shift(run: Run, value: Any, tools: Tools) -> Run:
    return _moved(run, lambda y: np.asarray(y, np.int64) + int(value), tools)


def _moved(run: Run, move: Callable[[Any], Any], tools: Tools) -> Run:
    """Labels changed by ``move``; void stays where it is."""
    assert run.batch is not None
    y = np.asarray(run.batch.y)
    moved = move(y).astype(np.int32)
    return _batch(run, y=moved if tools.void is None else np.where(y == tools.void, y, moved))


def _restore(run: Run, value: Any, tools: Tools) -> Run:
    if tools.restore is None:
        raise NotExaminedError("the masks behind the labels are not at hand to be read anew")
    again = tools.restore(int(value))
    return _batch(run, y=again.y, ids=again.ids)


def _ids(run: Run, tools: Tools) -> Any:
    """The true ids of the batch as it is now."""
    drawn = run.batch is not None and run.batch.source == "drawn"
    return run.batch.ids if run.batch is not None and drawn else tools.ids


def _encoding(run: Run, value: Any, tools: Tools) -> Run:
    ids = _ids(run, tools)
    if value == "ids":
        return _batch(run, y=np.asarray(ids, np.int32), encoding="ids")
    onehot = ids[..., None] == np.arange(tools.classes)
    return _batch(run, y=onehot.astype(np.float32), encoding="onehot")


def _void(run: Run, value: Any, tools: Tools) -> Run:
    """Sample weights of zero at void; the label there becomes a legal one, class 0."""
    if run.batch is None or tools.void is None:
        raise NotExaminedError("no ignore label is known that could be weighted")
    void = _ids(run, tools) == tools.void
    y = np.array(run.batch.y)
    if y.size == void.size:
        y = np.where(void.reshape(y.shape), 0, y).astype(y.dtype)
        weights = (~void).reshape(y.shape).astype(np.float32)
    else:
        rows = y.reshape(*void.shape, -1)
        rows[void] = 0
        rows[void, 0] = 1
        y = rows.reshape(y.shape)
        weights = (~void).reshape(y.shape[:-1]).astype(np.float32)
    return _batch(run, y=y, sample_weight=weights)


def _preprocess(run: Run, value: Any, tools: Tools) -> Run:
    if tools.redraw is not None:
        again = tools.redraw(str(value))
        return _batch(run, x=again.x, preprocess=again.preprocess)
    assert run.batch is not None
    if isinstance(run.batch.x, np.ndarray) and str(value) in (scaled := in_each_range(run.batch.x)):
        return _batch(run, x=scaled[str(value)], preprocess=str(value))
    raise NotExaminedError("the range of the images as fed does not tell how to scale them anew")


def _from_logits(run: Run, value: Any, tools: Tools) -> Run:
    return _with_option(run, "from_logits", bool(value))


def _ignore_class(run: Run, value: Any, tools: Tools) -> Run:
    try:
        return _with_option(run, "ignore_class", value)
    except NotExaminedError:
        return _void(run, "zero weight", tools)


def _with_option(run: Run, name: str, value: Any) -> Run:
    """The run's loss, one of Keras' given as an object, a function or a name, with an option."""
    loss = run.loss
    if not hasattr(loss, "get_config"):
        loss = _stock_loss(loss, surgery.keras_of(run.model).losses)
    config = dict(loss.get_config()) if hasattr(loss, "get_config") else {}
    if name not in config:
        raise NotExaminedError(f"the loss is not one of Keras' that take {name}")
    return replace(run, loss=type(loss).from_config({**config, name: value}))


def _stock_loss(loss: Any, losses: Any) -> Any:
    """The loss object of Keras that a name or a Keras function stands for, else ``loss``."""
    if callable(loss) and "keras" not in getattr(loss, "__module__", "").partition(".")[0]:
        return loss
    wanted = str(getattr(loss, "__name__", loss)).replace("_", "").lower()
    for name in dir(losses):
        if name.lower() == wanted and isinstance(getattr(losses, name), type):
            return getattr(losses, name)()
    return loss


def _stand_in(run: Run, value: Any, tools: Tools) -> Run:
    return replace(run, loss=tools.right_loss(run))


def _head_activation(run: Run, value: Any, tools: Tools) -> Run:
    if value == "remove":
        return replace(run, model=surgery.without_last_activation(run.model))
    return replace(run, model=surgery.with_activation(run.model, str(value)))


def _head_channels(run: Run, value: Any, tools: Tools) -> Run:
    return replace(run, model=surgery.with_channels(run.model, int(value)))


def _head_trainable(run: Run, value: Any, tools: Tools) -> Run:
    return replace(run, model=surgery.rebuilt(run.model, config_edits.train_head))


def _head_resize(run: Run, value: Any, tools: Tools) -> Run:
    height, width = (int(side) for side in str(value).split("x"))
    return replace(run, model=surgery_tail.with_resize(run.model, height, width))


def _head_tail(run: Run, value: Any, tools: Tools) -> Run:
    return replace(run, model=surgery_tail.with_plain_tail(run.model))


def _regularisation(run: Run, value: Any, tools: Tools) -> Run:
    optimizer = run.optimizer
    if optimizer is not None and getattr(optimizer, "weight_decay", None):
        config = {**optimizer.get_config(), "weight_decay": None}
        if type(optimizer).__name__ in ("AdamW", "Lion"):
            config["weight_decay"] = 0.0
        optimizer = type(optimizer).from_config(config)
    model = surgery_tail.without_regularisation(run.model)
    return replace(run, model=model, optimizer=optimizer)


def _bn_training(run: Run, value: Any, tools: Tools) -> Run:
    """Frozen BN in inference mode: the stock layer of this Keras, no wired mode, no emulation."""
    model = surgery.with_stock_batch_norm(surgery.without_wired_modes(run.model))
    return replace(run, model=model, flavour="keras3")


def _bn_recalibrate(run: Run, value: Any, tools: Tools) -> Run:
    assert run.batch is not None
    model = surgery.copied(run.model)
    recalibrate(model, [run.batch.x], [layer for _, layer in batch_norm_layers(model)])
    return replace(run, model=model)


def _bn_freeze(run: Run, value: Any, tools: Tools) -> Run:
    model = surgery.copied(run.model)
    for _, layer in batch_norm_layers(model):
        layer.trainable = False
    return replace(run, model=model)


def _bn_unwire(run: Run, value: Any, tools: Tools) -> Run:
    """No wired mode; where the wiring meant inference, the BN is frozen, as was meant."""
    wired = set(surgery.wired_to_inference(run.model))
    model = surgery.without_wired_modes(run.model)
    for path, layer in batch_norm_layers(model):
        if path in wired:
            layer.trainable = False
    return replace(run, model=model)


def _freeze(run: Run, value: Any, tools: Tools) -> Run:
    if value == "none":
        thawed = surgery.rebuilt(run.model, lambda config: config_edits.thaw(config, whole=True))
        return replace(run, model=thawed)
    model = surgery.copied(run.model)
    for norm, feeding in surgery.batch_norm_feeders(model):
        norm.trainable = feeding.trainable
    return replace(run, model=model)


def _optimizer(run: Run, value: Any, tools: Tools) -> Run:
    keras = surgery.keras_of(run.model)
    return replace(run, optimizer=keras.optimizers.get(str(value)))


def _learning_rate(run: Run, value: Any, tools: Tools) -> Run:
    if run.optimizer is None:
        raise NotExaminedError("no optimizer is known whose rate could be changed")
    config = {**run.optimizer.get_config(), "learning_rate": float(value)}
    return replace(run, optimizer=type(run.optimizer).from_config(config))


def _net_stand_in(run: Run, value: Any, tools: Tools) -> Run:
    if tools.interface is None:
        raise NotExaminedError("the model's output is not known")
    return parts.with_stand_in_net(run, tools.interface)


def _data_stand_in(run: Run, value: Any, tools: Tools) -> Run:
    if tools.interface is None:
        raise NotExaminedError("the format of the labels is not known")
    return parts.with_drawn_data(run, tools.interface)


# The order in which entries are applied: what the labels are, then the loss, then the model.
_STEPS: dict[str, Callable[[Run, Any, Tools], Run]] = {
    "labels.restore": _restore,
    "labels.decode": _decode,
    "labels.scale": _scale,
    "labels.shift": _shift,
    "labels.encoding": _encoding,
    "data.stand_in": _data_stand_in,
    "model.stand_in": _net_stand_in,
    "head.channels": _head_channels,
    "head.activation": _head_activation,
    "head.trainable": _head_trainable,
    "head.tail": _head_tail,
    "head.resize": _head_resize,
    "regularisation": _regularisation,
    "freeze": _freeze,
    "bn.unwire": _bn_unwire,
    "bn.training": _bn_training,
    "bn.freeze": _bn_freeze,
    "data.preprocess": _preprocess,
    "bn.recalibrate": _bn_recalibrate,
    "loss.from_logits": _from_logits,
    "loss.ignore_class": _ignore_class,
    "loss.stand_in": _stand_in,
    "labels.void": _void,
    "optimizer.name": _optimizer,
    "optimizer.learning_rate": _learning_rate,
}
