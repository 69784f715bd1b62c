# A GradientTape loop in a tf.function: logits go into a loss that expects probabilities.
import keras
import tensorflow as tf
from drawn import draw

dataset = tf.data.Dataset.from_tensor_slices(draw()).batch(4)
model = keras.Sequential(
    [
        keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
        keras.layers.Conv2D(3, 1),
    ]
)
optimizer = keras.optimizers.Adam(1e-3)
loss_fn = keras.losses.SparseCategoricalCrossentropy()


@tf.function
def train_step(images, masks):
    with tf.GradientTape() as tape:
        predictions = model(images, training=True)
        loss = loss_fn(masks, predictions)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


for _epoch in range(3):
    for images, masks in dataset:
        train_step(images, masks)
print("after the loop")
