"""Fifty runs through ``segdoctor.check``: thirty sick ones with one or two faults, known to a probe
or to none, and twenty healthy ones; small nets and DeepLabv3+ MobileNetV2 on VOC pairs.

    python -m benchmarks.trials [--data VOC_FOLDER] [--only TEXT ...]

Without ``--data`` the scenes are drawn.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from benchmarks.trial_runs.run import Answer, Case


def answered(case: Case, budget: float) -> Answer:
    import segdoctor

    given = case.make()
    start = time.perf_counter()
    report = segdoctor.check(
        given.pop("model"), given.pop("data"), trial=segdoctor.Trial(budget_s=budget), **given
    )
    return Answer(case, report, time.perf_counter() - start)


def line(answer: Answer) -> str:
    told = " ".join(answer.report.diagnosis) if answer.report.diagnosis else "–"
    verdict = answer.report.trials[0].verdict if answer.report.trials else "no trial"
    if answer.report.diagnosis is None:
        told = "not settled"
    marks = "" if answer.right else "   WRONG " + " ".join((*answer.wrong, *answer.errors))
    return f"{answer.case.name:52} {verdict:22} {told:28} {answer.seconds:6.1f}{marks}"


def table(answers: Sequence[Answer]) -> str:
    sick = [answer for answer in answers if answer.case.causes]
    healthy = [answer for answer in answers if not answer.case.causes]
    unknown = [answer for answer in sick if answer.case.unknown]
    planted = sum(len(answer.case.causes) for answer in sick)
    covered = sum(answer.covered for answer in sick)
    clean = sum(not answer.wrong for answer in answers)
    blamed = sum(bool(set(a.report.diagnosis or ()) & set(a.case.causes[0])) for a in unknown)
    rows = (
        ("planted causes in the diagnosis", covered, planted),
        ("runs without an unplanted cause as confirmed", clean, len(answers)),
        ("unknown faults whose part is blamed", blamed, len(unknown)),
        ("healthy runs called healthy", sum(a.right for a in healthy), len(healthy)),
    )
    return "\n".join(f"{words:48} {count} of {of}" for words, count, of in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--budget", type=float, default=60.0)
    arguments = parser.parse_args()

    from benchmarks.trial_runs.cases import deeplab_cases, small_cases
    from segdoctor.measures.drawing import write_voc_folder

    answers = []
    with tempfile.TemporaryDirectory() as folder:
        data = arguments.data or write_voc_folder(Path(folder) / "voc", 48, 12, seed=0)
        for cases in (small_cases(data), deeplab_cases(data, Path(folder))):
            for case in cases:
                if not any(text in case.name for text in arguments.only):
                    continue
                answers.append(answered(case, arguments.budget))
                print(line(answers[-1]), flush=True)
    print(table(answers))
    return 0 if all(answer.right for answer in answers) else 1


if __name__ == "__main__":
    sys.exit(main())
