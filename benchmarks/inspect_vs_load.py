"""``segdoctor inspect`` against ``keras.models.load_model`` on the 166 MB Xception DeepLabv3+.

Each in fresh processes: wall time and peak memory, the best of the repetitions, and the ratios.

    python -m benchmarks.inspect_vs_load [repetitions]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.cold import cold

SAVE = """
import sys
from segdoctor.sources.deeplab import build_deeplab
model = build_deeplab("xception")
for suffix in (".h5", ".keras"):
    model.save(sys.argv[1] + suffix)
"""
LOAD = "import sys, keras; keras.models.load_model(sys.argv[1], compile=False)"
FACTS = """
import sys
from segdoctor.sources.model_file import read_model_file
facts = read_model_file(sys.argv[1])
assert facts.parameters == 41_258_213, facts.parameters
assert not {"tensorflow", "keras"} & set(sys.modules)
"""


def measured(command: list[str], repetitions: int) -> tuple[float, float]:
    """``(seconds, MB)``: the quickest run and the smallest peak."""
    runs = [_once(command) for _ in range(repetitions)]
    return min(run[0] for run in runs), min(run[1] for run in runs)


def _once(command: list[str]) -> tuple[float, float]:
    done = cold(command)
    if done.status:
        raise SystemExit(f"{command[:4]} ended with status {done.status}")
    return done.seconds, done.megabytes


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory(prefix="segdoctor-") as folder:
        stem = str(Path(folder) / "xception")
        subprocess.run([*python, SAVE, stem], check=True, stderr=subprocess.DEVNULL)
        for suffix in (".h5", ".keras"):
            path = stem + suffix
            size = Path(path).stat().st_size / 1e6
            print(f"{suffix} of {size:.0f} MB, 41,258,213 parameters")
            load = measured([*python, LOAD, path], 1)
            rows = {
                "load_model": load,
                "read_model_file": measured([*python, FACTS, path], repetitions),
                "segdoctor inspect": measured(
                    [str(Path(sys.executable).with_name("segdoctor")), "inspect", path],
                    repetitions,
                ),
            }
            for name, (seconds, peak) in rows.items():
                ratios = (
                    f"1/{load[0] / seconds:.1f} of the time, 1/{load[1] / peak:.1f} of the memory"
                )
                print(f"  {name:18} {seconds:6.2f} s  {peak:6.0f} MB   {ratios}")


if __name__ == "__main__":
    main()
