# Half precision in a loop of one's own, without loss scaling.
import keras
import tensorflow as tf
from drawn import draw

keras.mixed_precision.set_global_policy("mixed_float16")
x, y = draw()
inputs = keras.Input((16, 16, 3))
h = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
h = keras.layers.Conv2D(3, 1)(h)
model = keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(h))
keras.mixed_precision.set_global_policy("float32")
optimizer = keras.optimizers.Adam(1e-3)
loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
for _step in range(50):
    with tf.GradientTape() as tape:
        loss = loss_fn(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_weights)
    optimizer.apply(gradients, model.trainable_weights)
