"""A large VOC folder out of a small one: hard links, so it costs names and no bytes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def linked_folder(source: Path, root: Path, pairs: int) -> Path:
    """``pairs`` examples, the source's again and again; half of them train, half val."""
    stems = sorted(path.stem for path in (source / "SegmentationClass").glob("*.png"))
    originals = root / "originals"
    originals.mkdir(parents=True)
    parts = (("JPEGImages", "jpg"), ("SegmentationClass", "png"))
    for part, end in parts:
        (root / part).mkdir()
        for stem in stems:  # the source may lie on another disk, which cannot be linked to
            shutil.copy(source / part / f"{stem}.{end}", originals / f"{stem}.{end}")
    names = [f"{i:07d}" for i in range(pairs)]
    for i, name in enumerate(names):
        for part, end in parts:
            os.link(originals / f"{stems[i % len(stems)]}.{end}", root / part / f"{name}.{end}")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(names[: pairs // 2]) + "\n")
    (lists / "val.txt").write_text("\n".join(names[pairs // 2 :]) + "\n")
    return root
