# A GradientTape loop, eager, with two losses added up: nothing is wrong with it.
import keras
import tensorflow as tf
from drawn import draw

x, y = draw()
inputs = keras.Input((16, 16, 3))
h = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(h))
optimizer = keras.optimizers.Adam(1e-3)


def cross_entropy(y_true, y_pred):
    return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)


def dice_loss(y_true, y_pred):
    y_true = tf.one_hot(y_true, 3)
    y_pred = tf.nn.softmax(y_pred)
    both = tf.reduce_sum(y_true * y_pred, axis=(1, 2))
    return 1 - tf.reduce_mean((2 * both + 1) / (tf.reduce_sum(y_true + y_pred, axis=(1, 2)) + 1))


for _epoch in range(3):
    for start in range(0, len(x), 4):
        with tf.GradientTape() as tape:
            y_pred = model(x[start : start + 4], training=True)
            truth = y[start : start + 4]
            loss = tf.reduce_mean(cross_entropy(truth, y_pred)) + dice_loss(truth, y_pred)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
