"""A look at one pair: headers and ids of every one, pixels and outlines of those in the sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from segdoctor.core.clean import clean
from segdoctor.core.data_facts import FileProblem, ImageFacts, MaskFacts, Pair
from segdoctor.measures.fed_masks import shape_facts
from segdoctor.sources.voc.close_look import Picture, picture_facts, small_pair
from segdoctor.sources.voc.image_file import UnreadableError, opened_image, orientation_of
from segdoctor.sources.voc.mask_file import look_at_mask, read_mask
from segdoctor.sources.voc.quick_file import quick_open, read_part
from segdoctor.sources.voc.quick_jpeg import HEAD, quick_jpeg
from segdoctor.sources.voc.summary import Summary, joined

TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height


@dataclass(frozen=True, slots=True)
class Job:
    """One pair, its place in the data set, whether its image is decoded, and whether image and
    mask are then compared with those of others."""

    index: int
    pair: Pair
    closely: bool
    compared: bool = False


def look_at(
    jobs: Sequence[Job], limit: int, stopped: Callable[[], bool] = lambda: False
) -> Summary:
    """The sum over some pairs; ends early once ``stopped()``."""
    seen = []
    for job in jobs:
        if stopped():
            break
        seen.append(look(job, limit))
    return joined(seen)


def look(job: Job, limit: int) -> Summary:
    """What one pair shows. Whatever is wrong with its files is in the summary."""
    index, pair = job.index, job.pair
    problems: list[FileProblem] = []
    image: ImageFacts | None = None
    picture: Picture | None = None
    mask: MaskFacts | None = None
    ids = None
    if pair.image is not None:
        try:
            image, picture = _image(pair.image, job.closely, limit)
        except UnreadableError as error:
            problems.append(FileProblem("DATA002", pair.image, f"image: {error}"))
    if pair.mask is not None:
        try:
            if job.closely:
                mask, ids = look_at_mask(pair.mask, limit=limit)
            else:
                mask = read_mask(pair.mask, limit=limit)
        except UnreadableError as error:
            problems.append(FileProblem("DATA002", pair.mask, f"mask: {error}"))
    if image is not None and mask is not None and image.size != mask.size:
        problems.append(FileProblem("DATA003", mask.path, _sizes(image, mask)))
    seen = Summary(
        pairs=1,
        decoded=int(picture is not None),
        not_decoded=int(image is not None and picture is None),
        masks=((index, mask),) if mask else (),
        images=((index, image),) if image else (),
        problems=tuple((index, problem) for problem in problems),
    )
    if picture is None or image is None:
        return seen
    if ids is None or image.size != (mask.size if mask else None):
        return replace(seen, pixels=((index, picture_facts(pair, picture, None)),))
    small = small_pair(pair, picture, ids)
    return replace(
        seen,
        pixels=((index, picture_facts(pair, picture, small.ids)),),
        shapes=((index, shape_facts(str(pair.mask), ids)),),
        small=((index, small),) if job.compared else (),
    )


def _image(path: str, closely: bool, limit: int) -> tuple[ImageFacts, Picture | None]:
    if not closely:
        quick = _quick(path, limit)
        if quick is not None:
            return quick, None
    with opened_image(path, limit=limit) as image:
        length, *place = image.info["segdoctor_file"]
        turned = orientation_of(image)
        facts = ImageFacts(path, image.mode, image.size, length, (place[0], place[1]), turned)
        return facts, Picture.of(image) if closely else None


def _quick(path: str, limit: int) -> ImageFacts | None:
    """Of an ordinary JPEG; None for anything else."""
    with quick_open(path) as opened:
        if opened is None:
            return None
        descriptor, status = opened
        try:
            head = read_part(descriptor, HEAD)
            end = read_part(descriptor, 2, max(status.st_size - 2, 0))
        except OSError:  # the long way has the words for it
            return None
    found = quick_jpeg(head, end, status.st_size, limit)
    if found is None:
        return None
    return ImageFacts(path, *found, status.st_size, (status.st_dev, status.st_ino))


def _sizes(image: ImageFacts, mask: MaskFacts) -> str:
    (width, height), (mask_width, mask_height) = image.size, mask.size
    reason = f"image {width} × {height}, mask {mask_width} × {mask_height}"
    if image.orientation in TURNED and (height, width) == mask.size:
        reason += f"; the image's EXIF orientation {image.orientation} turns it, the mask is turned"
    return clean(reason)
