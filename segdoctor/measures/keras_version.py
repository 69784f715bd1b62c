"""Which Keras a run is judged under, told from a version string."""

from __future__ import annotations

import re

FLAVOURS = ("keras3", "tf_keras", "keras2.1.3-2.3.1", "keras<=2.1.2")


def version_numbers(version: str | None) -> tuple[int, int, int] | None:
    """``"2.2.4-tf"`` → ``(2, 2, 4)``; None where there is no number to read."""
    found = re.match(r"\s*v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?", version or "")
    if found is None:
        return None
    major, minor, patch = (int(part or 0) for part in found.groups())
    return major, minor, patch


def flavour_of(version: str | None) -> str:
    """The flavour of a ``keras_version`` as files and packages state it.

    The four differ in what a frozen batch normalisation does (MEASURED.md): up to 2.1.2 it uses
    batch statistics and updates the moving ones, 2.1.3 to 2.3.1 it uses batch statistics, from
    tf.keras 2.x on it uses the moving ones. Standalone Keras ended at 2.3.1: ``"2.x.y-tf"`` and
    2.4 onwards are tf.keras. Without a version the answer is ``"keras3"``, the one that runs.
    """
    numbers = version_numbers(version)
    if numbers is None or numbers[0] >= 3:
        return "keras3"
    if "-tf" in (version or "") or numbers >= (2, 4, 0):
        return "tf_keras"
    return "keras<=2.1.2" if numbers <= (2, 1, 2) else "keras2.1.3-2.3.1"
