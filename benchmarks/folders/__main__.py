"""Folders in the styles that people have on their disks, sick and healthy: does `scan` say what
is wrong, and nothing where nothing is?

    python -m benchmarks.folders FOLDER [words of a case's name]

FOLDER holds real pairs in the layout of Pascal VOC.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.folders import healthy, layouts, sick  # noqa: F401 - they note their cases
from benchmarks.folders.material import CASES, Case, Room, real_examples


def verdict(case: Case, root: Path) -> tuple[bool, str, str]:
    """``(as it should be, codes, first message)``."""
    import segdoctor

    report = segdoctor.scan(root, **case.options)  # type: ignore[arg-type]
    found = [f"{finding.code}{'' if finding.severity == 'error' else '?'}" for finding in
             report.findings]  # fmt: skip
    errors = [code for code in found if not code.endswith("?")]
    first = report.findings[0].code if report.findings else ""
    right = first == case.code if case.code else not errors
    right &= report.exit_code == int(bool(errors))
    message = report.findings[0].message if report.findings else ""
    return right, " ".join(found) or "–", message


def main() -> None:
    examples = real_examples(Path(sys.argv[1]))
    wanted = " ".join(sys.argv[2:])
    chosen = [case for case in CASES if wanted in case.name]
    wrong = 0
    for case in chosen:
        with tempfile.TemporaryDirectory() as room:
            root = Path(room) / "data"
            root.mkdir()
            case.make(Room(root, examples))
            right, found, message = verdict(case, root)
        wrong += not right
        sign = "  " if right else "✗ "
        print(f"{sign}{case.name[:58]:58s} {case.code or 'no error':9s} {found}")
        if message and (not right or wanted):
            print(f"     {message}")
    sound = sum(not case.code for case in chosen)
    print(f"{len(chosen)} folders, {sound} of them sound: {len(chosen) - wrong} as they should be")


if __name__ == "__main__":
    main()
