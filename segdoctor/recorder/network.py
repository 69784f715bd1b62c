"""Everything that is measured of the network, in as few passes as can be.

1. as ``fit`` calls it: output, loss, gradients, what each BN did;
2. as ``predict`` calls it: output, what each BN did;
3. as 1 without dropout, only where there is noise;
4. inference again, with the statistics that training would settle on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.measured import GradientFacts, ModeFacts
from segdoctor.core.network_facts import NotFinite
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trace import Missing
from segdoctor.measures.graph_depth import layer_depths
from segdoctor.recorder.activations import activity
from segdoctor.recorder.batch_norm import Watch, first_difference, observed, watched
from segdoctor.recorder.forward import Outputs, Reach, TracedForward, quick_tracing
from segdoctor.recorder.gradient_cut import cutting_operations
from segdoctor.recorder.gradients import gradient_facts
from segdoctor.recorder.layers import batch_norm_layers
from segdoctor.recorder.legacy_batch_norm import legacy_batch_norm
from segdoctor.recorder.live_graph import live_facts
from segdoctor.recorder.loss import LossAsInFit
from segdoctor.recorder.modes import first_output, output_gap, without_noise
from segdoctor.recorder.not_finite import name_the_operation
from segdoctor.recorder.penalty import decay_penalty, l2_penalty
from segdoctor.recorder.recalibrate import recalibrate
from segdoctor.recorder.snapshot import preserved, preserved_variables
from segdoctor.recorder.updates import update_facts

# From here on a layer's output counts as different in the two modes.
_OPENS = 0.1
# A gap beyond this is worth one more pass that tells noise from a real difference.
_WORTH_ASKING = 0.05


def record_network(
    model: Any,
    loss: Any,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    *,
    optimizer: Any = None,
    flavour: str | None = None,
    graph: Any = None,
    planned_steps: int | None = None,
) -> dict[str, object]:
    """Measure a network on one batch; everything of the user's is as before afterwards.

    Parameters
    ----------
    model : keras.Model or tf_keras.Model, built.
    loss : as given to ``compile``; None where none is known.
    x, y, sample_weight : the batch as fed.
    optimizer : the run's optimizer, or None.
    flavour : the Keras under which the run is judged; None: the object's own. ``"keras<=2.1.2"``
        and ``"keras2.1.3-2.3.1"`` make frozen BN behave as they did there.
    graph : GraphFacts known already; None: read from the model.
    planned_steps : length of the run, for the peak of a learning-rate schedule.

    Returns
    -------
    dict
        ``graph, weights, batch_norms, gradients, bn_observed, modes, updates, y_train, y_infer``,
        each the value or the :class:`Missing` that says why there is none.
    """
    own_graph, weights, batch_norms = live_facts(model, flavour)
    graph = graph or own_graph
    fields: dict[str, object] = {"graph": graph, "weights": weights, "batch_norms": batch_norms}
    with preserved(model, optimizer), legacy_batch_norm(model, graph.flavour):
        passes = _Passes(model, loss, x, y, sample_weight, layer_depths(graph))
        try:
            passes.run()
        except Exception as error:  # noqa: BLE001 - the boundary: the user's layers may raise anything
            missing = Missing(f"the model does not run on the batch: {error_line(error)}")
            names = (
                *("gradients", "bn_observed", "modes", "updates", "y_train", "y_infer"),
                *("penalties", "activations", "output_gradient", "not_finite", "gradient_cut"),
            )
            return {**fields, **dict.fromkeys(names, missing)}
        fields |= passes.fields()
        fields["updates"] = _updates(model, optimizer, passes, planned_steps)
        fields["penalties"] = _penalties(model, optimizer, passes, fields["updates"])
        fields |= passes.closer_looks()
    return fields


class _Passes:
    """The passes over one batch, and what they left."""

    def __init__(
        self, model: Any, loss: Any, x: Any, y: Any, weight: Any, depths: dict[str, float]
    ) -> None:
        self.model, self.x, self.y, self.weight = model, x, y, weight
        self.depths = depths
        self.statistics = [
            variable
            for _, layer in batch_norm_layers(model)
            for variable in (layer.moving_mean, layer.moving_variance)
        ]
        self.why_no_loss = "" if loss is not None else "no loss is known"
        self.loss = LossAsInFit(loss, model) if loss is not None else None
        self.gradients: dict[int, Any] | None = None
        self.facts: tuple[GradientFacts, ...] = ()
        self.output_gradient: Any = None
        self.activations: Any = None
        self.reach: Reach = ""

    def run(self) -> None:
        self.train, self.seen_train = self._with_gradients()
        self.infer, self.seen_infer = self._watched(training=False)
        self.modes = self._modes()

    def fields(self) -> dict[str, object]:
        no_loss = Missing(self.why_no_loss, "" if self.loss is not None else "--loss")
        if self.gradients is not None:
            self.facts = gradient_facts(self.model, self.gradients, self.depths)
        return {
            "y_train": np.asarray(first_output(self.train.y_pred)),
            "y_infer": np.asarray(first_output(self.infer.y_pred)),
            "bn_observed": observed(self.model, self.seen_train, self.seen_infer, self.depths),
            "modes": self.modes,
            "gradients": no_loss if self.gradients is None else self.facts,
        }

    def _with_gradients(self) -> tuple[Outputs, Watch]:
        with watched(self.model) as seen, activity(self.model) as self.activations:
            outputs = self._forward_and_back(eager=True)
        if self.loss is not None and not self.reach and _may_be_activated(outputs):
            # A bare softmax operation at the end shows its logits to the loss in a graph only.
            eagerly, self.gradients = self.gradients, None
            in_graph = self._forward_and_back(eager=False)
            if self.reach:
                return in_graph, seen
            self.gradients = eagerly
        return outputs, seen

    def _forward_and_back(self, *, eager: bool, done: list[str] | None = None) -> Outputs:
        """One pass; with ``done`` a loss that raises is not caught, and stages are told."""
        import tensorflow as tf

        forward = TracedForward(self.model, training=True, eager=eager)
        variables = forward.trainable_variables()
        with preserved_variables(self.statistics), quick_tracing():
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                outputs = forward(self.x)
                self.reach = forward.reach
                if done is None:
                    total = self._total(outputs)
                else:
                    done.append("forward")
                    total = self.loss.total(self.y, outputs, self.weight, self.reach)  # type: ignore[union-attr]
                    done.append("loss")
            if total is not None:
                scores = self._scores(outputs)
                found = tape.gradient(total, [*variables, scores])
                self.output_gradient = found.pop()
                self.gradients = {id(v): g for v, g in zip(variables, found, strict=True)}
        return outputs

    def _scores(self, outputs: Outputs) -> Any:
        """The tensor that the loss looks at: the logits where Keras reaches back to them."""
        behind = outputs.keras_logits
        if behind is not None and self.reach:
            return behind[0] if isinstance(behind, list) else behind
        return first_output(outputs.y_pred)

    def closer_looks(self) -> dict[str, object]:
        """Units that are dead; and, only where something is wrong, the operation to blame."""
        found: dict[str, object] = {
            "activations": self.activations.facts(self.depths),
            "output_gradient": Missing(self.why_no_loss or "the output has no gradient")
            if self.output_gradient is None
            else np.asarray(self.output_gradient, np.float32),
        }
        found["not_finite"] = self._not_finite()
        found["gradient_cut"] = self._cut()
        return found

    def _not_finite(self) -> object:
        output = np.asarray(first_output(self.train.y_pred))
        if np.isfinite(output).all() and all(fact.finite for fact in self.facts):
            return None
        if self.gradients is None:
            return NotFinite("forward", "")
        return name_the_operation(
            self.model, lambda done: self._forward_and_back(eager=True, done=done)
        )

    def _cut(self) -> object:
        lost = [] if self.gradients is None else [g for g in self.gradients.values() if g is None]
        if not lost:
            return ()
        variables = TracedForward(self.model, training=True).trainable_variables()
        unreached = [v for v in variables if self.gradients and self.gradients.get(id(v)) is None]
        return cutting_operations(self.model, self.x, unreached)

    def _total(self, outputs: Outputs) -> Any:
        """What ``fit`` minimises; None where the loss is unknown or raises."""
        if self.loss is None:
            return None
        try:
            return self.loss.total(self.y, outputs, self.weight, self.reach)
        except Exception as error:  # noqa: BLE001 - the boundary: a loss of the user's own
            self.why_no_loss = f"the loss raises: {error_line(error)}"
            return None

    def _watched(self, *, training: bool) -> tuple[Outputs, Watch]:
        with preserved_variables(self.statistics), watched(self.model) as seen:
            return TracedForward(self.model, training, eager=True)(self.x), seen

    def _modes(self) -> ModeFacts:
        with without_noise(self.model) as noisy:
            quiet, seen = self._watched(training=True) if noisy else (self.train, self.seen_train)
            settled = self._settled()
            gap = output_gap(quiet.y_pred, self.infer.y_pred)
            left = output_gap(quiet.y_pred, settled.y_pred)
            if left > _WORTH_ASKING:  # random numbers that no layer of Keras draws?
                again, _ = self._watched(training=True)
                noise = output_gap(quiet.y_pred, again.y_pred)
                gap, left = max(gap - noise, 0.0), max(left - noise, 0.0)
        return ModeFacts(
            gap=gap,
            gap_recalibrated=left,
            first_layer=first_difference(seen, self.seen_infer, _OPENS),
            loss_training=self._value(quiet),
            loss_inference=self._value(self.infer),
        )

    def _settled(self) -> Outputs:
        """Inference with the statistics that training would settle on, on this batch alone."""
        moving = [
            layer
            for path, layer in batch_norm_layers(self.model)
            if path in self.seen_train.seen and self.seen_train.seen[path].moved
        ]
        if not moving:
            return self.infer
        with preserved_variables(self.statistics):
            recalibrate(self.model, [self.x], moving)
            return TracedForward(self.model, training=False, eager=True)(self.x)

    def _value(self, outputs: Outputs) -> float | None:
        if self.loss is None or self.why_no_loss:
            return None
        reach = self.reach if outputs.keras_logits is not None else ""
        # Of a bare operation at the end only the pass in the graph knows the logits.
        if self.reach in ("Softmax", "Sigmoid") and not reach:
            return None
        return float(self.loss(self.y, outputs, self.weight, reach))


def _penalties(model: Any, optimizer: Any, passes: _Passes, updates: object) -> object:
    """The pull of L2 losses and of the optimizer's weight decay; () where there is neither."""
    if passes.gradients is None:
        return Missing(passes.why_no_loss, "" if passes.loss is not None else "--loss")
    found = [l2_penalty(model, passes.gradients, passes.modes.loss_training or 0.0)]
    if optimizer is not None and isinstance(updates, tuple):
        found.append(decay_penalty(optimizer, updates))
    return tuple(fact for fact in found if fact is not None)


def _may_be_activated(outputs: Outputs) -> bool:
    """Whether the output lies within [0, 1] without Keras' way back to the logits."""
    value = np.asarray(first_output(outputs.y_pred))
    return outputs.keras_logits is None and value.min() >= 0 and value.max() <= 1


def _updates(model: Any, optimizer: Any, passes: _Passes, planned_steps: int | None) -> object:
    if passes.gradients is None:
        return Missing(passes.why_no_loss, "" if passes.loss is not None else "--loss")
    if optimizer is None:
        return Missing("no optimizer is known", "--optimizer … --learning-rate")
    try:
        return update_facts(model, optimizer, passes.gradients, planned_steps=planned_steps)
    except NotExaminedError as why:
        return Missing(str(why))
    except Exception as error:  # noqa: BLE001 - the boundary: an optimizer of the user's own
        return Missing(f"the optimizer fails on the batch's gradient: {error_line(error)}")
