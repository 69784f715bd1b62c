"""HIST005, HIST006: callbacks that stop, slow down or save by the wrong sign, or by no key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.history_facts import CallbackFacts, HistoryFacts, Training
from segdoctor.core.probe import NotExaminedError, Probe

_DOES = {
    "EarlyStopping": "stops the training while the model gets better",
    "ReduceLROnPlateau": "lowers the learning rate while the model gets better",
    "ModelCheckpoint": "keeps the worst model",
}


def callbacks_of(training: Training) -> tuple[CallbackFacts, ...]:
    if training.callbacks is None:
        raise NotExaminedError("no callbacks were given (callbacks= would tell)")
    return training.callbacks


@dataclass(frozen=True)
class MonitorDirectionWrong(Probe):
    code = "HIST005"
    how = (
        "The direction in which each callback really goes (of mode='auto': what this Keras makes "
        "of the name or the metric) is set against the way the key is better: by its name, else "
        "by which way it went while the loss fell."
    )
    why = (
        "Keras 2 minimises every key without 'acc' in its name: EarlyStopping('val_mean_iou') "
        "stops when the IoU rises, and ModelCheckpoint saves the worst epoch."
    )
    fix = "Say mode='max' for IoU, Dice and accuracy, mode='min' for losses."
    fine = "dice_loss and other losses with the name of a score: they fall."
    sources = "keras-team/keras#18798; keras-team/tf-keras#253; tensorflow/tensorflow#44509"

    agree: float = field(
        default=0.8,
        metadata={"doc": "rank correlation with the loss that tells an unknown key's direction"},
    )

    def examine(self, training: Training, history: HistoryFacts | None = None) -> Iterator[Finding]:
        from segdoctor.measures.curves import better

        found, untold = [], ""
        for callback in callbacks_of(training):
            wanted, by = better(callback.monitor), "its name"
            if not wanted and history is not None:
                wanted, by = self._seen(history, callback.monitor), "the curve beside the loss"
            if callback.direction == "raises":
                found.append(self._raises(callback, wanted or "max"))
            elif wanted and callback.direction in ("min", "max") and wanted != callback.direction:
                found.append(self._wrong(callback, wanted, by))
            elif callback.direction == "unknown" and not training.reported:
                untold = callback.monitor
        if untold and not found:
            raise NotExaminedError(
                f"mode='auto' on {untold} is settled by the compiled metric, and no metrics are "
                "known (metrics= would tell)"
            )
        yield from found

    def _wrong(self, callback: CallbackFacts, wanted: str, by: str) -> Finding:
        verb = {"min": "minimises", "max": "maximises"}[callback.direction]
        return self.finding(
            f'{callback.kind}("{callback.monitor}", mode="{callback.mode}") {verb} '
            f"{callback.monitor}, which is better the {_higher(wanted)} it is: it "
            f"{_DOES[callback.kind]}"
            + (", and gives back the worst weights." if callback.restores else "."),
            (
                Evidence(
                    "direction of the callback", callback.direction, wanted, "", callback.kind
                ),
                Evidence("direction told by", by),
            ),
            _mode_fix(callback, wanted),
        )

    def _raises(self, callback: CallbackFacts, wanted: str) -> Finding:
        return self.finding(
            f'{callback.kind}("{callback.monitor}", mode="{callback.mode}"): this Keras cannot '
            f"tell whether {callback.monitor} is better high or low, and fit stops with an error "
            "at the end of the first epoch.",
            (Evidence("mode", callback.mode, wanted, "", callback.kind),),
            _mode_fix(callback, wanted),
        )

    def _seen(self, history: HistoryFacts, key: str) -> str:
        """Which way a key went while the loss fell; "" where that is not clear."""
        values, loss = history.series.get(key), history.series.get("loss")
        if values is None or loss is None or len(loss) < 5:
            return ""
        import numpy as np

        a, b = (np.argsort(np.argsort(np.asarray(each))) for each in (values, loss))
        if np.ptp(np.asarray(values)) == 0:
            return ""
        together = float(np.corrcoef(a, b)[0, 1])
        if abs(together) < self.agree:
            return ""
        return "min" if together > 0 else "max"


def _higher(wanted: str) -> str:
    return "higher" if wanted == "max" else "lower"


def _mode_fix(callback: CallbackFacts, wanted: str) -> Fix:
    return Fix(
        f'Say mode="{wanted}".',
        f'keras.callbacks.{callback.kind}(…, monitor="{callback.monitor}", mode="{wanted}")',
    )


@dataclass(frozen=True)
class MonitorAbsent(Probe):
    code = "HIST006"
    how = (
        "The key that each callback watches is looked up among those that the history holds, else "
        "among those that loss, metrics and validation data will report."
    )
    why = "Keras only warns once: the callback never acts, and nothing is stopped or saved."
    fix = "Give validation_data, and write the key exactly as training prints it."
    fine = (
        "A key that is reported in some epochs only (validation_freq), or that a callback of your "
        "own, before it in the list, writes into the logs; and one that differs from a reported "
        "one by Keras' number alone (mean_io_u_1) is a warning: another session numbers otherwise."
    )
    sources = "FAULTS MET-05: a second metric object is named mean_io_u_1"

    def examine(self, training: Training, history: HistoryFacts | None = None) -> Iterator[Finding]:
        for callback in callbacks_of(training):
            key = callback.monitor
            reported = self._reported(training, history)
            if key in reported or callback.written_by or self._compiled(key, training):
                continue
            wants_validation = key.startswith("val_")
            if wants_validation and training.validation is False:
                yield self._absent(callback, "there is no validation data", reported, "error")
            elif history is not None:
                validated = any(name.startswith("val_") for name in reported)
                sure = not wants_validation or validated or training.validation is True
                why = "the history has no such key"
                yield self._absent(callback, why, reported, "error" if sure else "warning")
            elif training.reported and key.removeprefix("val_") not in (
                *training.reported,
                "loss",
            ):
                sure = not wants_validation or training.validation is True
                why = "no such metric is compiled"
                yield self._absent(callback, why, reported, "error" if sure else "warning")
            elif wants_validation and training.validation is None:
                why = "no validation data is known (validation_data= would tell)"
                yield self._absent(callback, why, reported, "warning")

    def _compiled(self, key: str, training: Training) -> bool:
        """Whether the metrics as compiled now report the key, whatever a history of before has."""
        if key.startswith("val_") and not training.validation:
            return False
        return key.removeprefix("val_") in training.reported

    def _reported(self, training: Training, history: HistoryFacts | None) -> tuple[str, ...]:
        if history is not None:
            return tuple(history.series)
        plain = ("loss", *training.reported)
        return (*plain, *(f"val_{k}" for k in plain)) if training.validation else plain

    def _absent(
        self, callback: CallbackFacts, why: str, reported: Sequence[str], severity: str
    ) -> Finding:
        alike = [name for name in reported if _unnumbered(name) == _unnumbered(callback.monitor)]
        near = alike or difflib.get_close_matches(callback.monitor, reported, 1, 0.5)
        meant = near[0] if near else "val_loss"
        if alike:
            severity = "warning"
            why += "; a metric made again in a session gets the next number"
        told = ", ".join(reported[:6])
        unknown = why.startswith("no validation data is known")
        never = (
            "which training reports only with validation data"
            if unknown
            else ("which training never reports")
        )
        return self.finding(
            f'{callback.kind} watches "{callback.monitor}", {never} ({why}): '
            + ("without them it does nothing." if unknown else "it does nothing."),
            (
                Evidence("key that is watched", callback.monitor, meant, "", callback.kind),
                Evidence("keys that are reported", told),
            ),
            Fix(
                "Give fit its validation_data."
                if "no validation data" in why
                else f'Watch "{meant}", and give each metric a name of its own.',
                "model.fit(…, validation_data=(x_val, y_val))"
                if "no validation data" in why
                else f'keras.callbacks.{callback.kind}(…, monitor="{meant}")',
            ),
            severity="error" if severity == "error" else "warning",
        )


def _unnumbered(key: str) -> str:
    """A key without the number that Keras gives a second metric of a name."""
    return re.sub(r"_\d+$", "", key)


def _round(value: float) -> float:
    return float(f"{value:.3g}")
