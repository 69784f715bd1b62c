"""The whole path on DeepLabv3+: the right code first, the fix confirmed, look-alikes silent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import segdoctor
from tests.faults.deeplab import Ward

pytest.importorskip("tensorflow", reason="running a model needs TensorFlow")

TRIAL = segdoctor.Trial(budget_s=240, steps=40, crop=96, batch=4)


@pytest.fixture(scope="session")
def ward(tmp_path_factory: pytest.TempPathFactory, few_pairs: Path) -> Ward:
    return Ward(tmp_path_factory.mktemp("ward"), few_pairs)


def errors(report) -> list[str]:
    return [f.code for f in report.findings if f.severity == "error" and not f.because_of]


def check(path: Path, data: Path, **options):
    return segdoctor.check(path, data, preprocess="tf", **({"trial": TRIAL} | options))


def test_a_healthy_run_is_called_healthy(ward: Ward, few_pairs: Path) -> None:
    report = check(ward.file("healthy"), few_pairs)
    assert (report.exit_code, errors(report), report.diagnosis) == (0, [], ())
    as_is = report.trials[0]
    assert as_is.verdict == "learns"
    assert as_is.miou_training >= 0.9 * as_is.ceiling


@pytest.mark.parametrize(
    ("name", "code", "options"),
    [
        ("reset", "BN004", {}),
        ("resized", "OUT001", {}),
        ("no_ignore", "IGN003", {}),
        ("all_frozen", "GRAD007", {}),
    ],
)
def test_one_fault_is_named_first_and_its_fix_confirmed(
    name: str, code: str, options: dict, ward: Ward, few_pairs: Path
) -> None:
    report = check(ward.file(name), few_pairs, **options)
    assert report.exit_code == 1
    assert errors(report)[0] == code, [(f.code, f.message) for f in report.findings]
    verdict = report.findings[0].verdict
    assert verdict is not None
    assert verdict.status == "confirmed", verdict
    assert report.diagnosis[0] == code


@pytest.mark.parametrize(
    ("name", "code", "options"),
    [
        ("rescue_lost", "OUT001", {}),
        ("twice", "OUT003", {}),
        ("one_channel", "OUT004", {"label_map": "0=0,*=1"}),
        ("stale", "BN005", {}),
        ("probabilities", "OUT002", {}),
        ("categorical", "IGN002", {"labels": "onehot-255"}),
        ("healthy", "LBL001", {"labels": "onehot"}),
    ],
)
def test_more_are_named_first_without_a_trial(
    name: str, code: str, options: dict, ward: Ward, few_pairs: Path
) -> None:
    """The fixes of all but LBL001 are tried by ``benchmarks.ward``, not here."""
    report = check(ward.file(name), few_pairs, trial=False, **options)
    assert errors(report)[0] == code
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("name", "options"), [("rescued", {}), ("frozen", {}), ("healthy", {"labels": "ids"})]
)
def test_look_alikes_have_no_error(name: str, options: dict, ward: Ward, few_pairs: Path) -> None:
    report = check(ward.file(name), few_pairs, trial=False, **options)
    assert errors(report) == [], [(f.code, f.message) for f in report.findings]
    told = [f.severity for f in report.findings if f.code == "OUT001"]
    assert told == (["info"] if name == "rescued" else [])
    assert "BN001" not in report.codes  # the twin of the frozen files of an old Keras


@pytest.mark.parametrize("version", ["2.1.2", "2.2.4"])
def test_an_old_keras_used_batch_statistics_in_frozen_layers(
    version: str, ward: Ward, few_pairs: Path
) -> None:
    report = check(ward.written_by("frozen", version), few_pairs, trial=False)
    assert "BN001" in errors(report)


def test_the_command_gives_the_same_answer(ward: Ward, few_pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "segdoctor", "check", str(ward.file("no_ignore"))),
            *("--data", str(few_pairs), "--out", str(out), "--trial", "off"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "IGN003" in done.stdout
    assert "Traceback" not in done.stderr
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "report.png"}


def test_select_and_ignore(ward: Ward, few_pairs: Path) -> None:
    path = ward.file("no_ignore")
    assert check(path, few_pairs, trial=False, select="BN").exit_code == 0
    ignored = check(path, few_pairs, trial=False, ignore=("IGN003", "LOSS"))
    assert "IGN003" not in ignored.codes
    states = {o.code: o.status for o in ignored.outcomes}
    assert states["IGN003"] == states["LOSS001"] == "ignored"
    assert set(states.values()) <= {"fired", "clear", "not examined", "ignored"}
