"""Small nets on real VOC pairs (drawn ones where they are not at hand)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SIDE, CLASSES = 64, 21


class Small:
    """Makes nets and batches; every call gives new ones."""

    def __init__(self, data: Path) -> None:
        from segdoctor.sources.voc import make_batch, scan_folder

        self._scan = scan_folder(data)
        self._make = make_batch
        self.batch = make_batch(
            self._scan, size=(SIDE, SIDE), count=4, num_classes=CLASSES, ignore_label=255, seed=0
        )

    @property
    def x(self) -> Any:
        return np.array(self.batch.x, np.float32)

    @property
    def ids(self) -> Any:
        return np.array(self.batch.ids, np.int32)

    @property
    def no_void(self) -> Any:
        return np.where(self.ids == 255, 0, self.ids)

    @property
    def onehot(self) -> Any:
        return np.eye(CLASSES, dtype=np.float32)[self.no_void]

    @property
    def onehot_255(self) -> Any:
        rows = self.onehot
        rows[self.ids == 255] = 255.0
        return rows

    @property
    def person(self) -> Any:
        """A mask (B, H, W, 1) of background against everything else."""
        return (self.no_void > 0).astype(np.float32)[..., None]

    def net(
        self,
        *,
        channels: int = CLASSES,
        activation: str | None = None,
        middle: Any = None,
        behind: Any = None,
        dropout: float = 0.0,
        norm: str = "batch",
        keras: Any = None,
        inputs: int = 3,
    ) -> Any:
        """conv blocks at full, half and quarter size, joined again; the head at full size."""
        if keras is None:
            import keras
        keras.utils.set_random_seed(0)
        layers = keras.layers

        def block(x: Any, width: int, **options: Any) -> Any:
            x = layers.Conv2D(width, 3, padding="same", **options)(x)
            if norm == "batch":
                x = layers.BatchNormalization(momentum=0.9)(x)
            elif norm == "group":
                x = layers.GroupNormalization(4)(x)
            return layers.ReLU()(x)

        image = layers.Input((SIDE, SIDE, inputs))
        a = block(image, 16)
        b = block(a, 32, strides=2)
        c = block(block(b, 48, strides=2), 48)
        if middle is not None:
            c = middle(c)
        x = layers.Concatenate()([layers.UpSampling2D(2, interpolation="bilinear")(c), b])
        x = block(x, 32)
        x = layers.Concatenate()([layers.UpSampling2D(2, interpolation="bilinear")(x), a])
        x = block(x, 24)
        if dropout:
            x = layers.Dropout(dropout)(x)
        x = layers.Conv2D(channels, 1, name="head", activation=activation)(x)
        if behind is not None:
            x = behind(x)
        return keras.Model(image, x)


def sparse(keras: Any = None, **options: Any) -> Any:
    if keras is None:
        import keras
    given = {"from_logits": True, "ignore_class": 255} | options
    return keras.losses.SparseCategoricalCrossentropy(**given)


def adam(rate: float = 1e-3, keras: Any = None) -> Any:
    if keras is None:
        import keras
    return keras.optimizers.Adam(rate)
