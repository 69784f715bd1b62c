"""What ``segdoctor.Monitor`` costs: steps of a real fit with it and without it, in turn.

    python -m benchmarks.monitor [PAIRS]

A small encoder and decoder at 96 px, two epochs a fit, with the monitor as it comes (its share is
1 %) and a batch to look at. Pairs of fits alternate in order; the figure is the median over the
pairs of the ratio of their median times a step, with a bootstrap interval of 95 %; beside it the
same for the whole times, looks between epochs included. The report at the end is no part of it.
"""

from __future__ import annotations

import sys
import time

import numpy as np

SIDE, BATCH, STEPS, EPOCHS = 96, 4, 40, 2


def main(pairs: int = 12) -> None:
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

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.ends[0]

    class Watching(Monitor):
        """Without the report at the end."""

        def _reported(self):
            return None

    def timed(*callbacks) -> tuple[float, float]:
        clock = Clock()
        model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[*callbacks, clock])
        return float(np.median(np.diff(clock.ends))), clock.seconds / (STEPS * EPOCHS)

    for _ in range(2):
        timed(Watching((x[:BATCH], y[:BATCH])))
    ratios = []
    for pair in range(pairs):
        times = {}
        for watched in (pair % 2 == 0, pair % 2 == 1):
            times[watched] = timed(*([Watching((x[:BATCH], y[:BATCH]))] if watched else []))
        ratios.append([times[True][at] / times[False][at] - 1 for at in (0, 1)])
    for name, column in zip(("step", "whole"), np.transpose(ratios), strict=True):
        drawn = np.random.default_rng(0).choice(column, (2000, len(column)))
        low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
        print(
            f"{name}: overhead, median of {pairs} pairs {np.median(column):+.2%} "
            f"(95 %: {low:+.2%} to {high:+.2%}); plain {1000 * times[False][0]:.1f} ms a step"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
