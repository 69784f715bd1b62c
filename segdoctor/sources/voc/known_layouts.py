"""Published data sets that are laid out in their own way: found by their folders' names."""

from __future__ import annotations

import os

from segdoctor.sources.voc import storage
from segdoctor.sources.voc.parts import Layout, Part, subfolders

_VOID = 255
_SPLITS = ("train", "val", "test")
# Of Cityscapes: the ids to train with first, then the raw ones.
_CITYSCAPES_MASKS = ("_gtFine_labelTrainIds", "_gtFine_labelIds", "_gtCoarse_labelIds")
_COCO_YEARS = ("2017", "2014")


def known_layout(root: str) -> Layout | None:
    """The layout of a published set whose root is ``root``, None where it is none of them."""
    inside = subfolders(root)
    for find in (_cityscapes, _camvid, _coco_stuff, _oxford_pets, _sbd):
        found = find(root, inside)
        if found is not None:
            return found
    return None


def _cityscapes(root: str, inside: dict[str, str]) -> Layout | None:
    """``leftImg8bit/train/city/…_leftImg8bit.png`` and ``gtFine/train/city/…``."""
    images = _unpacked(inside, "leftimg8bit")
    masks = _unpacked(inside, "gtfine") or _unpacked(inside, "gtcoarse")
    if images is None or masks is None:
        return None
    of_images, of_masks = subfolders(images), subfolders(masks)
    splits = [name for name in _SPLITS if name in of_images and name in of_masks]
    if not splits:
        return None
    ending = _cityscapes_ending(of_masks[splits[0]])
    parts = tuple(
        Part(name, of_images[name], of_masks[name], "_leftImg8bit", ending, deep=True)
        for name in splits
    )
    trained = ending.endswith("TrainIds")
    kind = f"Cityscapes ({ending.rsplit('_', 1)[-1]}; {', '.join(splits)})"
    notes = () if trained else ("raw ids of Cityscapes (0 to 33), not the 19 that are trained on",)
    return Layout("folders", root, parts, notes=notes, name=kind, void=_VOID if trained else None)


def _unpacked(inside: dict[str, str], name: str) -> str | None:
    """A folder, or the one in the folder of the package that it came in
    (``gtFine_trainvaltest/gtFine``)."""
    packages = [path for other, path in inside.items() if other.startswith(f"{name}_")]
    return inside.get(name) or next(
        (found for path in packages if (found := subfolders(path).get(name))), None
    )


def _cityscapes_ending(folder: str) -> str:
    """Which of the masks' kinds is there."""
    for city in subfolders(folder).values():
        stems = [os.path.splitext(name)[0] for name, _ in storage.entries(city)]
        for ending in _CITYSCAPES_MASKS:
            if any(stem.endswith(ending) for stem in stems):
                return ending
    return _CITYSCAPES_MASKS[0]


def _camvid(root: str, inside: dict[str, str]) -> Layout | None:
    """The original download: ``701_StillsRaw_full`` and ``LabeledApproved_full`` (``…_L.png``)."""
    images = inside.get("701_stillsraw_full")
    masks = inside.get("labeledapproved_full")
    if images is None or masks is None:
        return None
    part = Part("", images, masks, mask_end="_L")
    return Layout("folders", root, (part,), name="CamVid (colour maps)")


def _coco_stuff(root: str, inside: dict[str, str]) -> Layout | None:
    """``images/train2017`` and pixel maps in ``annotations/train2017`` or ``…pixelmaps…``."""
    images = inside.get("images")
    homes = [
        path for name, path in inside.items() if "pixelmap" in name or "stuffthing" in name
    ] + [inside[name] for name in ("annotations", "labels", "masks") if name in inside]
    homes += [
        path
        for home in tuple(homes)
        for name, path in subfolders(home).items()
        if "pixelmap" in name or "stuffthing" in name
    ]
    of_images = subfolders(images) if images else inside
    for home in homes:
        below = subfolders(home)
        parts = tuple(
            Part(split, of_images[split + year], below[split + year])
            for year in _COCO_YEARS
            for split in _SPLITS
            if split + year in of_images and split + year in below
        )
        if parts:
            splits = ", ".join(part.split for part in parts)
            name = f"COCO-stuff pixel maps ({splits})"
            return Layout("folders", root, parts, name=name, void=_VOID)
    return None


def _oxford_pets(root: str, inside: dict[str, str]) -> Layout | None:
    """``images`` and ``annotations/trimaps`` (1 pet, 2 ground, 3 border)."""
    images, notes = inside.get("images"), inside.get("annotations")
    trimaps = subfolders(notes).get("trimaps") if notes else None
    if images is None or notes is None or trimaps is None:
        return None
    part = Part("", images, trimaps)
    return Layout(
        "folders",
        root,
        (part,),
        lists=notes,
        notes=("trimaps count from 1: 1 pet, 2 ground, 3 border that was not classified",),
        name="Oxford-IIIT pets (trimaps)",
    )


def _sbd(root: str, inside: dict[str, str]) -> Layout | None:
    """``dataset/img`` and ``dataset/cls``, whose masks are ``.mat`` files or PNGs made of them."""
    images, masks = inside.get("img"), inside.get("cls")
    if images is None or masks is None:
        return None
    return Layout(
        "folders",
        root,
        (Part("", images, masks),),
        lists=root,
        name="SBD (img + cls, split lists)",
        void=_VOID,
    )
