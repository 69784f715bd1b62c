"""`inspect` loads a few probes only: the others could not have answered either."""

from __future__ import annotations

from segdoctor.core.engine import examine
from segdoctor.core.measured import Declared
from segdoctor.core.trace import Missing, Trace
from segdoctor.probes.of_a_file import OF_A_FILE
from segdoctor.probes.registry import PROBES, SECOND_PASS

OF_FILES = ("code", "not_loadable", "graph", "weights", "batch_norms", "compiled")


def test_every_probe_is_listed_once() -> None:
    codes = [probe.code for probe in (*PROBES, *SECOND_PASS)]
    assert len(codes) == len(set(codes))


def test_what_inspect_leaves_out_needs_more_than_a_file() -> None:
    needed = {name for probe in PROBES for name, _ in probe.needs()}
    trace = Trace(dict.fromkeys(needed, Missing("not run"))).having(declared=Declared())
    known = trace.having(**dict.fromkeys(OF_FILES, ()))
    for probe in PROBES:
        if probe not in OF_A_FILE:
            assert examine(probe, known).reason == "not run", probe.code
