"""Matplotlib loaded without leaving anything in the user's home."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

_loading = Lock()


def load_matplotlib() -> None:
    """Import Matplotlib once; the list of fonts that it keeps goes to a temporary folder.

    Where the user has such a list it is copied there, so that it need not be made again. Settings
    of the user's own (``matplotlibrc``, ``MPLCONFIGDIR``) and a Matplotlib that is loaded already
    stay as they are. Outside Linux the two folders are one and it is left where it is.
    """
    with _loading:  # it may be loaded ahead, in another thread
        _load()


def _load() -> None:
    if sys.platform != "linux" or "matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ:
        return
    homes = {"XDG_CACHE_HOME": ".cache", "XDG_CONFIG_HOME": ".config"}
    held = {name: os.environ.get(name) for name in homes}
    theirs = {
        name: Path(held[name] or os.path.expanduser(f"~/{home}"), "matplotlib")
        for name, home in homes.items()
    }
    with TemporaryDirectory(prefix="segdoctor-") as folder:
        ours = Path(folder, "matplotlib")
        ours.mkdir()
        for fonts in theirs["XDG_CACHE_HOME"].glob("fontlist-*.json"):
            with suppress(OSError):
                shutil.copyfile(fonts, ours / fonts.name)
        os.environ["XDG_CACHE_HOME"] = folder
        if not theirs["XDG_CONFIG_HOME"].is_dir():
            os.environ["XDG_CONFIG_HOME"] = folder
        try:
            import matplotlib.font_manager  # noqa: F401 - the list is read, or made, here
        finally:
            for name, value in held.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
