"""Lint, format, types and the rooms: as a contributor's editor would say it, but for everyone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tool(*command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


def test_ruff_finds_nothing() -> None:
    tool("ruff", "check", "segdoctor", "tests", "benchmarks")


def test_the_code_is_formatted() -> None:
    tool("ruff", "format", "--check", "segdoctor", "tests", "benchmarks")


def test_the_types_hold() -> None:
    tool("mypy")


def test_rooms_know_only_the_rooms_below_them() -> None:
    script = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "segdoctor").rglob("*.py")), ids=lambda p: p.name)
def test_a_file_has_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350
