"""Every promise of SECURITY.md that a machine can measure, as a table: figure, limit, verdict.

    python -m benchmarks.promises [--short] [--only STEP …] [--data ../shared/data]

``--short`` takes fewer points of each kind, and leaves out what takes minutes; ``--only`` takes the
steps of these names (the functions below). Exit status 1 if a promise does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import promise_faults as faults
from benchmarks import promise_files as files
from benchmarks import promise_runs as runs
from benchmarks import promise_shown as shown
from benchmarks.model_scanners import groups, of_segdoctor

Row = tuple[str, str, str, bool]  # promise, measured, limit, holds


def clean_models(folder: Path, data: Path) -> Iterator[Row]:
    """No alarm; what other scanners find is measured by ``benchmarks.model_scanners``."""
    here = folder / "groups"
    here.mkdir()
    clean = [*groups(here, data)["clean"].values()]
    alarms = sum(of_segdoctor(path) for path in clean)
    yield f"6 {len(clean)} clean files: alarms of code", str(alarms), "0", alarms == 0


def steps(folder: Path, data: Path | None, short: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Each yields its rows as soon as they are measured. What is timed against a large folder comes
    first: the others leave a cache of files to be written behind them."""
    found: dict[str, Callable[[], Iterator[Row]]] = {}
    if data is not None and not short:
        found["many_pairs"] = lambda: files.many_pairs(folder, data / "voc")
    found |= {
        "hostile_models": lambda: files.hostile_models(folder),
        "static_and_light": lambda: files.static_and_light(folder),
        "bombs": lambda: files.bombs(folder),
        "mutants": lambda: files.mutants(folder, 1 if short else 300, 10 if short else 3000),
        "names": lambda: shown.names(folder),
        "exits": lambda: shown.exits(folder),
        "sandbox": lambda: runs.sandbox(folder),
        "trusted": lambda: runs.trusted(folder),
        "ends": lambda: runs.ends(folder),
        "killed_while_writing": lambda: runs.killed_while_writing(folder, 2 if short else 50),
        "full_disk": lambda: runs.full_disk(folder),
    }
    if not short:
        found |= {
            "interrupted": lambda: runs.interrupted(folder, 24),
            "same_twice": lambda: shown.same_twice(folder),
            "nothing_elsewhere": lambda: shown.nothing_elsewhere(folder),
            "live_as_before": lambda: shown.live_as_before(folder),
            "no_memory": lambda: faults.no_memory(folder),
            "not_a_number": lambda: faults.not_a_number(folder),
            "hanging_data": lambda: faults.hanging_data(folder),
            "killed_workers": lambda: faults.killed_workers(folder),
            "replaced_lambdas": lambda: faults.replaced_lambdas(folder),
        }
    if data is not None:
        found["clean_models"] = lambda: clean_models(folder, data)
        found["public_models"] = lambda: files.public_models(data / "models")
        found["bad_images"] = lambda: files.bad_images(folder, data)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", nargs="+", default=[], metavar="STEP")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    data = options.data if options.data.is_dir() else None
    start, broken = time.perf_counter(), 0
    print("| promise | measured | limit | verdict |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        chosen = {
            step: run
            for step, run in steps(Path(name), data, options.short).items()
            if not options.only or step in options.only
        }
        for number, (step, run) in enumerate(chosen.items(), 1):
            spent = time.perf_counter() - start
            print(f"{spent:5.0f} s: {step}, {number} of {len(chosen)}", file=sys.stderr, flush=True)
            for promise, measured, limit, holds in run():
                broken += not holds
                verdict = "holds" if holds else "**FAILS**"
                print(f"| {promise} | {measured} | {limit} | {verdict} |", flush=True)
    if data is None:
        print(f"not measured: {options.data} is absent (public models, bad images)")
    print(f"\n{time.perf_counter() - start:.0f} s; {broken} not held", file=sys.stderr)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
