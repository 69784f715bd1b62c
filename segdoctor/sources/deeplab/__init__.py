"""A DeepLabv3+ of our own: the network of the demo, the tests and the benchmarks.

Layer names, layer order and parameter counts are those of the published Keras port, so that
what people say about it ("I froze the first 356 layers") means the same here. Nothing in this
package imports TensorFlow or Keras before ``build_deeplab`` is called.
"""

from segdoctor.sources.deeplab.model import build_deeplab

__all__ = ["build_deeplab"]
