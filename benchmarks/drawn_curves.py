"""HIST002 and HIST003 on drawn curves of which the truth is known.

    python -m benchmarks.drawn_curves [CURVES]

HIST002: curves without a fall, noise of 20 to 50 % or between two levels (sick), and curves that
fall to 0.2 to 0.6 with noise of 5 to 20 % (healthy), 8 to 80 epochs. HIST003: a validation loss
that comes nearer and nearer to its end, noise of 2 to 20 %, a patience of 2 to 20, 30 to 100
planned epochs; sick where EarlyStopping ends more than 70 % of such runs too early, healthy where
it does so with fewer than 20 %; seen as a whole, or as far as the callback lets it go.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from segdoctor.core.engine import examine
from segdoctor.core.history_facts import CallbackFacts, HistoryFacts, Training
from segdoctor.core.measured import Declared
from segdoctor.core.trace import Trace
from segdoctor.measures.played import stops_after
from segdoctor.probes.early_stop import EarlyStopTooEarly
from segdoctor.probes.history import Oscillation

Array = NDArray[np.float64]


def held(**series: Array) -> HistoryFacts:
    columns = {key: tuple(float(value) for value in values) for key, values in series.items()}
    return HistoryFacts("drawn", tuple(range(len(columns["loss"]))), columns)


def swinging(random: np.random.Generator, curves: int) -> Iterator[tuple[str, Array]]:
    for _ in range(curves):
        epochs = int(random.choice([8, 12, 20, 40, 80]))
        spread = float(random.choice([0.2, 0.3, 0.5]))
        yield "sick", np.exp(random.normal(0.0, spread, epochs))
        levels = np.where(random.random(epochs) < 0.5, 1.0, float(random.choice([1.5, 2.0, 3.0])))
        yield "sick", levels * np.exp(random.normal(0.0, 0.03, epochs))
        end, time = float(random.choice([0.2, 0.4, 0.6])), np.arange(epochs)
        for line in (
            np.geomspace(1.0, end, epochs),
            end + (1.0 - end) * np.exp(-5.0 * time / epochs),
        ):
            spread = float(random.choice([0.05, 0.1, 0.15, 0.2]))
            yield "healthy", line * np.exp(random.normal(0.0, spread, epochs))


def stopped(random: np.random.Generator, curves: int) -> Iterator[tuple[str, str]]:
    """``(kind, answer)`` of each drawn run with early stopping."""
    for number in range(curves):
        planned = int(random.choice([30, 50, 100]))
        time = planned * float(random.choice([0.05, 0.1, 0.2, 0.4, 0.8, 2.0]))
        end, noise = (
            float(random.choice([0.1, 0.3, 0.6, 0.8])),
            float(random.choice([0.02, 0.05, 0.1, 0.2])),
        )
        callback = CallbackFacts(
            "EarlyStopping", "val_loss", "min", "min", int(random.choice([2, 3, 5, 8, 10, 15, 20]))
        )
        line = end + (1.0 - end) * np.exp(-np.arange(planned) / time)
        much = max(0.2 * (line[0] - line[-1]), noise * float(np.median(line)))
        ends = [
            stops_after(callback, (line * np.exp(random.normal(0.0, noise, planned))).tolist())
            for _ in range(200)
        ]
        early = np.mean([at < planned and line[at - 1] - line[-1] > much for at in ends])
        seen = line * np.exp(random.normal(0.0, noise, planned))
        if number % 2:
            seen = seen[: stops_after(callback, seen.tolist())]
        if len(seen) < 5 or 0.2 <= early <= 0.7:
            continue
        trace = {
            "history": held(loss=line[: len(seen)], val_loss=seen),
            "declared": Declared(epochs=planned),
            "training": Training(True, (), (callback,)),
        }
        kind = "sick" if early > 0.7 else "healthy"
        told = f"{kind}, {'as far as it went' if number % 2 else 'seen as a whole'}"
        yield told, examine(EarlyStopTooEarly(), Trace(trace)).status


def main() -> None:
    curves = int(sys.argv[1]) if len(sys.argv) > 1 else 800
    answers: dict[str, Counter[str]] = defaultdict(Counter)
    for kind, curve in swinging(np.random.default_rng(0), curves):
        answers[f"HIST002 {kind}"][
            examine(Oscillation(), Trace({"history": held(loss=curve)})).status
        ] += 1
    for kind, answer in stopped(np.random.default_rng(0), curves):
        answers[f"HIST003 {kind}"][answer] += 1
    for name, counted in sorted(answers.items()):
        total = counted.total()
        shares = ", ".join(
            f"{status} {count / total:.1%}" for status, count in counted.most_common()
        )
        print(f"{name:36} {total:5} curves: {shares}")


if __name__ == "__main__":
    main()
