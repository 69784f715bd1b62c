"""Everything that is measured of the network, in as few passes as can be.

1. as ``fit`` calls it: output, loss, gradients, what each BN did;
2. as ``predict`` calls it: output, what each BN did;
3. as 1 without dropout, only where there is noise;
4. inference again, with the statistics that training would settle on;
5. once, as ``model(x)`` calls it: what each BN did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.measured import GradientFacts, ModeFacts, StepEffect
from segdoctor.core.model_facts import WeightFacts
from segdoctor.core.network_facts import NotFinite
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trace import Missing
from segdoctor.measures.graph_depth import layer_depths
from segdoctor.recorder.batch_norm import first_difference, observed
from segdoctor.recorder.block_ends import block_flow
from segdoctor.recorder.forward import quick_tracing
from segdoctor.recorder.gradient_cut import cutting_operations
from segdoctor.recorder.gradients import gradient_facts
from segdoctor.recorder.image_movers import image_movers
from segdoctor.recorder.layers import batch_norm_layers, walk
from segdoctor.recorder.legacy_batch_norm import legacy_batch_norm
from segdoctor.recorder.live_graph import (
    batch_norm_facts,
    live_graph,
    own_flavour,
    weight_facts,
    with_parameters,
)
from segdoctor.recorder.modes import arguments_of, first_output, output_gap, without_noise
from segdoctor.recorder.not_finite import name_the_operation
from segdoctor.recorder.passes import Passed, Passes
from segdoctor.recorder.penalty import decay_penalty, l2_penalty
from segdoctor.recorder.snapshot import preserved
from segdoctor.recorder.tape_size import holds_much
from segdoctor.recorder.updates import RealStep, is_stock

# From here on a layer's output counts as different in the two modes.
_OPENS = 0.1
# A gap beyond this is worth one more pass that tells noise from a real difference.
_WORTH_ASKING = 0.05
_AFFINE = ("bias", "beta", "gamma")
# Of the loss, and of the weights: a step beyond one of them is worth a pass that shows its effect.
_MUCH_PROMISED = 4.0
_LARGE_STEP = 0.5
# Of a batch: enough to see which statistics a BN uses.
_PLAIN_EXAMPLES = 2

_NOT_FINITE = Missing("the output itself is NaN or infinite")
_MEASURED = (
    *("gradients", "blocks", "bn_observed", "modes", "updates", "y_train", "y_infer"),
    *("step_effect", "penalties", "activations", "output_gradient", "not_finite", "gradient_cut"),
)


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
        ``graph, weights, batch_norms, gradients, blocks, bn_observed, modes, updates, y_train,
        y_infer`` and more, each the value or the :class:`Missing` that says why there is none.
    """
    recorder = NetworkRecorder(
        model,
        loss,
        optimizer=optimizer,
        flavour=flavour,
        graph=graph,
        planned_steps=planned_steps,
    )
    return recorder(x, y, sample_weight)


class NetworkRecorder:
    """``(x, y, sample_weight) -> fields``: :func:`record_network` for several batches.

    The first call runs eagerly, the later ones traced. Parameters as there.
    """

    def __init__(
        self,
        model: Any,
        loss: Any,
        *,
        optimizer: Any = None,
        flavour: str | None = None,
        graph: Any = None,
        planned_steps: int | None = None,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self._flavour, self._graph, self._planned = flavour, graph, planned_steps
        self._flags: tuple[bool, ...] = ()
        self._begun = self._traced = False
        self._traceable = True

    def __call__(self, x: Any, y: Any, sample_weight: Any = None) -> dict[str, object]:
        """The fields of :func:`record_network` for one batch."""
        weights = weight_facts(self.model)
        # The step is taken by a twin, which of the run's own optimizer reads the slots.
        optimizers = (self.optimizer, getattr(self.model, "optimizer", None))
        untouched = all(one is None or is_stock(one) for one in optimizers)
        with preserved(self.model, self.optimizer, untouched=untouched):
            self._begin(weights)
            fields: dict[str, object] = {
                "graph": self._known,
                "weights": weights,
                "batch_norms": batch_norm_facts(self.model, self._own, weights),
                "image_movers": self._movers,
                "unasked_movers": self._unasked,
            }
            try:
                with legacy_batch_norm(self.model, self._known.flavour):
                    look = self._look((x, y, sample_weight))
            except Exception as error:  # noqa: BLE001 - the boundary: the user's layers may raise anything
                missing = Missing(f"the model does not run on the batch: {error_line(error)}")
                return {**fields, **dict.fromkeys(_MEASURED, missing)}
            return {**fields, **self._fields(look, weights)}

    def _begin(self, weights: tuple[WeightFacts, ...]) -> None:
        """Begin anew where ``trainable`` was changed since the last call."""
        flags = tuple(bool(layer.trainable) for _, layer in walk(self.model))
        if self._begun and flags == self._flags:
            return
        self._flags, self._begun, self._traced = flags, True, False
        self._own = live_graph(self.model, self._flavour or own_flavour(self.model))
        self._known = self._graph or with_parameters(self._own, weights)
        self._depths = layer_depths(self._known)
        movers, self._unasked = image_movers(self.model)
        self._movers = tuple(facts for _, facts in movers)
        self._noisy = [layer for layer, _ in movers if "training" in arguments_of(layer)]
        self._moving: list[Any] | None = None
        self._plain: dict[str, str] | None = None
        self._passes = Passes(self.model, self.loss, self._depths, self._noisy)
        self._step = RealStep(self.model, self.optimizer, planned_steps=self._planned)

    def _look(self, batch: Any) -> _Look:
        if self._traced:
            try:
                return self._looked(batch)
            except Exception:  # noqa: BLE001 - what cannot be traced, or fails in a trace only, is asked again
                self._traced = self._traceable = False
        look = self._looked(batch)
        self._traced = self._traceable
        return look

    def _looked(self, batch: Any) -> _Look:
        passes, before = self._passes, self._moving
        with without_noise(self.model, self._noisy) as count:
            noisy = count > 0
        beside = None
        if self._traced and before is not None and not passes.statistics:
            train, beside = passes.together(batch, before, quiet=noisy)
        else:
            train = self._there_and_back(batch)
        norms = dict(batch_norm_layers(self.model))
        moving = [norms[path] for path, seen in train.watch.seen.items() if seen.moved]
        if beside is None or moving != before:
            beside = passes.beside(batch, moving, quiet=noisy, traced=self._traced)
        self._moving = moving
        if self._plain is None:  # it does not change from batch to batch
            self._plain = self._plainly(batch)
        infer, quiet, settled = beside
        updates = self._updates(train)
        effect = self._effect(batch, train, updates)
        modes = self._modes(batch, quiet or train, infer, settled)
        return _Look(batch, train, infer, modes, updates, effect)

    def _there_and_back(self, batch: Any) -> Passed:
        if not self._traced and self._traceable and holds_much(self._known, batch[0]):
            try:
                with quick_tracing():
                    return self._passes.there_and_back(batch, traced=True)
            except Exception:  # noqa: BLE001 - what cannot be traced, or fails in a trace only, is asked again
                self._traceable = False
        return self._passes.there_and_back(batch, traced=self._traced)

    def _plainly(self, batch: Any) -> dict[str, str]:
        """BN layer → which statistics it uses in ``model(x)``."""
        for examples in (_PLAIN_EXAMPLES, None):  # all: where the size of a batch is wired in
            try:
                seen = self._passes.plainly(batch, examples).seen
            except Exception:  # noqa: BLE001 - the boundary: a call() of the user's own that wants a mode
                continue
            return {path: what.mode for path, what in seen.items()}
        return {}

    def _modes(self, batch: Any, quiet: Passed, infer: Passed, settled: Any) -> ModeFacts:
        """The two modes beside each other, noise apart and lag apart."""
        settled = infer.y_pred if settled is None else settled
        gap, left = (output_gap(quiet.y_pred, other) for other in (infer.y_pred, settled))
        if left > _WORTH_ASKING:  # random numbers that no layer of Keras draws?
            again = self._passes.quietly(batch, traced=self._traced)
            noise = output_gap(quiet.y_pred, again.y_pred)
            gap, left = max(gap - noise, 0.0), max(left - noise, 0.0)
        return ModeFacts(
            gap=gap,
            gap_recalibrated=left,
            first_layer=first_difference(quiet.watch, infer.watch, _OPENS),
            loss_training=quiet.loss,
            loss_inference=infer.loss,
        )

    def _fields(self, look: _Look, weights: tuple[WeightFacts, ...]) -> dict[str, object]:
        train, infer, why = look.train, look.infer, self._passes.why_no_loss
        no_loss = self._no_loss()
        facts: tuple[GradientFacts, ...] = ()
        if train.gradients is not None:
            facts = gradient_facts(self.model, train.gradients, self._depths, weights)
        return {
            "y_train": np.asarray(first_output(train.y_pred)),
            "y_infer": np.asarray(first_output(infer.y_pred)),
            "bn_observed": observed(
                self.model, train.watch.seen, infer.watch.seen, self._depths, self._plain
            ),
            "modes": look.modes if _finite(train, infer) else _NOT_FINITE,
            "gradients": no_loss if train.gradients is None else facts,
            "blocks": no_loss if train.gradients is None else block_flow(train.ends, self._depths),
            "updates": look.updates,
            "step_effect": look.effect,
            "penalties": self._penalties(look),
            "activations": train.activity.facts(self._depths),
            "output_gradient": Missing(why or "the output has no gradient")
            if train.output_gradient is None
            else np.asarray(train.output_gradient, np.float32),
            "not_finite": self._not_finite(look, facts),
            "gradient_cut": self._cut(look),
        }

    def _no_loss(self) -> Missing:
        return Missing(self._passes.why_no_loss, "" if self.loss is not None else "--loss")

    def _updates(self, train: Passed) -> object:
        if train.gradients is None:
            return self._no_loss()
        if self.optimizer is None:
            return Missing("no optimizer is known", "--optimizer … --learning-rate")
        try:
            return self._step(train.gradients, traced=self._traced)
        except NotExaminedError as why:
            return Missing(str(why))
        except Exception as error:  # noqa: BLE001 - the boundary: an optimizer of the user's own
            return Missing(f"the optimizer fails on the batch's gradient: {error_line(error)}")

    def _effect(self, batch: Any, train: Passed, updates: object) -> object:
        """What the step does to the batch's loss; asked in a pass of its own only where the step
        looks too large."""
        if not isinstance(updates, tuple) or not train.gradients or train.loss is None:
            return updates if isinstance(updates, Missing) else self._no_loss()
        before, promised = train.loss, self._step.promised
        much = abs(promised) > _MUCH_PROMISED * abs(before)
        kernels = sorted(f.ratio for f in updates if not f.variable.endswith(_AFFINE))
        large = bool(kernels) and kernels[len(kernels) // 2] > _LARGE_STEP
        after = None
        if math.isfinite(before) and (much or large):
            after = self._step.loss_after(
                train.gradients,
                lambda: self._passes.quietly(batch, traced=False).loss,
            )
        return StepEffect(promised / max(abs(before), 1e-12), before, after)

    def _penalties(self, look: _Look) -> object:
        """The pull of L2 losses and of the optimizer's weight decay; () where there is neither."""
        gradients, updates = look.train.gradients, look.updates
        if gradients is None:
            return self._no_loss()
        found = [l2_penalty(self.model, gradients, look.modes.loss_training or 0.0)]
        if self.optimizer is not None and isinstance(updates, tuple):
            found.append(decay_penalty(self.optimizer, updates))
        return tuple(fact for fact in found if fact is not None)

    def _not_finite(self, look: _Look, facts: tuple[GradientFacts, ...]) -> object:
        output = np.asarray(first_output(look.train.y_pred))
        if np.isfinite(output).all() and all(fact.finite for fact in facts):
            return None
        if not np.isfinite(np.asarray(look.batch[0], np.float32)).all():
            return NotFinite("input", "")
        if look.train.gradients is None:
            return NotFinite("forward", "")
        return name_the_operation(self.model, lambda done: self._passes.again(look.batch, done))

    def _cut(self, look: _Look) -> object:
        gradients = look.train.gradients or {}
        if not any(gradient is None for gradient in gradients.values()):
            return ()
        unreached = [v for v in self._passes.variables if gradients.get(id(v)) is None]
        return cutting_operations(self.model, look.batch[0], unreached)


def _finite(*passes: Passed) -> bool:
    return all(np.isfinite(np.asarray(first_output(done.y_pred))).all() for done in passes)


@dataclass(frozen=True)
class _Look:
    """One batch, what its passes gave, the two modes beside each other, the optimizer's step."""

    batch: Any
    train: Passed
    infer: Passed
    modes: ModeFacts
    updates: object
    effect: object
