"""Every promise of SECURITY.md that a machine can measure, as a table: figure, limit, verdict.

    python -m benchmarks.promises [--short] [--data ../shared/data]

``--short`` takes fewer points of each kind, and leaves out what takes minutes. Exit status 1 if a
promise does not hold.
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

Row = tuple[str, str, str, bool]  # promise, measured, limit, holds


def rows(folder: Path, data: Path | None, short: bool) -> Iterator[Row]:
    """Each row as soon as it is measured."""
    steps: list[Callable[[], Iterator[Row]]] = [
        lambda: files.hostile_models(folder),
        lambda: files.bombs(folder),
        lambda: files.mutants(folder, 1 if short else 300, 10 if short else 3000),
        lambda: shown.names(folder),
        lambda: shown.exits(folder),
        lambda: runs.sandbox(folder),
        lambda: runs.ends(folder),
        lambda: runs.killed_while_writing(folder, 2 if short else 50),
        lambda: runs.full_disk(folder),
    ]
    if not short:
        steps += [
            lambda: runs.interrupted(folder, 20),
            lambda: shown.same_twice(folder),
            lambda: shown.nothing_elsewhere(folder),
            lambda: faults.no_memory(folder),
            lambda: faults.not_a_number(folder),
            lambda: faults.hanging_data(folder),
            lambda: faults.killed_workers(folder),
            lambda: faults.replaced_lambdas(folder),
        ]
    if data is not None:
        steps.append(lambda: files.public_models(data / "models"))
        steps.append(lambda: files.bad_images(folder, data))
        if not short:
            steps.append(lambda: files.many_pairs(folder, data / "voc"))
    for step in steps:
        yield from step()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    data = options.data if options.data.is_dir() else None
    start, broken = time.perf_counter(), 0
    print("| promise | measured | limit | verdict |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for promise, measured, limit, holds in rows(Path(name), data, options.short):
            broken += not holds
            print(f"| {promise} | {measured} | {limit} | {'holds' if holds else '**FAILS**'} |")
            sys.stdout.flush()
    if data is None:
        print(f"not measured: {options.data} is absent (public models, bad images)")
    print(f"\n{time.perf_counter() - start:.0f} s; {broken} not held", file=sys.stderr)
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
