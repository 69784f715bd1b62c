# argparse and a main: the freeze is meant for a backbone, and freezes the head too.
import argparse
import sys

import keras
from drawn import draw


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--freeze", type=int, default=356)
    arguments = parser.parse_args(argv)
    print("arguments", sys.argv[1:], input("name of the run? "))
    inputs = keras.Input((16, 16, 3))
    h = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(h))
    for layer in model.layers[: arguments.freeze]:
        layer.trainable = False
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*draw(), epochs=arguments.epochs, verbose=0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
