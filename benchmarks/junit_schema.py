"""Whether the JUnit files follow the schema of Jenkins (junit-10.xsd), which no wheel ships.

    python -m benchmarks.junit_schema [junit-10.xsd]

Without a path it is taken from the source archive of pytest, whose own tests use it; pip fetches
that. The tests hold the same files against a stricter schema of this project's own words.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import xmlschema

from segdoctor.report.junit import to_junit
from tests.report.conftest import REPORTS

NAME = "testing/example_scripts/junit-10.xsd"


def fetched(folder: Path) -> Path:
    options = ["--no-deps", "--no-binary", "pytest", "--dest", str(folder), "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "pytest"], check=True)
    (archive,) = folder.glob("pytest-*.tar.gz")
    with tarfile.open(archive) as held:
        member = next(m for m in held.getmembers() if m.name.endswith(NAME))
        stream = held.extractfile(member)
        assert stream is not None
        path = folder / "junit-10.xsd"
        path.write_bytes(stream.read())
    return path


def main() -> int:
    with tempfile.TemporaryDirectory() as room:
        given = sys.argv[1:]
        schema = xmlschema.XMLSchema(str(given[0] if given else fetched(Path(room))))
    wrong = 0
    for kind, make in REPORTS.items():
        text = to_junit(make()).partition("\n")[2]
        faults = [str(error.reason) for error in schema.iter_errors(text)]
        wrong += bool(faults)
        print(f"{kind:>10}  {'valid' if not faults else faults[0]}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
