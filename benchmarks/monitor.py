"""What ``segdoctor.Monitor`` costs: steps of a real fit with it and without it, in turn.

    python -m benchmarks.monitor [PAIRS]

A small encoder and decoder at 96 px, with the monitor as it comes and a batch to look at. Pairs of
fits alternate in order; the figure is the median over the pairs of the ratio of their median times
a step, with a bootstrap interval of 95 %. Beside it the time that the monitor's own hooks took,
measured from inside, which no noise of the machine hides. The report at the end is no part of it.
"""

from __future__ import annotations

import sys
import time

import numpy as np

SIDE, BATCH, STEPS = 96, 4, 60


def main(pairs: int = 24) -> None:
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

    class Clock(keras.callbacks.Callback):
        """When each step of a fit ended."""

        def on_train_begin(self, logs=None):
            self.ends = [time.perf_counter()]

        def on_train_batch_end(self, batch, logs=None):
            self.ends.append(time.perf_counter())

    class Watching(Monitor):
        """Without the report at the end; its own time in the steps is kept."""

        own = 0.0

        def _reported(self):
            return None

        def on_train_batch_begin(self, batch, logs=None):
            start = time.perf_counter()
            super().on_train_batch_begin(batch, logs)
            self.own += time.perf_counter() - start

        def on_train_batch_end(self, batch, logs=None):
            start = time.perf_counter()
            super().on_train_batch_end(batch, logs)
            self.own += time.perf_counter() - start

    def timed(*callbacks) -> float:
        clock = Clock()
        model.fit(x, y, batch_size=BATCH, verbose=0, callbacks=[*callbacks, clock])
        return float(np.median(np.diff(clock.ends)))

    for _ in range(2):
        timed(Watching((x[:BATCH], y[:BATCH])))
    ratios, own = [], []
    for pair in range(pairs):
        times = {}
        for watched in (pair % 2 == 0, pair % 2 == 1):
            monitor = Watching((x[:BATCH], y[:BATCH]))
            times[watched] = timed(*([monitor] if watched else []))
            if watched:
                own.append(monitor.own / (times[True] * STEPS))
        ratios.append(times[True] / times[False] - 1)
    drawn = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    print(
        f"overhead of a step, median of {pairs} pairs: {np.median(ratios):+.2%} (95 %: {low:+.2%} "
        f"to {high:+.2%}); a plain step {1000 * times[False]:.1f} ms; its own time in the "
        f"steps, looks included: median {np.median(own):.2%}, at most {max(own):.2%}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
