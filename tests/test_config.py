"""Defaults from pyproject.toml and segdoctor.toml: named as the flags, one line where wrong."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from segdoctor.cli import _build_parser, main
from segdoctor.config import configure
from segdoctor.core.errors import UserError


def parsed(folder: Path, *arguments: str) -> argparse.Namespace:
    parser, commands = _build_parser()
    configure(commands, str(folder))
    return parser.parse_args(arguments)


def test_flags_stand_above_the_command_s_table_above_the_rest(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.segdoctor]\n"
        'fail-on = "warning"\nignore_label = 0\nignore = ["DATA010", "OPT"]\nnum-classes = 5\n'
        "[tool.segdoctor.check]\n"
        'data = "voc"\nnum-classes = 7\nfrom-logits = true\nbudget = "2m"\n'
    )
    below = tmp_path / "below"
    below.mkdir()
    told = parsed(below, "check", "m.h5", "--ignore", "BN")
    assert (told.fail_on, told.ignore_label, told.num_classes) == ("warning", 0, 7)
    assert (told.data, told.from_logits, told.budget) == ("voc", True, 120.0)
    assert told.ignore == ["DATA010", "OPT", "BN"]
    scan = parsed(below, "scan", "voc", "--fail-on", "never")
    assert (scan.fail_on, scan.num_classes, scan.deep) == ("never", 5, False)


def test_a_file_of_one_s_own_and_the_edge_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / "segdoctor.toml").write_text('ignore-label = "none"\n')
    assert parsed(tmp_path, "scan", "voc").ignore_label is False
    inner = tmp_path / "inner"
    (inner / ".git").mkdir(parents=True)
    assert parsed(inner, "scan", "voc").ignore_label is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no-such = 1\n", "no-such: no flag has this name"),
        ("[check]\nno-such = 1\n", "check.no-such: no flag has this name"),
        ('fail-on = "sometimes"\n', "fail-on: expected one of error, warning, never"),
        ('ignore-label = "void"\n', "ignore-label: expected an id or none"),
        ("deep = 3\n", "deep: expected true or false"),
        ("seed = [1, 2]\n", "seed: expected one value"),
        ("help = true\n", "help: no flag"),
        ("check = 3\n", "check: expected a table"),
        ("= broken", "it cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_one_line_and_exit_status_2(
    tmp_path: Path,
    text: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "segdoctor.toml").write_text(text)
    with pytest.raises(UserError, match=r"segdoctor\.toml: "):
        parsed(tmp_path, "scan", "voc")
    monkeypatch.chdir(tmp_path)
    assert main(["scan", "voc"]) == 2
    told = capsys.readouterr().err
    assert (words in told, told.count("\n")) == (True, 1)


def test_the_pre_commit_hooks_are_commands_that_there_are() -> None:
    hooks = (Path(__file__).parents[1] / ".pre-commit-hooks.yaml").read_text()
    entries = [line.split("segdoctor ")[1] for line in hooks.splitlines() if "entry:" in line]
    _, commands = _build_parser()
    assert entries
    assert set(entries) <= set(commands)
