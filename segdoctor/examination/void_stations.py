"""The void trail, station by station: what becomes of pixels without a label, where it leaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from segdoctor.core.asked import VoidTrail
from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.trace import Trace
from segdoctor.probes.void_on_disk import VoidFolded
from segdoctor.probes.void_rings import extra_ring, folded_ring, ring_as_fed

_MOST_FORMS = 6
_BYTE, _AS_INT8 = 255, "-1 (255 as int8)"
_LEAST_SHARE = 0.3  # of void; thin rings lie over their neighbours where masks are made smaller
_MARKS = {"here": "◀ leaks here", "so": "◁ and so here", "": ""}


@dataclass(frozen=True, slots=True)
class Station:
    """One station. ``count`` is in words, as a share or in pixels; ``leak`` is ``"here"``, ``"so"``
    (a consequence of an earlier one) or ``""``; ``apart``: no part of the line, but a way out of
    it (metrics)."""

    name: str
    says: str
    count: str = ""
    leak: str = ""
    apart: bool = False


def stations(trace: Trace) -> tuple[Station, ...]:
    """From the masks on disk to the metrics; () where no void is known of."""
    trail, against = trace.get("void_trail"), trace.get("against_files")
    known = isinstance(trail, VoidTrail) and bool(trail.pixels or trail.on_disk)
    apart = isinstance(trail, VoidTrail) and trail.truth_known
    line: list[Station] = []
    if isinstance(against, AgainstFiles) and not apart:
        line += _from_files(trace, against)
    if isinstance(trail, VoidTrail) and known:
        line += [] if line else [*_masks(trail), *_fed(trace, trail)]
        line += [*_weights(trail), *_loss(trace)]
    elif line and isinstance(against, AgainstFiles):
        line += _loss_of_most(trace, against)
    else:
        line += _ring(trace)
    return (*_first_marked(line), *_metrics(trace)) if line else ()


def void_table(trace: Trace) -> dict[str, Any]:
    """The stations as a table."""
    return {
        "title": "The void trail: what becomes of pixels without a label",
        "columns": ["station", "what stands there", "pixels", ""],
        "rows": [[s.name, s.says, s.count, _MARKS[s.leak]] for s in stations(trace)],
        "note": "",
    }


def void_picture(trace: Trace) -> list[dict[str, Any]]:
    """The stations as the figure draws them: what labels say in one station."""
    drawn: list[Station] = []
    for station in stations(trace):
        if drawn and station.name == drawn[-1].name and not station.apart:
            last = drawn.pop()
            first = last if last.count == "" else replace(last, says=_counted(last), count="")
            says = f"{first.says}, {_counted(station)}"
            drawn.append(replace(first, says=says, leak=_worse(last.leak, station.leak)))
        else:
            drawn.append(station)
    return [asdict(station) for station in drawn]


def _counted(station: Station) -> str:
    return f"{station.says} ({station.count})"


def _worse(one: str, other: str) -> str:
    return "here" if "here" in (one, other) else one or other


def _masks(trail: VoidTrail) -> Iterator[Station]:
    if trail.on_disk is not None:
        yield Station("masks on disk", str(trail.label), f"{trail.on_disk:.2%} of pixels")
    if trail.truth_known:
        yield Station("masks of the batch", str(trail.label), f"{trail.pixels:,} px")


def _fed(trace: Trace, trail: VoidTrail) -> Iterator[Station]:
    """What the labels say at the void pixels; a real class leaks unless the loss leaves it out."""
    ignored, (name, _) = _ignored(trace), _labels_name(trace)
    for form, count in list(trail.as_fed.items())[:_MOST_FORMS]:
        number = form.removeprefix("class ")
        as_class = form != number and trail.truth_known and not trail.weightless
        leaks = as_class and int(number) not in ignored
        says = _in_words(form, trail) if trail.truth_known and not trail.weightless else form
        yield Station(name, says, f"{count:,} px", "here" if leaks else "")


def _in_words(form: str, trail: VoidTrail) -> str:
    """What was done to void that stands so in the labels."""
    if form == "-1" and trail.label == _BYTE:
        return _AS_INT8
    number = form.removeprefix("class ")
    if form == number:
        return form
    inside = trail.as_fed[form] - trail.padding_as_fed.get(form, 0)
    if not inside and sum(trail.padding_as_fed.values()) < trail.pixels:
        return f"{form}, in the padding alone"
    return f"{form}: {_how(int(number), trail.classes)}"


def _how(label: int, classes: int) -> str:
    if label >= classes:
        return "one more class"
    return {0: "folded into background", classes - 1: "clipped to the last class"}.get(
        label, "cast or wrapped"
    )


def _from_files(trace: Trace, against: AgainstFiles) -> Iterator[Station]:
    """What the void of the files is in the labels as fed."""
    fed = against.became.get(against.void, {}) if against.void is not None else {}
    total = sum(fed.values())
    if not total:
        return
    examples = len(against.files)
    yield Station("masks on disk", str(against.void), f"{examples} files of these examples")
    name, rows = _labels_name(trace)
    for label, count in list(fed.items())[:_MOST_FORMS]:
        if count < _LEAST_SHARE * total:
            continue
        void = label in (against.void, -1)
        says = str(label) if not void or not rows else "row of zeros or of 255"
        says = says if void else f"class {label}"
        says = _AS_INT8 if label == -1 and against.void == _BYTE and not rows else says
        if not void and against.classes is not None:
            says += f": {_how(label, against.classes)}"
        leaks = not void and label not in _ignored(trace)
        yield Station(name, says, f"{count / total:.0%} of void", "here" if leaks else "")


def _loss_of_most(trace: Trace, against: AgainstFiles) -> Iterator[Station]:
    """What the loss does with the class that most void has become."""
    fed = against.became.get(against.void, {}) if against.void is not None else {}
    most = max(fed, key=lambda label: fed[label], default=-1)
    run = trace.get("loss_as_run")
    if most not in (against.void, -1):
        yield from _loss_of_class(trace, most)
    elif isinstance(run, LossAsRun) and run.raises:
        yield Station("loss", f"fails: {run.raises}", "", "here")


def _ring(trace: Trace) -> Iterator[Station]:
    """A class of the labels as fed that looks like the void of masks that are not known."""
    labels, declared, head = trace.get("labels"), trace.get("declared"), trace.get("head")
    if not isinstance(labels, LabelFacts) or not isinstance(declared, Declared):
        return
    head = head if isinstance(head, HeadFacts) else None
    fold = VoidFolded()
    limits = (fold.core, fold.part, fold.direct)
    try:
        told = [*folded_ring(labels, declared, head, *limits)]
        told += extra_ring(labels, declared, head, *limits)
        label, count, several = ring_as_fed(labels, declared, *limits)
    except NotExaminedError:
        return
    if not told:
        return
    yield Station("masks on disk", "not known (files= would tell)")
    says = f"class {label} is a thin ring around everything"
    leak = "" if label in _ignored(trace) else "here"
    yield Station(_labels_name(trace)[0], says, f"{count} of {several} examples", leak)
    yield from _loss_of_class(trace, label)


def _loss_of_class(trace: Trace, label: int) -> Iterator[Station]:
    out = label in _ignored(trace)
    does = f"leaves class {label} out" if out else f"counts class {label} as any other"
    yield Station("loss", does, "", "" if out else "here")


def _ignored(trace: Trace) -> tuple[int, ...]:
    contract = trace.get("loss_contract")
    return contract.ignores if isinstance(contract, LossContract) else ()


def _labels_name(trace: Trace) -> tuple[str, bool]:
    """The station of the labels, and whether they are rows of channels."""
    labels, head = trace.get("labels"), trace.get("head")
    coded = isinstance(labels, LabelFacts) and labels.kind == "onehot"
    if isinstance(head, HeadFacts) and head.channels == 1:
        coded = False
    return f"labels as fed ({'one-hot' if coded else 'ids'})", coded


def _weights(trail: VoidTrail) -> Iterator[Station]:
    if trail.weightless:
        yield Station("sample weights", "0", f"{trail.weightless:,} px")


def _loss(trace: Trace) -> Iterator[Station]:
    run = trace.get("loss_as_run")
    if not isinstance(run, LossAsRun):
        return
    pixels = f"{run.void_pixels:,} px"
    if run.raises:
        yield Station("loss", f"fails: {run.raises}", pixels, "here")
        return
    moved = run.void_moves_value
    does = f"counts void: it moves by {moved:.3g}" if moved else "does not count void"
    yield Station("loss", does, pixels, "here" if moved else "")
    share = run.void_gradient_share
    back = f"{share:.1%} of the gradient" if run.void_gradient else "exactly zero at void"
    yield Station("gradient", back, pixels, "here" if run.void_gradient else "")


def _metrics(trace: Trace) -> Iterator[Station]:
    metrics = trace.get("metrics")
    for metric in metrics if isinstance(metrics, tuple) else ():
        how = metric.facts.get("void")
        if how is not None:
            said = {"left out": "does not count void", "counts": "counts void"}
            leak = "" if how == "left out" else "here"
            name = f"metric {metric.name}"
            yield Station(name, said.get(str(how), str(how)), "", leak, apart=True)


def _first_marked(line: Sequence[Station]) -> Iterator[Station]:
    """Behind the first leak the others are its consequence."""
    leaking = False
    for station in line:
        yield replace(station, leak="so") if station.leak and leaking else station
        leaking = leaking or bool(station.leak)
