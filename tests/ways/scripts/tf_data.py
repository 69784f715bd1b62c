# tf.data, void told to the loss, logits: nothing is wrong with it.
import keras
import tensorflow as tf
from drawn import draw

dataset = tf.data.Dataset.from_tensor_slices(draw(void=True)).shuffle(8).batch(4)
model = keras.Sequential(
    [
        keras.Input((16, 16, 3)),
        keras.layers.Conv2D(8, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.ReLU(),
        keras.layers.Conv2D(3, 1),
    ]
)
model.compile(
    keras.optimizers.Adam(1e-3),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
)
model.fit(dataset, epochs=60, validation_data=dataset, verbose=0)
print("after fit")
