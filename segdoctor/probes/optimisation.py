"""OPT001, OPT002: the optimizer's real step beside the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import GradientFacts, StepEffect, UpdateFacts
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.probe import NotExaminedError, Probe

_AFFINE = ("bias", "beta", "gamma")


@dataclass(frozen=True)
class UpdateTooSmall(Probe):
    code = "OPT001"
    how = (
        "The run's own optimizer, made anew at the peak of its schedule, takes three steps with "
        "the batch's gradient on a copy; the median over the kernels of |step| / |weights|, per "
        "step, is judged."
    )
    why = (
        "At 1.5e-5 of the weights a step, 60 steps left DeepLabv3+ at a mIoU of .13 (Adadelta "
        "1e-3) and .09 (Adam 1e-6), at 1e-2 they reached .77 to .85. Keras' default rate for "
        "Adadelta is 1e-3; the method's own is 1.0."
    )
    fix = "Adadelta at 1.0, or Adam at 1e-3, or SGD at 1e-2 with momentum .9."
    fine = (
        "SGD near a minimum: its step shrinks with the gradient, so for SGD the rate counts as "
        "well. Adam at 1e-5 for fine-tuning moves about 1e-4 of the weights a step."
    )
    sources = "tensorflow/tensorflow#36785, #39432, #27924; keras-team/keras#3889; measured"

    negligible: float = field(
        default=2e-5, metadata={"doc": "median |step| / |weights| that counts as none"}
    )
    negligible_adadelta: float = field(
        default=1e-4,
        metadata={"doc": "the same for Adadelta, whose rate is a factor on a step that is small"},
    )
    slow_adadelta: float = field(
        default=5e-4, metadata={"doc": "below this, Adadelta is reported as slow"}
    )
    sane_sgd: float = field(
        default=1e-4, metadata={"doc": "SGD at this learning rate or above is never too small"}
    )
    clipped: float = field(
        default=0.01, metadata={"doc": "share of SGD's step that clipping must leave"}
    )
    no_gradient: float = field(
        default=1e-7,
        metadata={"doc": "median |gradient| / |weights| below which the gradient is to blame"},
    )

    def examine(
        self,
        updates: tuple[UpdateFacts, ...],
        compiled: CompileFacts | None = None,
        gradients: tuple[GradientFacts, ...] | None = None,
        steps_nothing: bool = False,
    ) -> Iterator[Finding]:
        ratio = _median_step(updates)
        if steps_nothing:
            yield self.finding(
                "The model's own train_step applies no gradient: every weight stays as it was.",
                _evidence(ratio, self.negligible, updates),
                Fix(
                    "Hand the gradients to the optimizer in train_step.",
                    "gradients = tape.gradient(loss, self.trainable_variables)\n"
                    "self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))",
                    {"optimizer.name": "Adam", "optimizer.learning_rate": 1e-3},
                ),
            )
            return
        name, rate = _named(compiled)
        adadelta = "adadelta" in name.lower()
        limit = self.negligible_adadelta if adadelta else self.negligible
        slow = adadelta and ratio < self.slow_adadelta
        if ratio >= limit and not slow:
            return
        size = None if gradients is None else _median_gradient(gradients)
        # Of SGD's own step, rate × gradient, what clipping left.
        left = ratio / (rate * size) if rate and size else 1.0
        clipped = "sgd" in name.lower() and left < self.clipped
        if "sgd" in name.lower() and rate is not None and rate >= self.sane_sgd and not clipped:
            return
        if size is not None and size < self.no_gradient:
            raise NotExaminedError("the gradient itself is nearly zero, so every step is")
        at = f" at a learning rate of {rate:g}" if rate is not None else ""
        if clipped:
            at += f", with clipping that leaves {left:.0e} of the step,"
        own = " Adadelta's own rate is 1.0; Keras' default is 0.001." if adadelta else ""
        steps = f"{1 / ratio:,.0f} steps" if ratio > 1e-9 else "no number of steps"
        yield self.finding(
            f"{name or 'The optimizer'}{at} moves the weights by {ratio:.1e} of their size in a "
            f"step: {steps} for a change as large as they are.{own}",
            _evidence(ratio, limit if ratio < limit else self.slow_adadelta, updates),
            Fix(
                "Use Adadelta at its own rate of 1.0, or Adam at 1e-3."
                if adadelta
                else "Raise the learning rate, or use Adam at 1e-3.",
                "optimizer = keras.optimizers.Adam(1e-3)   # Adadelta: learning_rate=1.0",
                {"optimizer.name": "Adam", "optimizer.learning_rate": 1e-3},
            ),
            severity=None if ratio < limit else "warning",
        )


@dataclass(frozen=True)
class UpdateTooLarge(Probe):
    code = "OPT002"
    how = (
        "As for OPT001: the median over the kernels of |step| / |weights|, per step. And where the "
        "gradient promises a fall of more than the loss itself, or the step is that large, the "
        "loss of the same batch after the step."
    )
    why = (
        "A step as large as the weights forgets what they were: Adam at 0.1 and SGD at 1 reached "
        "a mIoU of .55 where a tenth of it reached .84, Adam at 1 and SGD at 10 .20 to .25."
    )
    fix = "Lower the learning rate by a factor of ten or a hundred, or warm up."
    fine = (
        "Adam at 1e-2 on narrow or batch-normalised nets moves a tenth to a third of the weights "
        "in its first steps and learns. Batch-normalised kernels bear larger ones: where the loss "
        "falls in such a step, or the run learns in the trial all the same, it is a warning."
    )
    sources = "measured on DeepLabv3+ MobileNetV2 with VOC pairs"

    limit: float = field(default=0.8, metadata={"doc": "median |step| / |weights|, per step"})
    promised: float = field(
        default=5.0, metadata={"doc": "fall that the gradient promises, over the loss"}
    )
    grown: float = field(
        default=6.0, metadata={"doc": "loss after such a step over the loss before it"}
    )
    bears: float = field(
        default=0.7, metadata={"doc": "loss after a large step over that before which it bears"}
    )

    def examine(
        self,
        updates: tuple[UpdateFacts, ...],
        compiled: CompileFacts | None = None,
        step_effect: StepEffect | None = None,
        gradients: tuple[GradientFacts, ...] | None = None,
    ) -> Iterator[Finding]:
        if gradients and all(fact.finite for fact in gradients if fact.trainable):
            beyond = [fact for fact in updates if not math.isfinite(fact.ratio)]
            if beyond:
                yield self._overflows(beyond, updates, compiled)
                return
        ratio = _median_step(updates)
        left = self._leaves_the_basin(step_effect)
        if ratio < self.limit and not left:
            return
        name, rate = _named(compiled)
        at = f" at a learning rate of {rate:g}" if rate is not None else ""
        evidence = list(_evidence(ratio, self.limit, updates))
        told = f"moves the weights by {ratio:.2g} times their own size in a single step"
        borne = False
        if step_effect is not None and step_effect.after is not None:
            before, after = step_effect.before or 0.0, step_effect.after
            evidence += [
                Evidence("loss of the batch after the step", _plain(after), _round(before)),
                Evidence("promised fall, in losses", _round(step_effect.promised), self.promised),
            ]
            borne = after <= self.bears * before
            if not after <= before:
                told += f", and the loss of the same batch goes from {before:.3g} to {after:.3g}"
        yield self.finding(
            f"{name or 'The optimizer'}{at} {told}.",
            evidence,
            _LOWER,
            severity="warning" if borne else None,
        )

    def _overflows(
        self,
        beyond: Sequence[UpdateFacts],
        updates: Sequence[UpdateFacts],
        compiled: CompileFacts | None,
    ) -> Finding:
        """The gradient is finite, and a step of it is not."""
        name, rate = _named(compiled)
        at = f" at a learning rate of {rate:g}" if rate is not None else ""
        return self.finding(
            f"{name or 'The optimizer'}{at} makes NaN or Inf of {len(beyond)} of {len(updates)} "
            "variables in a few steps, from a gradient that is finite.",
            [
                Evidence("variables beyond any number", len(beyond), 0),
                Evidence(
                    "|step| / |weights|", str(beyond[0].ratio), self.limit, "", beyond[0].layer
                ),
            ],
            _LOWER,
        )

    def _leaves_the_basin(self, effect: StepEffect | None) -> bool:
        """Whether the loss of the batch itself grows many times over by the step."""
        if effect is None or effect.before is None or effect.after is None:
            return False
        grown = not effect.after <= self.grown * abs(effect.before)  # NaN too
        return grown and abs(effect.promised) >= self.promised


_LOWER = Fix(
    "Lower the learning rate, by a factor of a hundred to begin with.",
    "optimizer = keras.optimizers.Adam(1e-3)",
    {"optimizer.name": "Adam", "optimizer.learning_rate": 1e-3},
)


def _median_gradient(gradients: Sequence[GradientFacts]) -> float | None:
    """Median of |gradient| / |weights| over the trained kernels."""
    sizes = sorted(
        fact.norm / fact.weight_norm
        for fact in gradients
        if fact.trainable
        and fact.norm is not None
        and fact.weight_norm > 0.0
        and not fact.variable.endswith(_AFFINE)
    )
    return sizes[len(sizes) // 2] if sizes else None


def _median_step(updates: Sequence[UpdateFacts]) -> float:
    ratios = sorted(fact.ratio for fact in updates if not fact.variable.endswith(_AFFINE))
    if not ratios:
        raise NotExaminedError("no kernel has an update to judge")
    if not all(math.isfinite(ratio) for ratio in ratios):
        raise NotExaminedError("the gradient is not finite, so no step is")
    return ratios[len(ratios) // 2]


def _evidence(ratio: float, limit: float, updates: Sequence[UpdateFacts]) -> tuple[Evidence, ...]:
    judged = [fact for fact in updates if not fact.variable.endswith(_AFFINE)]
    most = max(judged, key=lambda fact: fact.ratio)
    return (
        Evidence("median |step| / |weights| per step", _round(ratio), limit),
        Evidence("largest |step| / |weights|", _round(most.ratio), None, "", most.layer),
        Evidence("steps taken on a copy", most.steps, None, "steps"),
    )


def _named(compiled: CompileFacts | None) -> tuple[str, float | None]:
    if compiled is None:
        return "", None
    return compiled.optimizer or "", compiled.learning_rate


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def _plain(value: float) -> float | str:
    return _round(value) if math.isfinite(value) else str(value)
