"""The run of the question, as a script of our own: DeepLabv3+ Xception, its first 356 layers
frozen, a softmax added, Adadelta, one-hot labels in which void is 255, a soft Dice over what is not
255, a home-made mean IoU, EarlyStopping, 1449 images.

    python examples/question/run.py [FOLDER]      # trains as the question did: it does not learn

No pretrained Xception can be had here, so the backbone is first trained on drawn scenes; that
stands for the Pascal VOC weights which the question loaded.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CLASSES, SIDE, IMAGES, VOID = 21, 96, 1449, 255
FROZEN, RATE, BATCH, EPOCHS = 356, 1e-3, 10, 20
PRETRAINING_STEPS = 150


def pretrained(folder: Path) -> Any:
    """The network with a backbone trained on drawn scenes, made once; the rest is untrained."""
    import keras
    import numpy as np

    from segdoctor.measures.drawing import draw_scene
    from segdoctor.recorder.recalibrate import recalibrate
    from segdoctor.sources.deeplab import build_deeplab

    keras.utils.set_random_seed(0)
    model = build_deeplab("xception", (SIDE, SIDE, 3), CLASSES)
    path = folder / "backbone.weights.h5"
    if path.exists():
        model.load_weights(path)
        return with_new_head(model)
    rng = np.random.default_rng(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=VOID)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    seen: list[Any] = []
    for step in range(PRETRAINING_STEPS):
        scenes = [draw_scene(rng, (SIDE, SIDE), CLASSES) for _ in range(4)]
        x = np.stack([image for image, _ in scenes]).astype("float32") / 127.5 - 1
        y = np.stack([mask for _, mask in scenes]).astype("int32")
        value = float(model.train_on_batch(x, y))
        print(f"\rbackbone: step {step + 1} of {PRETRAINING_STEPS}, loss {value:.2f}", end="")
        seen = [*seen[-3:], x]
    print()
    recalibrate(model, seen)  # what a long training would have left in the moving averages
    model.save_weights(path)
    return with_new_head(model)


def with_new_head(trained: Any) -> Any:
    """The backbone's weights, and everything behind it as it is drawn at first."""
    import keras

    from segdoctor.sources.deeplab import build_deeplab

    keras.utils.set_random_seed(1)
    model = build_deeplab("xception", (SIDE, SIDE, 3), CLASSES)
    for layer in model.layers:
        if layer.name.startswith(("entry_flow", "middle_flow", "exit_flow")):
            layer.set_weights(trained.get_layer(layer.name).get_weights())
    return model


def question_model(folder: Path) -> Any:
    """The network as the question trains it."""
    import keras

    base = pretrained(folder)
    for layer in base.layers[:FROZEN]:
        layer.trainable = False
    return keras.Model(base.inputs, keras.layers.Softmax(name="softmax")(base.output))


def soft_dice(y_true: Any, y_pred: Any) -> Any:
    """1 - soft Dice of what is not 255, in the variant that runs: the gather gives one vector."""
    import tensorflow as tf

    kept = tf.where(tf.not_equal(y_true, float(VOID)))
    truth, guess = tf.gather_nd(y_true, kept), tf.gather_nd(y_pred, kept)
    both = tf.reduce_sum(truth * guess)
    return 1.0 - (2.0 * both + 1.0) / (tf.reduce_sum(truth) + tf.reduce_sum(guess) + 1.0)


def printed_dice(y_true: Any, y_pred: Any) -> Any:
    """The Dice as it was printed: a sum over axis 1 of a vector."""
    import tensorflow as tf

    kept = tf.where(tf.not_equal(y_true, float(VOID)))
    truth, guess = tf.gather_nd(y_true, kept), tf.gather_nd(y_pred, kept)
    both = tf.reduce_sum(truth * guess, axis=1)
    total = tf.reduce_sum(truth, axis=1) + tf.reduce_sum(guess, axis=1)
    return tf.reduce_mean(1.0 - 2.0 * both / total)


def gathered_entropy(y_true: Any, y_pred: Any) -> Any:
    """Cross-entropy of what is not 255: over one vector it normalises across the pixels."""
    import keras
    import tensorflow as tf

    kept = tf.where(tf.not_equal(y_true, float(VOID)))
    return keras.losses.categorical_crossentropy(
        tf.gather_nd(y_true, kept), tf.gather_nd(y_pred, kept)
    )


def mean_iou(y_true: Any, y_pred: Any) -> Any:
    """Home-made: void counts as background, classes that are absent count as 0."""
    import tensorflow as tf

    truth, guess = tf.argmax(y_true, -1), tf.argmax(y_pred, -1)
    scores = []
    for label in range(CLASSES):
        a, b = tf.equal(truth, label), tf.equal(guess, label)
        hit = tf.reduce_sum(tf.cast(a & b, tf.float32))
        scores.append(hit / (tf.reduce_sum(tf.cast(a | b, tf.float32)) + 1e-7))
    return tf.reduce_mean(tf.stack(scores))


def callbacks() -> list[Any]:
    import keras

    return [keras.callbacks.EarlyStopping(monitor="loss", patience=3)]


def drawn_voc(folder: Path) -> Path:
    """1449 drawn scenes in the layout of Pascal VOC; made once."""
    from segdoctor.measures.drawing import write_voc_folder

    voc = folder / "voc"
    if not (voc / "ImageSets").is_dir():
        write_voc_folder(voc, IMAGES, 0, size=(SIDE, SIDE), classes=CLASSES)
    return voc


def batches(voc: Path) -> Any:
    """Batches as the question feeds them: images in [-1, 1], one-hot labels with rows of 255."""
    import numpy as np
    from PIL import Image

    names = (voc / "ImageSets" / "Segmentation" / "train.txt").read_text().split()
    order = np.random.default_rng(0)
    while True:
        order.shuffle(names)
        for start in range(0, len(names) - BATCH + 1, BATCH):
            part = names[start : start + BATCH]
            images = [Image.open(voc / "JPEGImages" / f"{name}.jpg") for name in part]
            masks = [Image.open(voc / "SegmentationClass" / f"{name}.png") for name in part]
            x = np.stack([np.asarray(image, np.float32) for image in images]) / 127.5 - 1
            ids = np.stack([np.asarray(mask) for mask in masks])
            y = (ids[..., None] == np.arange(CLASSES)).astype(np.float32)
            y[ids == VOID] = VOID
            yield x, y


def main() -> None:
    import keras

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "reports/question-work")
    folder.mkdir(parents=True, exist_ok=True)
    model = question_model(folder)
    model.compile(keras.optimizers.Adadelta(RATE), soft_dice, metrics=[mean_iou])
    model.fit(
        batches(drawn_voc(folder)),
        steps_per_epoch=IMAGES // BATCH,
        epochs=EPOCHS,
        callbacks=callbacks(),
    )


if __name__ == "__main__":
    main()
