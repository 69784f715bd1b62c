"""Broken, odd and hostile files among sound pairs: each gets a verdict, all others are scanned.

    python -m benchmarks.scan_bad FOLDER BAD_IMAGES [sound pairs]

Every file of BAD_IMAGES stands once as an image beside a sound mask; ``csv`` files are left out.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.cold import cold
from tests.sources.injected import copy_of


def main() -> None:
    source, bad = Path(sys.argv[1]), Path(sys.argv[2])
    sound = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    with tempfile.TemporaryDirectory() as room:
        folder = copy_of(source, Path(room) / "voc", sound // 2)
        files = [path for path in sorted(bad.iterdir()) if path.suffix not in (".csv", ".md")]
        mask = folder.mask(folder.train[0])
        names = [f"bad{number:03d}" for number in range(len(files))]
        for name, path in zip(names, files, strict=True):
            shutil.copy(path, folder.root / "JPEGImages" / f"{name}{path.suffix or '.jpg'}")
            shutil.copy(mask, folder.mask(name))
        folder.write_lists([*folder.train, *names], list(folder.val))
        command = [sys.executable, "-m", "segdoctor", "scan", os.fspath(folder.root)]
        out = Path(room) / "out"
        done = cold([*command, "--deep", "--out", str(out)])
        read = json.loads((out / "report.json").read_text())
    data = read["measured"]["data"]
    told = {Path(problem["path"]).stem for problem in data["problems"]}
    print(
        f"{len(files)} bad files and {sound} sound pairs: exit {done.status}, "
        f"{len(told & set(names))} bad files named as broken or of another size than their mask, "
        f"{data['decoded']} images decoded, {len(told - set(names))} sound ones named, "
        f"traceback: {'Traceback' in done.errors}, {done.seconds:.1f} s, {done.megabytes:.0f} MB "
        "[60 s, 1,000 MB]"
    )


if __name__ == "__main__":
    main()
