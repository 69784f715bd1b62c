"""What the examination ran with."""

from __future__ import annotations

import functools
import sys

from segdoctor import __version__

_PACKAGES = ("tensorflow", "tensorflow-cpu", "keras", "tf_keras", "numpy", "h5py", "pillow")


def own_versions() -> dict[str, str]:
    """segdoctor's and Python's."""
    return {"segdoctor": __version__, "python": ".".join(map(str, sys.version_info[:3]))}


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what the examination ran with; only what is installed."""
    import importlib.metadata

    found = own_versions()
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
