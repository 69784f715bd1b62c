"""HIST001, HIST002, HIST004: what the curves of a training show by themselves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.history_facts import HistoryFacts
from segdoctor.core.measured import Declared, HeadFacts
from segdoctor.core.model_facts import CompileFacts
from segdoctor.core.probe import NotExaminedError, Probe


def curve(history: HistoryFacts, *names: str) -> tuple[str, tuple[float, ...]]:
    """The first of ``names`` that the history holds, with its values."""
    for name in names:
        if name in history.series:
            return name, history.series[name]
    told = ", ".join(list(history.series)[:6])
    raise NotExaminedError(f"the history has no {names[0]} (it has {told})")


def learned(history: HistoryFacts, *, quality: float, gain: float = math.inf) -> str:
    """The key of a score that shows that something was learnt, "" if none does: it came to
    ``quality``, or rose by ``gain``."""
    from segdoctor.measures.curves import rose

    for name, values, good in _overlaps(history):
        if max(good) >= quality or rose(values, gain):
            return name
    return ""


def _poor(history: HistoryFacts, best: float) -> bool:
    """Whether there is a mean IoU or Dice, and none that comes to ``best``."""
    known = [max(good) for _, _, good in _overlaps(history)]
    return bool(known) and max(known) < best


def _overlaps(history: HistoryFacts) -> Iterator[tuple[str, Sequence[float], Sequence[float]]]:
    """``(key, values, finite values)`` of each mean IoU and Dice."""
    from segdoctor.measures.curves import finite_part, is_iou

    for name, values in history.series.items():
        plain = name.lower()
        good = finite_part(values)
        if (is_iou(name) or ("dice" in plain and "loss" not in plain)) and len(good):
            yield name, values, [float(value) for value in good]


def at(history: HistoryFacts, place: int) -> str:
    """Where a place of the curve lies, in words, counted from 1 as people do."""
    return f"epoch {place + 1} of {len(history)}"


@dataclass(frozen=True)
class PlateauFromStart(Probe):
    code = "HIST001"
    how = (
        "The training loss of the last third of the epochs is set against that of the first "
        "epoch, and both against the noise between neighbouring epochs."
    )
    why = "A loss that never left its first level has learnt nothing, however long it runs."
    fix = "A flat loss is a symptom: look at the errors of this report first."
    fine = (
        "A pretrained run that starts low and stays there: a mean IoU or Dice above the quality "
        "limit or on the rise (beside a large penalty that hides the data term), or a "
        "cross-entropy far below the one of a guess, is no plateau."
    )
    sources = "the question's own run; FAULTS OPT-01, OPT-02"

    smallest_fall: float = field(
        default=0.03, metadata={"doc": "fall of the loss, as a share of its first value"}
    )
    fewest: int = field(default=4, metadata={"doc": "epochs needed to judge"})
    quality: float = field(
        default=0.5, metadata={"doc": "mean IoU or Dice from which on the run has learnt"}
    )
    gain: float = field(
        default=0.1, metadata={"doc": "rise of a mean IoU or Dice that shows that it learns"}
    )
    poor: float = field(
        default=0.2, metadata={"doc": "best mean IoU or Dice below which a low loss shows nothing"}
    )
    swing: float = field(
        default=0.12, metadata={"doc": "noise, of the level, from which on the loss swings"}
    )
    far_below: float = field(
        default=0.4,
        metadata={"doc": "cross-entropy over that of a guess from which on the run has learnt"},
    )

    def examine(
        self,
        history: HistoryFacts,
        head: HeadFacts | None = None,
        declared: Declared | None = None,
        compiled: CompileFacts | None = None,
    ) -> Iterator[Finding]:
        from segdoctor.measures.curves import finite_part, range_test, shape_of

        _, values = curve(history, "loss", "train_loss", "training_loss")
        shape = shape_of(values)
        if shape is None or shape.length < self.fewest:
            raise NotExaminedError(f"the history has fewer than {self.fewest} epochs of loss")
        if range_test(history.series):
            raise NotExaminedError("the learning rate rises all the way: a sweep, no training")
        good = [float(value) for value in finite_part(values)]
        first = good[0]
        # A loss that began to fall late has left its level too.
        last = min(shape.last, sorted(good[-3:])[1])
        fall = first - last
        if fall > self.smallest_fall * abs(first) and fall > shape.noise:
            return
        if shape.noise > self.swing * abs(shape.level) and shape.turns >= 0.5:
            return  # it swings: that is HIST002
        guess = _guess(head, declared, compiled)
        if learned(history, quality=self.quality, gain=self.gain):
            return
        nothing = not any(good)  # a loss of exactly 0 has been fed nothing to learn
        knows = guess is not None and last < self.far_below * guess and not nothing
        if knows and not _poor(history, self.poor):
            return
        evidence = [
            Evidence(
                "fall of the loss, of its first value",
                _round(fall / max(abs(first), 1e-12)),
                self.smallest_fall,
                "share",
                at(history, len(history) - 1),
            ),
            Evidence("loss in the first epoch", _round(first)),
            Evidence("loss in the last third", _round(shape.last)),
        ]
        if guess is not None:
            evidence.append(Evidence("loss of a guess among the classes", _round(guess)))
        rose = -fall > self.smallest_fall * abs(first) and shape.turns < 0.35
        told = _told(history, good, rose=rose)
        yield self.finding(
            f"In {shape.length} epochs the loss went from {first:.3g} to {shape.last:.3g}: {told}",
            evidence,
            Fix(
                "It learnt, and was thrown out again: keep the weights of the best epoch, and "
                "lower the learning rate or clip the gradient."
                if "came down" in told
                else "Do not train longer. A loss that stands still from the first epoch has a "
                "cause in the model, the labels, the loss or the step: mend the errors above, "
                "and let the run memorise one batch before it trains on all."
            ),
        )


def _told(history: HistoryFacts, good: Sequence[float], *, rose: bool) -> str:
    """What the loss did instead of falling."""
    if not any(good):
        return "it is 0 from the first epoch on."
    if not rose:
        return "it never left its first level."
    middles = [sorted(good[place : place + 3])[1] for place in range(len(good) - 2)]
    lowest = min(range(len(middles)), key=middles.__getitem__)
    if good[0] - middles[lowest] > 0.2 * abs(good[0]):
        place = at(history, lowest + 1)
        return f"it came down to {middles[lowest]:.3g} by {place}, and rose again."
    return "it rose."


def _guess(
    head: HeadFacts | None, declared: Declared | None, compiled: CompileFacts | None
) -> float | None:
    """Cross-entropy of equal probabilities, where the loss is a cross-entropy."""
    loss = (compiled.loss or "") if compiled is not None else ""
    if "entropy" not in loss.lower().replace("_", ""):
        return None
    classes = head.channels if head is not None else declared.num_classes if declared else None
    return math.log(max(classes, 2)) if classes else None


@dataclass(frozen=True)
class Oscillation(Probe):
    code = "HIST002"
    how = (
        "The noise of the training loss (from its second differences, so that a steady fall has "
        "none) is set against its level, and the fall of a line through it against what noise of "
        "this size gives by chance. Between the two limits the epochs are too few to tell."
    )
    why = "Steps that throw the weights about cancel each other; the last epoch is a lottery."
    fix = "Lower the learning rate by ten, take a larger batch, freeze batch normalisation."
    fine = (
        "A noisy loss that falls all the same, or that fell at once to a fraction of its first "
        "value and stays there; a cyclic learning rate; and a validation loss that "
        "jumps while the training loss falls (see BN007 for that)."
    )
    sources = "keras-team/keras#10666; FAULTS BN-05, CB-02"

    swing: float = field(
        default=0.12, metadata={"doc": "noise of the loss, as a share of its level"}
    )
    fall: float = field(
        default=1.0, metadata={"doc": "fall over all epochs, in spreads of the noise"}
    )
    chance: float = field(
        default=2.8, metadata={"doc": "fall, in standard errors, that is no chance"}
    )
    doubtful: float = field(
        default=2.0, metadata={"doc": "fall, in standard errors, that may be chance"}
    )
    turns: float = field(
        default=0.45, metadata={"doc": "share of the epochs in which the loss turns round"}
    )
    fewest: int = field(default=6, metadata={"doc": "epochs needed to judge"})
    settled: float = field(
        default=0.5,
        metadata={"doc": "level and noise, over the highest early loss, of one that fell"},
    )

    def examine(self, history: HistoryFacts) -> Iterator[Finding]:
        from segdoctor.measures.curves import rate_cycles, shape_of, trend

        _, values = curve(history, "loss", "train_loss", "training_loss")
        shape = shape_of(values)
        if shape is None or shape.length < self.fewest:
            raise NotExaminedError(f"the history has fewer than {self.fewest} epochs of loss")
        share = shape.noise / max(abs(shape.level), 1e-12)
        if share <= self.swing or shape.turns < min(self.turns, _fewest_turns(shape.length)):
            return
        good = [value for value in values if math.isfinite(value)]
        early = max(good[: max(len(good) // 4, 2)])
        if rate_cycles(history.series) or shape.last + 2.0 * shape.noise < self.settled * early:
            return
        fall, errors = trend(values)
        if fall > self.fall * shape.noise and errors > self.doubtful:
            if errors > self.chance:
                return
            raise NotExaminedError(
                f"the loss swings, and {shape.length} epochs do not show whether it falls"
            )
        jump = max(
            range(1, len(values)),
            key=lambda place: _jump(values[place - 1], values[place]),
        )
        yield self.finding(
            f"The loss swings by {share:.0%} of its level and does not fall: the steps undo each "
            "other.",
            (
                Evidence("noise of the loss, of its level", _round(share), self.swing, "share"),
                Evidence("epochs in which it turns round", _round(shape.turns), self.turns),
                Evidence("largest jump", _round(values[jump]), None, "", at(history, jump)),
            ),
            Fix(
                "Lower the learning rate by a factor of ten; with few examples in a batch take "
                "more, or freeze the batch normalisations.",
                "optimizer = keras.optimizers.Adam(1e-4)",
            ),
        )


def _fewest_turns(length: int) -> float:
    """Share of turns below which one in a hundred curves of pure noise stays: two thirds of its
    places are turns, with the variance of Bienaymé's test."""
    return 2.0 / 3.0 - 2.33 * math.sqrt((16 * length - 29) / 90.0) / (length - 2)


def _jump(before: float, after: float) -> float:
    step = after - before
    return step if math.isfinite(step) else -math.inf


@dataclass(frozen=True)
class NotFiniteAtEpoch(Probe):
    code = "HIST004"
    how = "Looks for the first epoch from which on a curve holds NaN or Inf to its end."
    why = "From there on the weights are NaN: every later epoch and every saved file is lost."
    fix = "Go back to the last good epoch, and mend what makes the NaN."
    fine = "A metric that is reported only in some epochs, and a metric of an absent class."
    sources = "Keras: TerminateOnNaN; FAULTS IGN-01, OPT-14, OPT-18"

    def examine(self, history: HistoryFacts) -> Iterator[Finding]:
        from segdoctor.measures.curves import first_not_finite

        broken = {}
        for name, values in history.series.items():
            written = len(values) - history.unwritten.get(name, 0)
            place = first_not_finite(values[:written])
            if place is not None:
                broken[name] = place
        losses = {name: place for name, place in broken.items() if "loss" in name.lower()}
        if not losses:
            return
        name, place = min(losses.items(), key=lambda item: (item[1], item[0] != "loss"))
        before = history.series[name][place - 1] if place else None
        growing = _grew(history.series[name][:place])
        yield self.finding(
            f"{name} is NaN or Inf from {at(history, place)} on"
            + (f"; it had been {before:.3g} the epoch before." if before is not None else "."),
            (
                Evidence(
                    f"first epoch of {name} that is no number",
                    place + 1,
                    None,
                    "epoch",
                    at(history, place),
                ),
                Evidence("curves that end as NaN or Inf", ", ".join(sorted(broken))),
            ),
            Fix(
                "The loss had been growing before: lower the learning rate, or clip the gradient."
                if growing
                else "It came at once, without growing first: look for an operation that makes "
                "it (255 among the labels, log or a division by zero, half precision), not at "
                "the learning rate.",
                "callbacks=[keras.callbacks.TerminateOnNaN()]",
            ),
        )


def _grew(values: Sequence[float]) -> bool:
    good = [value for value in values if math.isfinite(value)]
    return len(good) >= 3 and good[-1] > 1.5 * min(good)


def _round(value: float) -> float:
    return float(f"{value:.3g}")
