"""segdoctor says why a Keras segmentation model does not learn.

Calls, all of them lazy: importing this package loads neither NumPy nor TensorFlow.

* :func:`segdoctor.check`: examine a training run (a model or a file, with data) and try the fix.
* :func:`segdoctor.run`: run a training script up to its training, and examine that.
* :func:`segdoctor.inspect`: read a model file as data; TensorFlow is never imported.
* :func:`segdoctor.scan`: read a data set folder; TensorFlow is never imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Monitor", "Trial", "__version__", "check", "inspect", "run", "scan"]

if TYPE_CHECKING:
    from segdoctor.api import check, inspect, run, scan
    from segdoctor.core.run import Trial
    from segdoctor.monitor import Monitor


def __getattr__(name: str) -> object:
    if name in {"check", "inspect", "run", "scan"}:
        from segdoctor import api

        return getattr(api, name)
    if name == "Monitor":
        from segdoctor.monitor import Monitor

        return Monitor
    if name == "Trial":
        from segdoctor.core.run import Trial

        return Trial
    raise AttributeError(f"module 'segdoctor' has no attribute {name!r}")
