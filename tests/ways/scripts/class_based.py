# A class that trains a subclassed model, unbuilt until fit; 255 in the masks, the loss not told.
import keras
from drawn import draw


class Net(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.stem = keras.layers.Conv2D(8, 3, padding="same", activation="relu")
        self.head = keras.layers.Conv2D(classes, 1)

    def call(self, x, training=False):
        return self.head(self.stem(x))


class Trainer:
    def __init__(self, classes=3, epochs=50):
        self.model, self.epochs = Net(classes), epochs

    def compile(self):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(1e-3), loss)
        return self

    def train(self, x, y):
        return self.model.fit(x, y, batch_size=4, epochs=self.epochs, verbose=0)


Trainer().compile().train(*draw(void=True))
