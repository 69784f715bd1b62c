"""What the examination ran with."""

from __future__ import annotations

import functools
import importlib.metadata
import platform

from segdoctor import __version__

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "tf_keras", "numpy", "h5py", "pillow")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what the examination ran with; only what is installed."""
    found = {"segdoctor": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
