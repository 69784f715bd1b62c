"""What ``segdoctor.Monitor`` costs: epochs of one real fit with it and without it, in turn.

    python -m benchmarks.monitor [PAIRS] [KEPT.json]

A small encoder and decoder at 96 px, epochs of five steps, with the monitor as it comes and a batch
to look at. In every other epoch its hooks do nothing; the order within a pair of neighbouring
epochs alternates, so that a machine that gets slower or faster favours neither. It keeps to a share
of all the time, so it is given half of the usual share for half of the epochs. The figures are the
medians over the pairs of the ratio of their times, the look at the end of an epoch included, with a
bootstrap interval of 95 %: of the clock, and of the processor time of all threads, which other
programs disturb less. Beside them the time that the monitor's own hooks took, measured from
inside. The report at the end is no part of it. With a file, the pairs of earlier runs are kept
there and count as well: several short quiet runs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

SIDE, BATCH, STEPS = 96, 4, 5


def main(pairs: int = 24, kept: Path | None = None) -> None:
    import keras

    from segdoctor import Monitor

    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 3))
    h = inputs
    for width in (32, 64, 128):
        h = keras.layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(h)
        h = keras.layers.ReLU()(keras.layers.BatchNormalization()(h))
    h = keras.layers.UpSampling2D(8, interpolation="bilinear")(h)
    model = keras.Model(inputs, keras.layers.Conv2D(21, 1)(h))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, SIDE, SIDE, 3)).astype(np.float32)
    y = rng.integers(0, 21, (BATCH * STEPS, SIDE, SIDE)).astype(np.int32)

    class Watching(Monitor):
        """Without the report at the end; ``on`` in one epoch of each pair; its own time is kept."""

        on, own = True, 0.0

        def _reported(self):
            return None

        def _hook(self, name, *arguments):
            if self.on:
                start = time.perf_counter()
                getattr(super(), name)(*arguments)
                self.own += time.perf_counter() - start

        def on_train_batch_begin(self, batch, logs=None):
            self._hook("on_train_batch_begin", batch, logs)

        def on_train_batch_end(self, batch, logs=None):
            self._hook("on_train_batch_end", batch, logs)

        def on_epoch_end(self, epoch, logs=None):
            self._hook("on_epoch_end", epoch, logs)

    class Turns(keras.callbacks.Callback):
        """Switches the monitor, and takes the time from one epoch's beginning to the next one's."""

        def on_train_begin(self, logs=None):
            self.begun, self.watched, self.own, self.used = [], [], [], []

        def on_epoch_begin(self, epoch, logs=None):
            self.begun.append(time.perf_counter())
            self.used.append(time.process_time())
            self.own.append(monitor.own)
            pair, second = divmod(epoch, 2)
            monitor.on = bool((pair + second) % 2)
            self.watched.append(monitor.on)

    turns, monitor = Turns(), Watching((x[:BATCH], y[:BATCH]), share=0.005)
    # The first pair warms up, and the last epoch only ends the one before it.
    epochs = 2 * (pairs + 1) + 1
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=[monitor, turns])
    took, spent, used = np.diff(turns.begun), np.diff(turns.own), np.diff(turns.used)
    ratios, own, cpu = [], [], []
    for first in range(2, epochs - 1, 2):
        on = first if turns.watched[first] else first + 1
        off = first + 1 if on == first else first
        ratios.append(float(took[on] / took[off] - 1))
        cpu.append(float(used[on] / used[off] - 1))
        own.append(float(spent[on] / took[on]))
    plain = 1000 * float(np.median([t for t, w in zip(took, turns.watched, strict=False) if not w]))
    if kept is not None:
        if kept.exists():
            before = json.loads(kept.read_text())
            ratios, own, cpu = (
                before[k] + v for k, v in zip("roc", (ratios, own, cpu), strict=True)
            )
        kept.write_text(json.dumps({"r": ratios, "o": own, "c": cpu}))
    print(
        f"overhead over {len(ratios)} pairs of epochs: clock {_told(ratios)}; processor time "
        f"{_told(cpu)}; a plain step {plain / STEPS:.1f} ms; its own time: median "
        f"{np.median(own):.2%}, mean {np.mean(own):.2%}"
    )


def _told(ratios: list[float]) -> str:
    drawn = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return f"{np.median(ratios):+.2%} (95 %: {low:+.2%} to {high:+.2%})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 24, Path(sys.argv[2]) if sys.argv[2:] else None)
