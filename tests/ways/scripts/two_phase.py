# Freeze, fit, unfreeze, fit again, and no compile in between.
import keras
from drawn import draw

x, y = draw()
inputs = keras.Input((16, 16, 3))
backbone = keras.Sequential([keras.layers.Conv2D(8, 3, padding="same", activation="relu")])
model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(backbone(inputs)))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

backbone.trainable = False
model.compile(keras.optimizers.Adam(1e-3), loss)
model.fit(x, y, epochs=6, batch_size=4, verbose=0)

backbone.trainable = True
model.fit(x, y, epochs=60, batch_size=4, verbose=0)
