"""Healthy and sick DeepLabv3+ files through ``segdoctor.check``: what is named first, what the
trial says, how long it takes.

    python -m benchmarks.ward [--data VOC_FOLDER] [--only NAME ...]

Without ``--data`` the scenes are drawn. MobileNetV2 backbone, 21 classes, 96 px, four examples.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CASES: dict[str, tuple[str | None, dict[str, str]]] = {
    "healthy": (None, {}),
    "frozen": (None, {}),
    "rescued": (None, {}),
    "reset": ("BN004", {}),
    "stale": ("BN005", {}),
    "resized": ("OUT001", {}),
    "rescue_lost": ("OUT001", {}),
    "probabilities": ("OUT002", {}),
    "twice": ("OUT003", {}),
    "one_channel": ("OUT004", {"label_map": "0=0,*=1"}),
    "no_ignore": ("IGN003", {}),
    "categorical": ("IGN002", {"labels": "onehot-255"}),
    "all_frozen": ("GRAD007", {}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--budget", type=float, default=60.0)
    arguments = parser.parse_args()

    import segdoctor
    from segdoctor.measures.drawing import write_voc_folder
    from tests.faults.deeplab import Ward

    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or write_voc_folder(Path(folder) / "voc", 48, 12, seed=0)
        ward = Ward(Path(folder), data, alpha=1.0)
        print(f"{'case':14} {'expected':9} {'first':9} {'diagnosis':22} {'verdict':32} {'s':>5}")
        for name in arguments.only:
            expected, options = CASES[name]
            path = ward.file(name)
            start = time.perf_counter()
            trial = segdoctor.Trial(budget_s=arguments.budget)
            report = segdoctor.check(path, data, preprocess="tf", trial=trial, **options)
            seconds = time.perf_counter() - start
            errors = [f for f in report.findings if f.severity == "error" and not f.because_of]
            first = errors[0].code if errors else None
            proof = errors[0].verdict if errors else None
            said = f"{proof.status}, {proof.effect}" if proof else report.trials[0].verdict
            diagnosis = " ".join(report.diagnosis or ("none",))
            right = first == expected
            wrong += not right
            print(
                f"{name:14} {expected or 'none':9} {first or 'none':9} {diagnosis:22} {said:32} "
                f"{seconds:5.1f}{'' if right else '   WRONG'}",
                flush=True,
            )
    print(f"{len(arguments.only) - wrong} of {len(arguments.only)} named rightly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
