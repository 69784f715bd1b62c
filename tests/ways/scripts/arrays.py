# One file, arrays: softmax, then a resize, into a loss with from_logits=True.
import keras
from drawn import draw

inputs = keras.Input((16, 16, 3))
h = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
h = keras.layers.Conv2D(3, 1, activation="softmax")(h)
model = keras.Model(inputs, keras.layers.UpSampling2D(2, interpolation="bilinear")(h))
model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
x, y = draw()
print("before fit")
model.fit(x, y, epochs=40, batch_size=4, validation_split=0.25, verbose=0)
print("after fit")
