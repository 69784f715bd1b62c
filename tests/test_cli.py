"""The command line as a person meets it: quick, one line for a mistake, the right status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segdoctor.cli import main
from segdoctor.core.errors import UserError

LIGHT = "import sys; from segdoctor.cli import main; code = main({argv}); "


def run(*argv: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """The program in a process of its own; ``code`` is run after it."""
    script = LIGHT.format(argv=list(argv)) + (code or "sys.exit(code)")
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )


def voc(folder: Path, count: int = 4) -> Path:
    from segdoctor.measures.drawing import write_voc_folder

    return write_voc_folder(folder, count, count, size=(48, 48), classes=4, seed=0)


@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["check", "--help"]])
def test_help_needs_nothing_heavy(argv: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "segdoctor", *argv],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"numpy", "tensorflow", "keras", "rich", "matplotlib", "pandas", "h5py"}


@pytest.mark.parametrize("argv", [["list"], ["explain", "BN001"], ["explain", "void-reaches-loss"]])
def test_list_and_explain_load_neither_numpy_nor_tensorflow(argv: list[str]) -> None:
    done = run(*argv, code="print('HEAVY', {'numpy', 'tensorflow', 'keras'} & set(sys.modules))")
    assert "HEAVY set()" in done.stdout


def test_scan_never_loads_tensorflow(tmp_path: Path) -> None:
    done = run("scan", str(voc(tmp_path)), code="print(code, 'tensorflow' in sys.modules)")
    assert done.stdout.strip().endswith("0 False"), done.stderr


def test_json_is_the_document_alone(tmp_path: Path) -> None:
    done = run("scan", str(voc(tmp_path)), "--format", "json")
    document = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode == 0
    assert {"schema_version", "diagnosis", "findings", "outcomes", "run", "versions"} <= set(
        document
    )


def broken_folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def no_masks(tmp_path: Path) -> Path:
    folder = tmp_path / "only" / "images"
    folder.mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "a.png")
    return tmp_path / "only"


def file_in_the_way(tmp_path: Path) -> Path:
    path = tmp_path / "taken"
    path.write_text("a file")
    return path


MISTAKES = {
    "no command": lambda t: [],
    "unknown command": lambda t: ["chek"],
    "unknown flag": lambda t: ["scan", str(t), "--depp"],
    "absent model": lambda t: ["check", str(t / "none.h5")],
    "broken model": lambda t: ["inspect", str(file_in_the_way(t))],
    "absent folder": lambda t: ["scan", str(t / "none")],
    "empty folder": lambda t: ["scan", str(broken_folder(t))],
    "folder without masks": lambda t: ["scan", str(no_masks(t))],
    "unknown code": lambda t: ["scan", str(voc(t)), "--select", "BN999"],
    "unknown code to explain": lambda t: ["explain", "BN999"],
    "a family to explain": lambda t: ["explain", "BN"],
    "unwritable out": lambda t: ["scan", str(voc(t)), "--out", str(file_in_the_way(t) / "x")],
    "bad budget": lambda t: ["check", "m.h5", "--budget", "soon"],
    "bad ignore label": lambda t: ["scan", str(t), "--ignore-label", "void"],
    "bad label map": lambda t: ["scan", str(voc(t)), "--label-map", "15>1"],
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_is_one_clear_line_and_status_2(mistake: str, tmp_path: Path) -> None:
    argv = MISTAKES[mistake](tmp_path)
    before = set(tmp_path.rglob("*"))
    done = run(*argv)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if argv:
        said = [line for line in done.stderr.splitlines() if not line.endswith("…")]
        assert len(said) == 1, done.stderr
        assert said[0].startswith("segdoctor")
    assert set(tmp_path.rglob("*")) == before


def test_findings_are_status_1_unless_told_otherwise(tmp_path: Path) -> None:
    folder = voc(tmp_path)
    victim = sorted((folder / "SegmentationClass").iterdir())[0]
    victim.write_bytes(b"")
    assert run("scan", str(folder)).returncode == 1
    assert run("scan", str(folder), "--fail-on", "never").returncode == 0
    assert run("scan", str(folder), "--ignore", "DATA").returncode == 0
    assert run("scan", str(folder), "--select", "LBL003").returncode == 0


def test_a_report_is_written_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = voc(tmp_path / "data"), tmp_path / "report"
    assert main(["scan", str(folder), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "report.png"}
    assert os.fspath(out / "report.html") in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_files_of_batches_are_handed_on(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}

    def taken(*_: object, **options: object) -> None:
        seen.update(options)
        raise UserError("enough")

    monkeypatch.setattr(f"segdoctor.api.{command}", taken)
    given = ["--files", "memory://voc", "--split", "train", "--masks", "Aug"]
    assert main([command, *given, "--out", "x", "train.py"]) == 2
    assert (seen["files"], seen["split"], seen["masks"]) == ("memory://voc", "train", "Aug")


@pytest.mark.parametrize(
    "given",
    [
        *(
            f"--{name}={value}"
            for name in ("num-classes", "crop", "epochs")
            for value in ("-1", "0")
        ),
        *("--seed=-1", "--learning-rate=nan", "--learning-rate=0", "--steps=" + "9" * 5000),
    ],
    ids=lambda text: text[:22],
)
def test_a_number_that_cannot_be_is_one_line(
    given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from segdoctor.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["check", "model.h5", given])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "expected a" in told
