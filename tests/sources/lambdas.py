"""Functions of a Lambda layer, and how every Python marshals them; Python 2.7 reads this file too.

``python2.7 tests/sources/lambdas.py >> tests/sources/lambdas.jsonl`` adds the line of a Python:
its version, and of each function the code, the defaults and the closure as Keras stores them.
"""

import base64
import json
import marshal
import sys

K = os = tf = None  # never called: only their bytecode is of use
H = 5


def _with_closure():
    before, h, w = (None, 33, 33, 8), 5, 6
    return {
        "aligned": lambda x: tf.compat.v1.image.resize(
            x, before[1:3], method="bilinear", align_corners=True
        ),
        "closure": lambda x: tf.image.resize(x, (h, w)),
        "corner": lambda x: tf.image.resize_bilinear(x, [h, w]),
    }


def _imports(x):
    import tensorflow as tf

    return tf.image.resize(x, (5, 6))


def _imports_from(x):
    from tensorflow.image import resize

    return resize(x, (5, 6), "bilinear")


def _imports_below(x):
    import tensorflow.compat.v1 as tf1

    return tf1.image.resize_bilinear(x, size=(4, 4), align_corners=True)


KNOWN = dict(
    _with_closure(),
    nearest=lambda x: tf.image.resize(x, [7, 8], method="nearest"),
    method=lambda x: tf.image.resize(x, (7, 9), method=tf.image.ResizeMethod.BILINEAR),
    default=lambda x, size=(3, 4): tf.image.resize(x, size),
    expand=lambda x: K.expand_dims(x, 1),
    expand_last=lambda x: tf.keras.backend.expand_dims(x, axis=-1),
    to_one=lambda x: x / 127.5 - 1,
    scale=lambda x: (x - 3) * 2,
    flip=lambda x: 1 - x,
    relu6=lambda x: tf.nn.relu6(x),
    relu2=lambda x: K.relu(x, max_value=2.0),
    softmax=lambda x: tf.nn.softmax(x, axis=-1),
    imports=_imports,
    imports_from=_imports_from,
    imports_below=_imports_below,
)


def _shown(x):
    print("a marker")
    return tf.image.resize(x, (7, 8))


LOOK_ALIKES = {
    "nested function": lambda x: (lambda z: tf.image.resize(z, (7, 8)))(x),
    "comprehension": lambda x: tf.image.resize(x, [side + 1 for side in (7, 8)]),
    "a call before it": _shown,
    "a call inside it": lambda x: tf.image.resize(x, os.system("true")),
    "another function around it": lambda x: os.system(tf.image.resize(x, (7, 8))),
    "another module": lambda x: os.image.resize(x, (7, 8)),
    "a size that the file does not state": lambda x: tf.image.resize(x, (H, H)),
    "a scale that the file does not state": lambda x: x / H,
    "softmax over rows": lambda x: tf.nn.softmax(x, axis=1),
    "a power": lambda x: x**2,
    "division by the input": lambda x: 1 / x,
    "the input twice": lambda x: x * x,
    "several arguments": lambda *x: x[0] / 2,
    "two tensors": lambda x, y: x - y,
    "antialiased": lambda x: tf.image.resize(x, (7, 8), antialias=True),
    "nothing": lambda x: x,
    "no function of the input": lambda x: tf.image.resize((7, 8), (7, 8)),
}


def stored(function):
    """``[code, defaults, closure]`` as this Python's Keras stores them."""
    code = base64.b64encode(marshal.dumps(function.__code__)).decode("ascii")
    closure = [cell.cell_contents for cell in function.__closure__ or ()] or None
    return json.loads(json.dumps([code, list(function.__defaults__ or ()) or None, closure]))


if __name__ == "__main__":
    found = {
        "python": "%d.%d" % sys.version_info[:2],  # noqa: UP031 - Python 2.7 reads this file
        "known": {name: stored(KNOWN[name]) for name in sorted(KNOWN)},
        "look_alikes": {name: stored(LOOK_ALIKES[name]) for name in sorted(LOOK_ALIKES)},
    }
    print(json.dumps(found, sort_keys=True))
