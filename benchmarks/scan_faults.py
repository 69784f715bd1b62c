"""All kinds of injected faults with several seeds: what is found, what is named, what is too much.

python -m benchmarks.scan_faults FOLDER [seeds]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from segdoctor.api import scan
from tests.sources.injected import KINDS, copy_of

EACH = 30


def main() -> None:
    source, seeds = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    start = time.perf_counter()
    totals = np.zeros(3, int)
    for name in sorted(KINDS):
        found = named = extra = 0
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as room:
                folder = copy_of(source, Path(room) / "voc", EACH)
                code, files = KINDS[name](folder, np.random.default_rng(seed))
                report = scan(folder.root, num_classes=21)
            mine = [finding for finding in report.findings if finding.code == code]
            text = " ".join(
                f"{finding.message} {evidence.value} {evidence.where}"
                for finding in mine
                for evidence in finding.evidence
            )
            found += bool(mine)
            named += any(file in text for file in files)
            extra += sum(
                finding.code != code and finding.severity == "error" and not finding.because_of
                for finding in report.findings
            )
        totals += (found, named, extra)
        print(f"{name:40s} {code}  found {found}/{seeds}  named {named}/{seeds}  other {extra}")
    runs = seeds * len(KINDS)
    print(
        f"{len(KINDS)} kinds × {seeds} seeds: found {totals[0]}/{runs}, named {totals[1]}/{runs}, "
        f"other errors {totals[2]}; {time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
