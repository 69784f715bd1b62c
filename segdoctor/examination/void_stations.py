"""The void trail, station by station: what becomes of pixels without a label, where it leaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from segdoctor.core.asked import VoidTrail
from segdoctor.core.measured import HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.trace import Trace

_MOST_FORMS = 6
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
    trail = trace.get("void_trail")
    if not isinstance(trail, VoidTrail) or not (trail.pixels or trail.on_disk):
        return ()
    line = [*_masks(trail), *_fed(trace, trail), *_weights(trail), *_loss(trace)]
    return (*_first_marked(line), *_metrics(trace))


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
    return f"{station.says}: {station.count}"


def _worse(one: str, other: str) -> str:
    return "here" if "here" in (one, other) else one or other


def _masks(trail: VoidTrail) -> Iterator[Station]:
    if trail.on_disk is not None:
        yield Station("masks on disk", str(trail.label), f"{trail.on_disk:.2%} of pixels")
    if trail.truth_known:
        yield Station("masks of the batch", str(trail.label), f"{trail.pixels:,} px")


def _fed(trace: Trace, trail: VoidTrail) -> Iterator[Station]:
    """What the labels say at the void pixels; a real class leaks unless the loss leaves it out."""
    contract, labels, head = trace.get("loss_contract"), trace.get("labels"), trace.get("head")
    ignored = contract.ignores if isinstance(contract, LossContract) else ()
    coded = isinstance(labels, LabelFacts) and labels.kind == "onehot"
    if isinstance(head, HeadFacts) and head.channels == 1:
        coded = False
    name = f"labels as fed ({'one-hot' if coded else 'ids'})"
    for form, count in list(trail.as_fed.items())[:_MOST_FORMS]:
        number = form.removeprefix("class ")
        as_class = form != number and trail.truth_known and not trail.weightless
        leaks = as_class and int(number) not in ignored
        yield Station(name, form, f"{count:,} px", "here" if leaks else "")


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
    does = f"counts void (moves by {moved:.3g})" if moved else "does not count void"
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
