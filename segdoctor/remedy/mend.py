"""Examines a run, and writes what the trial has confirmed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.core.run import Trial
from segdoctor.examination.arguments import names_of, trial_of
from segdoctor.examination.request import Request, Say, Script, silent
from segdoctor.remedy.plan import MASKS, MODEL, Plan, plan_of
from segdoctor.report.report import Report

_COMPILED = ("loss.", "optimizer.")


@dataclass
class Mended:
    """What was examined, what of it is confirmed, and what was done: ``done`` says for each name of
    the patch what was changed and where, ``undone`` why a part could not be written. ``diffs`` are
    those of the script, ``written`` the paths that are new."""

    report: Report
    plan: Plan
    done: dict[str, str] = field(default_factory=dict)
    undone: dict[str, str] = field(default_factory=dict)
    diffs: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if no error is left that has no remedy here, else as the examination ended."""
        if self.report.exit_code != 1:
            return self.report.exit_code
        return int(any(finding.severity == "error" for finding, _ in self.plan.left))


def fix(
    target: str | os.PathLike[str],
    data: str | None = None,
    *,
    to: str,
    args: Sequence[str] = (),
    module: bool = False,
    fit: int = 1,
    trial: Trial | str | bool = "auto",
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    progress: Say = silent,
    **options: Any,
) -> Mended:
    """Examine a model file or a script, and write copies with the fixes that a trial confirmed.

    Parameters
    ----------
    target : a ``.h5`` or ``.keras`` file; a ``.py`` or ``.ipynb`` file, or with ``module`` the name
        of a module
    data : the data set folder that the model file is trained on
    to : a folder that is not there yet
    args, fit : of a script, as for :func:`segdoctor.api.run`
    options : further arguments of :func:`segdoctor.api.check`

    Raises
    ------
    UserError
        If no trial is asked for, or ``to`` cannot be made or is there already.
    """
    name = os.fspath(target)
    runs = module or name.endswith((".py", ".ipynb"))
    if args and not runs:
        raise UserError(f"fix: {clean(name)} is no script: it takes no arguments {clean(args[0])}")
    if runs and data is not None:
        raise UserError("fix: a script brings its own data: expected no --data")
    request = Request(
        model=None if runs else name,
        data=data,
        trial=trial_of(trial),
        select=names_of(select),
        ignore=names_of(ignore),
        say=progress,
        **{key: value for key, value in options.items() if value is not None},
    )
    return _mended(request, to, Script(name, tuple(args), module, fit) if runs else None)


def _mended(request: Request, to: str, script: Script | None) -> Mended:
    if request.trial is None:
        raise UserError("fix: it writes what a trial has confirmed: expected --trial auto")
    target = Path(to)
    _may_be_written(target)
    mended = _examined(request, script)
    if script is not None:
        _script(mended, script)
        return mended
    _model(mended, request, target)
    _masks(mended, request, target)
    return mended


def _examined(request: Request, script: Script | None) -> Mended:
    if script is not None:
        from segdoctor.examination.script_apart import ran_apart

        report = ran_apart(script, request, None)
    else:
        from segdoctor.examination.apart import examined_apart

        report = examined_apart(request)
    return Mended(report, plan_of(report))


def _may_be_written(target: Path) -> None:
    """Before any work: a folder that is there already is never written into."""
    if target.exists():
        raise UserError(f"{clean(target)} is there already, and nothing is overwritten (--to)")
    from segdoctor.report.files import check_writable

    check_writable(target)


def _model(mended: Mended, request: Request, target: Path) -> None:
    """The copy of the model file."""
    patch = mended.plan.of(MODEL)
    if not patch:
        return
    from segdoctor.remedy.model_changes import Workpiece
    from segdoctor.sources.model_file import open_model_file
    from segdoctor.sources.model_file.rewrite import rewrite

    path = os.fspath(request.model)
    request.say("writing the model file", None, None)
    opened = open_model_file(path)
    piece = Workpiece(opened, request.seed)
    if "optimizer.name" in mended.plan.patch and patch.pop("optimizer.learning_rate", None):
        mended.undone["optimizer.learning_rate"] = "it is that of another optimizer: compile anew"
    piece.apply(patch)
    if "bn.recalibrate" in patch:
        _statistics(mended, request, opened, piece)
    mended.undone |= piece.undone
    if not piece.changes:
        return
    new = target / Path(path).name
    rewrite(opened, piece.changes, new)
    open_model_file(new)  # it can be read: an error here is told and not hidden
    mended.written.append(str(new))
    mended.done |= {name: f"{clean(new)}: {words}" for name, words in piece.done.items()}
    if piece.changes.restart:
        mended.notes.append("the optimizer's state is not in the copy: other variables train there")


def _statistics(mended: Mended, request: Request, opened: Any, piece: Any) -> None:
    from segdoctor.examination.feeding import is_folder, scanned
    from segdoctor.remedy.statistics import recalibrated
    from segdoctor.sources.model_file import ModelFileError

    piece.done.pop("bn.recalibrate", None)
    if not is_folder(request.data):
        piece.undone["bn.recalibrate"] = "there is no data set folder to measure on (--data)"
        return
    preprocess = mended.plan.patch.get("data.preprocess", mended.report.run.get("preprocess"))
    try:
        arrays = recalibrated(request, opened, scanned(request), str(preprocess))
    except (ModelFileError, UserError) as error:
        piece.undone["bn.recalibrate"] = str(error)
        return
    piece.changes.arrays |= arrays
    count = len(arrays) // 2
    piece.done["bn.recalibrate"] = f"moving statistics of {count} layers measured on the data"


def _masks(mended: Mended, request: Request, target: Path) -> None:
    """The changed masks."""
    patch = mended.plan.of(MASKS)
    if not patch:
        return
    from segdoctor.examination.feeding import is_folder, scanned
    from segdoctor.remedy.masks import FOLDER, LIST, write_masks

    if not is_folder(request.data):
        return
    scan = scanned(replace(request, say=_no_progress))
    void = mended.report.measured.get("void")
    folder = target / "data"
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make {clean(target)}: {clean(error.strerror)}") from error
    count, left_out = write_masks(scan, patch, folder, str(request.data), void, request.say)
    mended.written.append(str(folder))
    words = ", ".join(_MASK_WORDS[name].format(value) for name, value in patch.items())
    for name in patch:
        mended.done[name] = f"{clean(folder / FOLDER)}: {count:,} masks, {words}"
    mended.notes += [f"not written: {line}" for line in left_out[:10]]
    plain = all("/" not in pair.stem for pair in scan.pairs)
    flag = f"--masks {folder / FOLDER}" if plain else f"--pairs {folder / LIST}"
    mended.notes.append(f"they are read with: --data {clean(request.data)} {clean(flag)}")
    if any(finding.code == "LBL005" for finding in mended.plan.confirmed):
        mended.notes.append(
            "a grey value cannot tell class 16 from 1 nor 18 from 3: they are 1 and 3 in the new "
            "masks; reading the palette's indices of the original files would tell"
        )
    if scan.label_map:
        mended.notes.append("the label map is applied in the new masks already")


_MASK_WORDS: Mapping[str, str] = {
    "labels.restore": "void given back in the place of thin rings of class {}",
    "labels.decode": "colours and luminances turned into ids",
    "labels.scale": "ids multiplied by {:g}",
    "labels.shift": "{:+d} on every id but void",
}


def _no_progress(stage: str, done: int | None = None, total: int | None = None) -> None:
    """The folder was read before."""


def _script(mended: Mended, script: Script) -> None:
    """The diff of the script, and of the file in which it compiles."""
    from segdoctor.remedy.script_diff import diff_of

    places = [str(mended.report.run.get(name, "")) for name in ("compile_at", "loss_at")]
    files = [script.name, *(place.rpartition(":")[0] for place in places)]
    left = dict(mended.plan.patch)
    for path in dict.fromkeys(files):
        if path.endswith(".py") and os.path.isfile(path):
            diff, covered = diff_of(path, left)
            if diff:
                mended.diffs.append(diff)
            for name in covered:
                mended.done[name] = f"{clean(path)}: in the diff"
                del left[name]
