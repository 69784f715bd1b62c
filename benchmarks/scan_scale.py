"""Time and memory of a whole scan at 1,000, 10,000 and 100,000 pairs (hard links).

python -m benchmarks.scan_scale FOLDER [pairs …]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.linked import linked_folder

SCAN = """
import sys, time
start, used = time.perf_counter(), time.process_time()
from segdoctor.sources.voc import scan_folder
facts = scan_folder(sys.argv[1])
took, used = time.perf_counter() - start, time.process_time() - used
assert len(facts.masks) == int(sys.argv[2]), len(facts.masks)
assert not {"tensorflow", "keras"} & set(sys.modules)
# Of this program alone: ru_maxrss of a child begins with what its parent held.
status = open("/proc/self/status").read()
print(took, used, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def main() -> None:
    source = Path(sys.argv[1])
    sizes = [int(text) for text in sys.argv[2:]] or [1_000, 10_000, 100_000]
    print(
        f"{'pairs':>9} {'s':>8} {'CPU s':>8} {'CPU ms/pair':>12} {'MB':>7}"
        "   limit at 100,000: 60 s, 500 MB"
    )
    for size in sizes:
        with tempfile.TemporaryDirectory() as room:
            folder = linked_folder(source, Path(room) / "voc", size)
            done = subprocess.run(
                [sys.executable, "-c", SCAN, str(folder), str(size)],
                capture_output=True,
                text=True,
                check=True,
            )
        took, used, peak = map(float, done.stdout.split())
        print(
            f"{size:9,} {took:8.2f} {used:8.2f} {1000 * used / size:12.3f} {peak:7.0f}", flush=True
        )


if __name__ == "__main__":
    main()
