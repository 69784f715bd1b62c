"""Runs probes over a trace. Every probe answers: silence is not an answer."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.finding import Finding
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.core.trace import Missing, Trace

OutcomeStatus = Literal["fired", "clear", "not examined", "ignored", "crashed"]


_CONTEXT = frozenset({"declared", "compiled"})
"""Fields that say what a measurement means and are none themselves."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A probe's answer. ``reason`` says why for *not examined* and *crashed*."""

    code: str
    status: OutcomeStatus
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0


def examine(
    probe: Probe,
    trace: Trace,
) -> Outcome:
    """The answer of one probe.

    An exception of the probe itself is a defect of segdoctor: it is reported as *crashed* and
    makes the examination incomplete, and the other probes go on.
    """
    start = time.perf_counter()
    arguments: dict[str, object] = {}
    missing: list[Missing] = []
    for name, required in probe.needs():
        value = trace.get(name)
        if not isinstance(value, Missing):
            arguments[name] = value
        elif required:
            return Outcome(probe.code, "not examined", str(value))
        else:
            missing.append(value)
    if missing and not set(arguments) - _CONTEXT:
        return Outcome(probe.code, "not examined", str(missing[0]))
    try:
        findings = tuple(probe.examine(**arguments))  # type: ignore[attr-defined]
    except NotExaminedError as why:
        return Outcome(probe.code, "not examined", str(why), (), time.perf_counter() - start)
    except Exception as error:  # noqa: BLE001 - the boundary: a crashed probe must not stop the rest
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.name}:{last.lineno}"
        return Outcome(
            probe.code,
            "crashed",
            f"{type(error).__name__}: {error} in {where}",
            (),
            time.perf_counter() - start,
        )
    seconds = time.perf_counter() - start
    return Outcome(probe.code, "fired" if findings else "clear", "", findings, seconds)


def examine_all(
    probes: Iterable[Probe],
    trace: Trace,
    selected: Callable[[str], bool] = lambda code: True,
    otherwise: str = "this version has no probe for it yet",
) -> tuple[Outcome, ...]:
    """The answer of every code in the catalogue, in the catalogue's order.

    ``otherwise`` says why a code that none of ``probes`` has is not examined.
    """
    by_code = {probe.code: probe for probe in probes}
    answers = []
    for code in CATALOGUE:
        if not selected(code):
            answers.append(Outcome(code, "ignored", "left out by select/ignore"))
        elif code in by_code:
            answers.append(examine(by_code[code], trace))
        else:
            answers.append(Outcome(code, "not examined", otherwise))
    return tuple(answers)
