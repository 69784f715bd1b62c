"""The example notebook, executed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "why_does_it_not_learn.ipynb"


def executed(folder: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # The kernel of this Python, wherever it is installed.
    kernels = folder / "kernels" / "here"
    kernels.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = {"argv": command, "display_name": "here", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(text))
    client = NotebookClient(
        notebook, timeout=240, kernel_name="here", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return notebook


def test_the_example_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    cells = [cell for cell in executed(tmp_path).cells if cell.cell_type == "code"]
    results = [
        output.data
        for cell in cells
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    texts = [data.get("text/plain", "") for data in results]
    assert any("'OUT001'" in text and "'IGN003'" in text for text in texts)  # the diagnosis
    pages = [data["text/html"] for data in results if "text/html" in data]
    assert any("svg" in page and "OUT001" in page for page in pages)
    assert any("<table" in page for page in pages)
    assert any("image/png" in data for data in results)  # the restyled figure
    bars = [o.data for cell in cells for o in cell.outputs if o.output_type == "display_data"]
    assert any("segdoctor-progress" in data.get("text/html", "") for data in bars)
    assert not any("<progress" in data.get("text/html", "") for data in bars)  # gone again
    assert texts[-2].startswith("((),")  # healthy with the fixes
