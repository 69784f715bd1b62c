"""From a confirmed fix to changes of the model file."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from segdoctor.core.probe import NotExaminedError
from segdoctor.measures import config_edits
from segdoctor.measures.config_edits import Config
from segdoctor.remedy.compile_edits import set_loss_option, set_rate
from segdoctor.sources.model_file.opened import OpenedModel
from segdoctor.sources.model_file.rewrite import Changes

_INNER = ("Conv2D", "Dense", "Conv2DTranspose", "SeparableConv2D", "DepthwiseConv2D")


class Workpiece:
    """Tries each part of the fix on a copy of the configuration; ``done`` says what was changed
    and ``undone`` why the rest could not be."""

    def __init__(self, opened: OpenedModel, seed: int) -> None:
        self.changes = Changes()
        self.done: dict[str, str] = {}
        self.undone: dict[str, str] = {}
        self._opened = opened
        self._seed = seed

    def apply(self, patch: Mapping[str, Any]) -> None:
        for name, value in patch.items():
            try:
                self.done[name] = self._one(name, value)
            except NotExaminedError as why:
                self.undone[name] = str(why)

    def _one(self, name: str, value: Any) -> str:
        if name.startswith(("loss.", "optimizer.")):
            return self._compiled(name, value)
        if name == "head.activation" and value == "remove":
            layer = self._edit(config_edits.remove_last_activation)
            return f"the activation was taken off {layer}"
        if name == "head.activation":
            layer = self._edit(lambda config: config_edits.set_last_activation(config, str(value)))
            return f"{layer} was given the activation {value}"
        if name == "head.channels":
            return self._channels(int(value))
        if name == "bn.recalibrate":
            return ""  # measured, not edited: see statistics.py
        edit = {
            "head.trainable": config_edits.train_head,
            "freeze": lambda config: config_edits.thaw(config, whole=value == "none"),
            "bn.freeze": config_edits.freeze_batch_norm,
            "bn.unwire": config_edits.unwire,
            "bn.training": config_edits.remove_wired_modes,
        }[name]
        self.changes.restart = self.changes.restart or name != "bn.training"
        count = self._edit(edit)
        if not count:
            raise NotExaminedError("the file itself says nothing of it")
        return _WORDS[name].format(count)

    def _edit(self, edit: Callable[[Config], Any]) -> Any:
        """Keep ``edit`` for the file, if it can be done after those that were kept before it."""
        if self._opened.config is None:
            raise NotExaminedError("the file holds weights and no architecture")
        inner = copy.deepcopy(self._opened.config["config"])
        config = {"layers": inner} if isinstance(inner, list) else inner
        for kept in self.changes.model:
            kept(config)
        try:
            found = edit(config)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise NotExaminedError("its configuration is of a form that is not known") from error
        self.changes.model.append(edit)
        return found

    def _channels(self, channels: int) -> str:
        layer = str(self._edit(lambda config: config_edits.set_channels(config, channels)))
        rng = np.random.default_rng(self._seed)
        shapes = {(fact.layer, fact.name): fact.shape for fact in self._opened.facts.weights}
        mine = [w for w in self._opened.stored if w.layer.rpartition("/")[2] == layer]
        for weight in mine:
            shape = shapes[weight.layer, weight.name]
            if weight.name == "bias":
                self.changes.arrays[weight.path] = np.zeros(channels, np.float32)
            elif weight.name != "depthwise_kernel":
                self.changes.arrays[weight.path] = _drawn(
                    self._class_of(layer), shape, channels, rng
                )
        self.changes.restart = True
        return f"{layer} has {channels} channels now; its kernel is new and not trained"

    def _class_of(self, layer: str) -> str:
        return next(
            (f.class_name for f in self._opened.facts.graph.layers
             if f.name.rpartition("/")[2] == layer), ""
        )  # fmt: skip

    def _compiled(self, name: str, value: Any) -> str:
        if not isinstance(self._opened.compiled, Mapping):
            raise NotExaminedError("the file has no compile settings")
        facts = self._opened.facts
        option = name.partition(".")[2]

        def edit(config: Config) -> None:
            if name == "optimizer.learning_rate":
                set_rate(config, float(value))
            else:
                modern = facts.format != "h5"
                set_loss_option(config, option, value, modern, facts.graph.keras_version)

        edit(copy.deepcopy(dict(self._opened.compiled)))
        self.changes.compiled.append(edit)
        return f"compile settings: {option}={value}"


_WORDS = {
    "head.trainable": "{} trains",
    "freeze": "{} layers train again",
    "bn.freeze": "{} batch normalisations are frozen",
    "bn.unwire": "{} wired modes were taken out",
    "bn.training": "{} wired modes were taken out",
}


def _drawn(class_name: str, shape: tuple[int, ...], channels: int, rng: np.random.Generator) -> Any:
    """A kernel as Keras would draw it (Glorot, uniform), with ``channels`` outputs."""
    axis = -2 if class_name == "Conv2DTranspose" else -1
    new = list(shape)
    new[axis] = channels
    area = math.prod(new[:-2])
    limit = math.sqrt(6.0 / (area * (new[-1] + new[-2])))
    return rng.uniform(-limit, limit, new).astype(np.float32)
