"""Where the parts of a data set are, as values."""

from __future__ import annotations

import os
from dataclasses import dataclass

from segdoctor.sources.voc import storage


@dataclass(frozen=True, slots=True)
class Part:
    """One folder of images and its folder of masks; ``split`` is "" where it is the whole set.

    ``image_end`` and ``mask_end`` are endings of the names that the pairing leaves out
    (``_leftImg8bit``), ``image_start`` and ``mask_start`` beginnings; files without them are of
    another kind. ``deep``: files lie one folder
    deeper, whose name belongs to theirs. ``image_kinds`` and ``mask_kinds`` are the suffixes that
    tell both apart where they have one folder and one name. ``inside``: what the names of this part
    begin with, behind the split, where other parts of the split may have the same names.
    """

    split: str
    images: str
    masks: str
    image_end: str = ""
    mask_end: str = ""
    deep: bool = False
    image_kinds: tuple[str, ...] = ()
    mask_kinds: tuple[str, ...] = ()
    inside: str = ""
    image_start: str = ""
    mask_start: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a data set are.

    ``kind`` is ``"voc"`` (JPEGImages, SegmentationClass, ImageSets), ``"folders"`` (images and
    masks side by side) or ``"pairs"`` (``pairs`` is the path of a list of them). ``lists`` is the
    folder of split lists, None where there is none. ``name`` is what a published set is called,
    and ``void`` the ignore label that it defines.
    """

    kind: str
    root: str
    parts: tuple[Part, ...]
    lists: str | None = None
    notes: tuple[str, ...] = ()
    name: str = ""
    void: int | None = None
    pairs: str | None = None

    @property
    def words(self) -> str:
        """The layout as a person would say it."""
        if self.name:
            return self.name
        if self.kind == "voc":
            masks = os.path.basename(self.parts[0].masks)
            return f"Pascal VOC (JPEGImages + {masks}{', split lists' if self.lists else ''})"
        if self.kind == "pairs":
            return f"pairs listed in {os.path.basename(self.pairs or '')}"
        first = self.parts[0]
        splits = ", ".join(part.split for part in self.parts if part.split)
        shown = [os.path.relpath(path, self.root) for path in (first.images, first.masks)]
        return f"folders {shown[0]} + {shown[1]}" + (f" ({splits})" if splits else "")


def subfolders(folder: str | os.PathLike[str]) -> dict[str, str]:
    """Lower-case name → path of each folder inside, in order of name; {} if it cannot be read."""
    home = os.fspath(folder)
    try:
        names = [name for name, is_folder in storage.entries(home) if is_folder]
    except (OSError, ValueError):
        return {}
    return {name.lower(): os.path.join(home, name) for name in names}
