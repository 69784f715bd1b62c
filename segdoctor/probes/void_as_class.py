"""Void of the masks that the labels as fed hold as a class: folded, as one more, in padding.

The halves of IGN004, IGN005 and IGN006 that look at what is fed; their probes look at the masks on
disk as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from segdoctor.core.asked import VoidTrail
from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError
from segdoctor.probes.loss_settings import need_own_labels

NO_FOLDER = "no data set folder was read (--data DIR would tell)"
Told = tuple[str, tuple[Evidence, ...], Fix]

_MOST_SHARE = 0.5
_FEWEST_VOID = 20  # pixels, on the coarse grid
_MOST_FOLDED = 0.5  # a ring that was resized twice lies over its neighbours in part
_KEPT = 0.1
_KEEP = (
    "y = np.array(mask)                            # keep 255 up to the loss\n"
    "loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255, …)"
)


def either(*parts: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of the first part that has any.

    Raises
    ------
    NotExaminedError
        No part could look.
    """
    reasons = []
    for part in parts:
        try:
            found = list(part())
        except NotExaminedError as why:
            reasons.append(str(why))
            continue
        if found:
            yield from found
            return
    if len(reasons) == len(parts):
        raise NotExaminedError("; ".join(dict.fromkeys(reasons)))


def folded(
    declared: Declared | None,
    trail: VoidTrail | None,
    contract: LossContract | None,
    as_run: LossAsRun | None,
) -> Iterator[Told]:
    """Most void pixels carry a class of the class list, and count."""
    trail = _truth(declared, trail)
    classes = {k: n for k, n in _classes(trail.as_fed).items() if k < trail.classes}
    count = sum(classes.values())
    # Padding alone is IGN006: what is void inside the picture must be folded as well.
    inside = trail.pixels - sum(trail.padding_as_fed.values())
    inner = count - sum(_classes(trail.padding_as_fed).values())
    if not inside or inner < _MOST_SHARE * inside:
        return
    most = max(classes, key=lambda label: classes[label])
    if not _learnt(trail, contract, most):
        return
    how = {
        0: "mask[mask == 255] = 0, or a fill value of 0",
        trail.classes - 1: f"np.clip(mask, 0, {trail.classes - 1})",
    }.get(most, "a cast or a modulo")
    evidence = [
        Evidence(f"void pixels fed as class {most}", classes[most], 0, "px"),
        Evidence("void pixels of the batch", trail.pixels, unit="px"),
    ]
    if as_run is not None and as_run.value is not None and as_run.void_pixels:
        share = as_run.void_gradient_share
        evidence.append(Evidence("share of the gradient that void has", share, 0.0, "share"))
    yield (
        f"{count} pixels that are void ({trail.label}) in the masks are fed as class {most}: void "
        f"was folded into a real class ({how} does that).",
        tuple(evidence),
        Fix("Keep the void id, and leave it out in the loss.", _KEEP, {"loss.stand_in": True}),
    )


def extra(
    declared: Declared | None,
    trail: VoidTrail | None,
    contract: LossContract | None,
    head: HeadFacts | None,
) -> Iterator[Told]:
    """Void carries the id behind the class list, the head has a channel for it, and it counts."""
    trail = _truth(declared, trail)
    if head is None:
        raise NotExaminedError("the output is not known")
    beyond = {
        label: count
        for label, count in _classes(trail.as_fed).items()
        if trail.classes <= label < head.channels
    }
    if not beyond:
        return
    label = max(beyond, key=lambda value: beyond[value])
    if not _learnt(trail, contract, label):
        return
    yield (
        f"Void ({trail.label}) is fed as class {label}, one more than the {trail.classes} classes, "
        "and the head has a channel for it: it is learnt.",
        (
            Evidence(f"void pixels fed as class {label}", beyond[label], 0, "px"),
            Evidence("output channels", head.channels, trail.classes),
        ),
        Fix(
            f"Leave class {label} out in the loss, or keep 255 and drop the channel.",
            f"loss = keras.losses.SparseCategoricalCrossentropy(ignore_class={label}, …)",
            {"loss.ignore_class": label},
        ),
    )


def padded(
    declared: Declared | None, trail: VoidTrail | None, contract: LossContract | None
) -> Iterator[Told]:
    """A border of one colour is void in the masks and a class as fed, while void elsewhere stays
    void (where it is folded everywhere, that is IGN004)."""
    trail = _truth(declared, trail)
    border = sum(trail.padding_as_fed.values())
    inside = _classes(trail.padding_as_fed)
    count, everywhere = sum(inside.values()), sum(_classes(trail.as_fed).values())
    if not border or count < _MOST_SHARE * border or everywhere > 2 * count:
        return
    if trail.pixels > border and everywhere == trail.pixels:
        return
    label = max(inside, key=lambda value: inside[value])
    if not _learnt(trail, contract, label):
        return
    yield (
        f"{count} padded pixels (a border of one colour) are fed as class {label}; in the masks "
        f"they are void ({trail.label}).",
        (
            Evidence(f"padded pixels fed as class {label}", inside[label], 0, "px"),
            Evidence("padded pixels", border, unit="px"),
        ),
        Fix(
            "Pad the masks with the ignore label.",
            f"mask = np.pad(mask, widths, constant_values={trail.label})",
            {"loss.stand_in": True},
        ),
    )


def of_files(against: AgainstFiles | None) -> tuple[int, Mapping[int, int]]:
    """``(void of the files, what is fed in its place → pixels)``.

    Raises
    ------
    NotExaminedError
        The files are not known, or hold no void.
    """
    if against is None or against.void is None:
        raise NotExaminedError("the files that the batches are made of are not known (files=)")
    fed = against.became.get(against.void, {})
    if sum(fed.values()) < _FEWEST_VOID:
        raise NotExaminedError("the files of these examples hold hardly any void")
    return against.void, fed


def folded_from_files(against: AgainstFiles | None) -> Iterator[Told]:
    """Void of the files is one and the same class in the batches."""
    void, fed = of_files(against)
    label, count = max(fed.items(), key=lambda item: item[1])
    total = sum(fed.values())
    kept = fed.get(void, 0) > _KEPT * total
    if kept or label < 0 or count < _MOST_FOLDED * total:
        return
    assert against is not None
    if not _is_class(against, label):
        return  # one more class: IGN005
    yield (
        f"Void ({void}) of the files is class {label} in the labels as fed: it was folded into a "
        "class on the way.",
        (
            Evidence(
                "void of the files that is that class", count / sum(fed.values()), 0.0, "share"
            ),
        ),
        Fix("Keep the void id, and leave it out in the loss.", _KEEP, {"loss.stand_in": True}),
    )


def extra_from_files(against: AgainstFiles | None, head: HeadFacts | None) -> Iterator[Told]:
    """Void of the files is an id that no class of theirs is, and the head has a channel for it."""
    void, fed = of_files(against)
    label, count = max(fed.items(), key=lambda item: item[1])
    share = count / sum(fed.values())
    assert against is not None
    if head is None or not 0 < label < head.channels or label == void or share < _MOST_FOLDED:
        return
    if _is_class(against, label):
        return  # IGN004
    yield (
        f"Void ({void}) of the files is class {label} in the labels as fed, which is none of "
        "theirs, and the head has a channel for it: it is learnt.",
        (Evidence("void of the files that is that class", share, 0.0, "share"),),
        Fix(
            f"Leave class {label} out in the loss, or keep {void} and drop the channel.",
            f"loss = keras.losses.SparseCategoricalCrossentropy(ignore_class={label}, …)",
            {"loss.ignore_class": label},
        ),
    )


def _is_class(against: AgainstFiles, label: int) -> bool:
    """Whether an id as fed is a class of the files: background, one of their class list, or what
    another id of theirs has mostly become."""
    others = {
        max(fed, key=lambda new: fed[new])
        for old, fed in against.became.items()
        if old != against.void and fed
    }
    listed = against.classes is not None and 0 <= label < against.classes
    return label == 0 or listed or label in others


def lost_from_files(against: AgainstFiles | None) -> Iterator[Told]:
    """The files have void and the batches have none."""
    void, fed = of_files(against)
    kept = (fed.get(void, 0) + fed.get(-1, 0)) / sum(fed.values())  # -1 is no class either
    if kept > _KEPT:
        return
    now = ", ".join(str(label) for label in list(fed)[:3])
    yield (
        f"The masks on disk have void ({void}) and the labels as fed have {now} in its place.",
        (Evidence("void of the files that is void as fed", kept, 1.0, "share"),),
        Fix("Keep void through every step of the pipeline.", "assert 255 in np.unique(y)"),
    )


def _truth(declared: Declared | None, trail: VoidTrail | None) -> VoidTrail:
    if declared is None or trail is None:
        raise NotExaminedError("the labels as fed were not followed to the masks they are made of")
    need_own_labels(declared)
    if not trail.truth_known:
        raise NotExaminedError("only the labels as fed are known, not the masks they are made of")
    if not trail.pixels:
        raise NotExaminedError("the masks of the batch hold no void pixel")
    return trail


def _classes(forms: Mapping[str, int]) -> dict[int, int]:
    """Class → void pixels that carry it."""
    return {int(form.split()[1]): n for form, n in forms.items() if form.startswith("class ")}


def _learnt(trail: VoidTrail, contract: LossContract | None, label: int) -> bool:
    """Whether pixels of this class count: neither weighted to zero nor left out by the loss."""
    ignored = contract is not None and label in contract.ignores
    return trail.weightless < trail.pixels and not ignored
