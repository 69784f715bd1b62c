"""Hostile, oversized and clean model files: what segdoctor, modelscan and modelaudit say of them.

The two scanners are no dependencies; they live in an environment of their own:

    python -m venv /somewhere/scanners
    /somewhere/scanners/bin/pip install 'modelscan[h5py,tensorflow]' modelaudit h5py
    python -m benchmarks.model_scanners /somewhere/scanners/bin [--data ../shared/data]

A file counts as found if segdoctor refuses it (exit 4 with MDL001, or exit 2), modelscan lists an
issue, modelaudit an issue that is at least a warning. Exit status 1 if segdoctor is behind one of
them on any group, or says anything of code on a clean file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import segdoctor
from benchmarks.promise_files import bomb_files
from segdoctor.core.errors import UserError
from tests.security.hostile_models import broken_files, hostile_files
from tests.sources.model_files import (
    batch_norm,
    conv,
    conv_weights,
    functional,
    image_input,
    norm_weights,
    write_h5,
    write_keras,
)

Scanner = Callable[[Path, Path, Path], set[str]]
Groups = Mapping[str, Mapping[str, Path]]
_GROUP = {  # by the first words of a variant's name that fit
    "lambda of": "Lambda layer at the top",
    "lambda ": "Lambda as an activation or initializer",
    "merge": "Lambda layer at the top",
    "nested": "Lambda nested or wrapped",
    "wrapped loss": "loss, metric, optimizer",
    "wrapped": "Lambda nested or wrapped",
    "cell": "Lambda nested or wrapped",
    "foreign": "class of another module",
    "a module of keras": "gadget of Keras itself",
    "keras": "gadget of Keras itself",
    "registered": "class of another module",
    "dunder": "class of another module",
    "a class name": "class of another module",
    "os.system": "function of another module",
    "builtins": "function of another module",
    "pickle.loads": "function of another module",
    "class method": "gadget of Keras itself",
    "SavedModel": "gadget of Keras itself",
    "torch": "gadget of Keras itself",
    "jax": "gadget of Keras itself",
    "flax": "gadget of Keras itself",
    "vocabulary": "gadget of Keras itself",
    "text vocabulary": "gadget of Keras itself",
    "hashing": "gadget of Keras itself",
    "tensorflow": "gadget of Keras itself",
    "py_function": "gadget of Keras itself",
    "loss": "loss, metric, optimizer",
    "metric": "loss, metric, optimizer",
    "weighted": "loss, metric, optimizer",
    "optimizer": "loss, metric, optimizer",
    "schedule": "loss, metric, optimizer",
}
_OTHER = "initializer, regularizer, dtype, shape"


def groups(folder: Path, data: Path | None) -> Groups:
    """Name of the group → name of the variant → its file, each group in a folder of its own."""
    found: dict[str, dict[str, Path]] = {}
    hostile = folder / "hostile"
    hostile.mkdir()
    for name, path in hostile_files(hostile, hostile / "marker"):
        group = next((kind for start, kind in _GROUP.items() if name.startswith(start)), _OTHER)
        found.setdefault(group, {})[name] = path
    broken = folder / "broken"
    broken.mkdir()
    for name, path in broken_files(broken, broken / "marker"):
        found.setdefault("pickle renamed, double keys, double members", {})[name] = path
    bombs = folder / "bombs"
    bombs.mkdir()
    found["bomb"] = {name: path for name, path, refused in bomb_files(bombs) if refused}
    clean = folder / "clean"
    clean.mkdir()
    config = functional(image_input(), conv(), batch_norm())
    weights = {**conv_weights(), **norm_weights()}
    found["clean"] = {
        "h5": write_h5(clean / "clean.h5", config, weights),
        "keras": write_keras(clean / "clean.keras", config, {"layers/conv2d/vars/0": [1.0]}),
    }
    if data is not None:
        public = (data / "models").iterdir()
        kept = {p.name: p for p in sorted(public) if p.suffix in (".h5", ".hdf5", ".keras")}
        found["clean"] |= {n: p for n, p in kept.items() if not _has_code(p)}
    return found


def _has_code(path: Path) -> bool:
    """Public files with a Lambda of their own, or that are none: no scanner is wrong there."""
    try:
        return bool(segdoctor.inspect(path).raw.code)
    except UserError:
        return True


def of_segdoctor(path: Path) -> bool:
    try:
        return segdoctor.check(path, trial=False, select="MDL001").exit_code == 4
    except UserError:
        return True


def of_modelscan(program: Path, path: Path, out: Path) -> set[str]:
    """Names of the files at ``path`` (a file, or a folder of them) in which it finds something."""
    _call([program / "modelscan", "-p", path, "-r", "json", "-o", out], out)
    issues = json.loads(out.read_text())["issues"] if out.exists() else []
    return {Path(issue["source"].partition(":")[0]).name for issue in issues}


def of_modelaudit(program: Path, path: Path, out: Path) -> set[str]:
    _call([program / "modelaudit", "scan", path, "-f", "json", "--no-cache", "-o", out], out)
    issues = json.loads(out.read_text())["issues"] if out.exists() else []
    names = (issue["location"] for issue in issues if issue["severity"] in ("warning", "critical"))
    return {Path(str(name).partition(":")[0].partition(" ")[0]).name for name in names}


def found_by(scanner: Scanner, program: Path, paths: Sequence[Path], out: Path) -> set[Path]:
    """Those of ``paths`` in which ``scanner`` finds something: a folder at once where no file of it
    can end the scanner, else one by one."""
    found: set[Path] = set()
    for folder in sorted({path.parent for path in paths}):
        here = [path for path in paths if path.parent == folder]
        one_by_one = folder.name in ("bombs", "broken")
        for scanned in here if one_by_one else [folder]:
            names = _scanned(scanner, program, scanned, out)
            found |= {path for path in here if path.name in names}
    return found


@cache
def _scanned(scanner: Scanner, program: Path, path: Path, out: Path) -> set[str]:
    return scanner(program, path, out)


def _call(command: Iterable[object], out: Path) -> None:
    out.unlink(missing_ok=True)
    quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "NO_ANALYTICS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    home = {"HOME": str(out.parent)}
    subprocess.run(
        [str(part) for part in command], env={**os.environ, **quiet, **home},
        capture_output=True, check=False, timeout=300, cwd=out.parent,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "programs", type=Path, help="the folder that modelscan and modelaudit are in"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    data = options.data if options.data.is_dir() else None
    programs, behind = options.programs.resolve(), 0
    print("| group | files | segdoctor | modelscan | modelaudit |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "out.json"
        for group, members in groups(Path(name), data).items():
            start = time.perf_counter()
            told = [sum(of_segdoctor(path) for path in members.values())]
            for scanner in (of_modelscan, of_modelaudit):
                told.append(len(found_by(scanner, programs, [*members.values()], out)))
            behind += told[0] > 0 if group == "clean" else told[0] < max(told)
            print(f"| {group} | {len(members)} | {told[0]} | {told[1]} | {told[2]} |", flush=True)
            print(f"{group}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return int(behind > 0)


if __name__ == "__main__":
    sys.exit(main())
