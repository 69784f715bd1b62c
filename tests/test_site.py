"""The documentation site: it builds without a warning, and no code lacks its page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.pages import markdown_of
from segdoctor.probes.registry import PROBES, SECOND_PASS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("probe", [*PROBES, *SECOND_PASS], ids=lambda probe: probe.code)
def test_the_page_of_a_code_says_all_that_it_must(probe: object) -> None:
    text = markdown_of(probe.code)
    for title in ("How it is measured", "Why it matters", "How to fix it", "Sources"):
        assert f"\n## {title}\n\n" in text, title
    assert text.count("```") % 2 == 0
    for name, value, meaning in probe.thresholds():  # printed from the probe
        assert f"| `{name}` | {value} | {meaning} |" in text
        assert meaning


@pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="not in a source tree")
def test_the_site_builds_with_a_page_for_every_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    listed = (tmp_path / "codes" / "index.html").read_text()
    for code in CATALOGUE:
        page = tmp_path / "codes" / code / "index.html"
        assert page.is_file(), code
        assert f"{code} " in page.read_text()
        assert f'href="{code}/"' in listed
    tests = (tmp_path / "tests" / "index.html").read_text()
    assert "assert_batch_norm_frozen" in tests
