# A custom train_step with a loss of its own: the Dice score itself is minimised.
import keras
import tensorflow as tf
from drawn import draw


def dice(y_true, y_pred):
    y_true = tf.one_hot(tf.cast(y_true, tf.int32), 3)
    y_pred = tf.nn.softmax(y_pred)
    both = tf.reduce_sum(y_true * y_pred, axis=(1, 2))
    return tf.reduce_mean((2 * both + 1) / (tf.reduce_sum(y_true + y_pred, axis=(1, 2)) + 1))


class Net(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = dice(y, y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


inputs = keras.Input((16, 16, 3))
h = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
model = Net(inputs, keras.layers.Conv2D(3, 1)(h))
model.compile(optimizer=keras.optimizers.Adam(1e-3))
model.fit(*draw(), epochs=50, batch_size=4, verbose=0)
