# tf_keras by its own name, a Sequence, ids shifted by one against the classes.
import tf_keras as keras
from drawn import draw


class Masks(keras.utils.Sequence):
    def __init__(self):
        self.x, y = draw()
        self.y = y + 1

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.x[4 * index : 4 * index + 4], self.y[4 * index : 4 * index + 4]


model = keras.Sequential(
    [
        keras.layers.Conv2D(8, 3, padding="same", activation="relu", input_shape=(16, 16, 3)),
        keras.layers.Conv2D(3, 1),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(Masks(), epochs=50, verbose=0)
