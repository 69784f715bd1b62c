"""The passes over one batch: there and back as ``fit`` calls the model, and forward in each mode.

Each pass is a function of the batch. The first time it runs eagerly, for a trace pays only from
the fifth call or so on; a recorder that is called again runs it traced. One pass after the other:
what a pass no longer needs is given back before the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.recorder.activations import Activity, activity
from segdoctor.recorder.batch_norm import Watch, watched
from segdoctor.recorder.block_ends import block_ends, sizes
from segdoctor.recorder.forward import Outputs, Reach, TracedForward
from segdoctor.recorder.layers import batch_norm_layers, is_tf_keras, tf_variable
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.modes import first_output, without_noise
from segdoctor.recorder.recalibrate import calibrating
from segdoctor.recorder.snapshot import preserved_variables


@dataclass
class Passed:
    """What one pass gave. ``loss`` is that of the output alone; ``gradients`` holds ``id`` of the
    ``tf.Variable`` → gradient or None, and ``ends`` block end → sizes of value and gradient."""

    y_pred: Any
    loss: float | None = None
    watch: Watch = field(default_factory=lambda: Watch({}))
    activity: Activity = field(default_factory=lambda: Activity())
    gradients: dict[int, Any] | None = None
    output_gradient: Any = None
    ends: dict[str, tuple[Any, Any]] = field(default_factory=dict)


# Of inference, of training without noise, and the output of inference with settled statistics.
Beside = tuple[Passed, Passed | None, Any]


class Passes:
    """The passes of one model, loss and set of trainable variables.

    Parameters
    ----------
    loss : as given to ``compile``; None where none is known.
    depths : layer path → 0 (input) … 1 (output).
    noisy : layers that are to be quiet where dropout is.
    """

    def __init__(
        self, model: Any, loss: Any, depths: Mapping[str, float], noisy: Iterable[Any] = ()
    ) -> None:
        self.model, self.depths, self._noisy = model, depths, tuple(noisy)
        self.loss = LossAsInFit(loss, model) if loss is not None else None
        self.why_no_loss = "" if loss is not None else "no loss is known"
        # Keras 3 is called statelessly; tf_keras moves the statistics at once.
        self.statistics = [
            variable
            for _, layer in (batch_norm_layers(model) if is_tf_keras(model) else ())
            for variable in (layer.moving_mean, layer.moving_variance)
        ]
        self.variables = [tf_variable(variable) for variable in model.trainable_variables]
        self.reach: Reach = ""
        self._graph_only = False
        self._reads: dict[int, Any] | None = None
        self._traced: dict[str, Any] = {}
        self._looked: dict[str, Any] = {}

    def there_and_back(self, batch: Any, *, traced: bool) -> Passed:
        """As ``fit`` calls the model, and the gradient of all that it minimises."""
        found = self._run("there and back", self._there_and_back, batch, traced=traced)
        if not traced and self._may_hide_logits(found[0]):
            # A bare softmax operation at the end shows its logits to the loss in a graph only.
            in_graph = self._run("there and back", self._there_and_back, batch, traced=True)
            self._graph_only = bool(self.reach)
            found = in_graph if self._graph_only else found
        return self._went(found)

    def _went(self, found: Any) -> Passed:
        y_pred, loss, watch, active, gradients, of_output, ends = found
        passed = Passed(y_pred, _number(loss), *self._seen("there and back", watch, active))
        if gradients is not None:
            keys = map(id, self.variables)
            passed.gradients = dict(zip(keys, gradients, strict=True))
            passed.output_gradient = of_output
            passed.ends = dict(zip(self._looked["ends"], ends, strict=True))
        return passed

    def together(self, batch: Any, layers: list[Any], *, quiet: bool) -> tuple[Passed, Beside]:
        """:meth:`there_and_back` and :meth:`beside` in one trace, whose parts run side by side."""

        def body(*parts: Any) -> Any:
            self._reads = {}
            try:
                return self._there_and_back(*parts), self._beside(layers, quiet, *parts)
            finally:
                self._reads = None

        self._traced.pop("there and back", None)  # of a first call: its graph is not used again
        key = f"together {quiet} {_names(layers)}"
        went, beside = self._run(key, body, batch, traced=True)
        return self._went(went), self._stood(beside)

    def quietly(self, batch: Any, *, traced: bool) -> Passed:
        """Forward as ``fit`` calls the model, with dropout and other noise off."""

        def body(x: Any, y: Any, weight: Any) -> Any:
            with without_noise(self.model, self._noisy):
                outputs, loss, _ = self._outputs(x, y, weight, True)
            return outputs.y_pred, loss

        y_pred, loss = self._run("quietly", body, batch, traced=traced)
        return Passed(y_pred, _number(loss))

    def plainly(self, batch: Any, examples: int | None = None) -> Watch:
        """What each batch normalisation does in ``model(x)``, where no mode is given, on the first
        ``examples`` of the batch."""
        import tensorflow as tf

        x = tf.nest.map_structure(lambda values: values[:examples], _tensors(batch)[0])
        with preserved_variables(self.statistics), watched(self.model) as watch:
            TracedForward(self.model, None, keeps=False).parts(x)
        return watch

    def beside(self, batch: Any, layers: list[Any], *, quiet: bool, traced: bool) -> Beside:
        """What needs no gradient: inference; training without noise, where ``quiet`` asks for it;
        and inference in which ``layers`` hold the statistics that training on this batch would
        settle on, where there are any."""
        key = f"beside {quiet} {_names(layers)}"
        return self._stood(
            self._run(key, partial(self._beside, layers, quiet), batch, traced=traced)
        )

    def _beside(self, layers: list[Any], quiet: bool, x: Any, y: Any, weight: Any) -> Any:
        told = []
        for training in (False, True)[: 1 + quiet]:
            calm = without_noise(self.model, self._noisy) if training else nullcontext()
            with calm, watched(self.model, moments=not training) as watch:
                outputs, loss, _ = self._outputs(x, y, weight, training)
            self._looked[f"beside {training}"] = (watch, Activity())
            told.append((outputs.y_pred, loss, list(watch.raw.values())))
        if not layers:
            return told, None
        with without_noise(self.model, self._noisy), calibrating(self.model, layers):
            return told, self._forward(False).parts(x)[0]

    def _stood(self, found: Any) -> Beside:
        told, settled = found
        passed = [
            Passed(y_pred, _number(loss), *self._seen(f"beside {training}", watch, ()))
            for training, (y_pred, loss, watch) in zip((False, True), told, strict=False)
        ]
        return passed[0], passed[1] if len(passed) > 1 else None, settled

    def again(self, batch: Any, done: list[str]) -> None:
        """There and back eagerly, raising what its parts raise; ``done`` is told the stages."""
        with preserved_variables(self.statistics):
            x, y, weight = _tensors(batch)
            self._there_and_back(x, y, weight, done)

    def _run(self, name: str, body: Callable[..., Any], batch: Any, *, traced: bool) -> Any:
        import tensorflow as tf

        with preserved_variables(self.statistics):
            if not traced and not self._graph_only:
                return body(*_tensors(batch))
            if name not in self._traced:
                # A partial: TensorFlow counts traces, and warns of many, by a function's code.
                self._traced[name] = tf.function(partial(body), autograph=False)
            return self._traced[name](*_tensors(batch))

    def _outputs(
        self, x: Any, y: Any, weight: Any, training: bool, done: list[str] | None = None
    ) -> tuple[Outputs, Any, Any]:
        """The outputs, their loss and all that ``fit`` minimises; None where the loss raises."""
        import tensorflow as tf

        forward = self._forward(training)
        y_pred, logits, regularisation = forward.parts(x)
        self.reach = forward.reach
        outputs = Outputs(y_pred, logits[0] if len(logits) == 1 else None, regularisation)
        if self.loss is None:
            return outputs, None, None
        try:
            if done is not None:
                done.append("forward")
            value = self.loss.compute(y, y_pred, weight)
            if done is not None:
                done.append("loss")
            self.why_no_loss = ""
            return outputs, value, value + tf.cast(regularisation, value.dtype)
        except Exception as error:
            # The boundary: a loss of the user's own.
            if done is not None:
                raise
            self.why_no_loss = f"the loss raises: {error_line(error)}"
            return outputs, None, None

    def _forward(self, training: bool) -> TracedForward:
        return TracedForward(self.model, training, keeps=False, reads=self._reads)

    def _there_and_back(self, x: Any, y: Any, weight: Any, done: list[str] | None = None) -> Any:
        import tensorflow as tf

        with (
            watched(self.model) as watch,
            activity(self.model) as active,
            block_ends(self.model, self.depths) as ends,
            tf.GradientTape(watch_accessed_variables=False) as tape,
        ):
            tape.watch(self.variables)
            outputs, loss, total = self._outputs(x, y, weight, True, done)
            active.look_back(first_output(outputs.y_pred))
        self._looked["there and back"] = (watch, active)
        self._looked["ends"] = tuple(ends)
        looked = (list(watch.raw.values()), list(active.raw.values()))
        if total is None:
            return outputs.y_pred, loss, *looked, None, None, None
        scores = first_output(outputs.y_pred)
        if outputs.keras_logits is not None and self.reach:
            scores = outputs.keras_logits
        wanted = [*self.variables, scores, *ends.values()]
        found = [
            None if g is None else tf.convert_to_tensor(g) for g in tape.gradient(total, wanted)
        ]
        count = len(self.variables)
        flow = [sizes(*pair) for pair in zip(ends.values(), found[count + 1 :], strict=True)]
        return outputs.y_pred, loss, *looked, found[:count], found[count], flow

    def _seen(self, name: str, watch: Any, active: Any) -> tuple[Watch, Activity]:
        looked_watch, looked_active = self._looked[name]
        return looked_watch.given(watch), looked_active.given(active)

    def _may_hide_logits(self, y_pred: Any) -> bool:
        """Whether the output lies within [0, 1] without Keras' way back to the logits."""
        if self.loss is None or self.why_no_loss or self.reach:
            return False
        value = np.asarray(first_output(y_pred))
        return bool(value.min() >= 0 and value.max() <= 1)


def _tensors(batch: Any) -> Any:
    import tensorflow as tf

    return tf.nest.map_structure(
        lambda part: None if part is None else tf.convert_to_tensor(part), batch
    )


def _names(layers: list[Any]) -> str:
    return " ".join(sorted(f"{layer.name} {id(layer)}" for layer in layers))


def _number(value: Any) -> float | None:
    return None if value is None else float(np.sum(np.asarray(value)))
