"""What each command does: one call of :mod:`segdoctor.api`, its report shown, the exit status.

Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from segdoctor.core.errors import InterruptedEarlyError, UserError
from segdoctor.core.held_back import held_back

if TYPE_CHECKING:
    from segdoctor.core.run import Trial
    from segdoctor.report.report import Report

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_SCAN_OPTIONS = (
    *("split", "val_split", "masks", "images", "pairs", "scheduler", "ignore_label", "label_map"),
    *("num_classes", "deep", "resume", "seed", "fail_on"),
)
_CHECK_OPTIONS = (
    *(
        "files",
        "loss",
        "metrics",
        "from_logits",
        "optimizer",
        "learning_rate",
        "freeze",
        "num_classes",
    ),
    *("batch_size", "epochs", "steps_per_epoch", "history", "keras", "arch", "objects", "trust"),
    *(
        "split",
        "val_split",
        "masks",
        "images",
        "pairs",
        "ignore_label",
        "label_map",
        "labels",
        "preprocess",
    ),
    *("resize", "device", "seed"),
)

_SCRIPT_OPTIONS = (
    *("files", "split", "masks"),
    *("module", "fit", "go_on", "loss", "metrics", "from_logits", "optimizer", "learning_rate"),
    *("num_classes", "epochs", "steps_per_epoch", "history", "ignore_label", "device", "seed"),
    "fail_on",
)


def _split_codes(values: list[str]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part.strip())


def _trial(arguments: argparse.Namespace) -> Trial | str | bool:
    from segdoctor.core.run import Trial

    if arguments.trial == "off":
        return False
    given = {
        "budget_s": arguments.budget,
        "steps": arguments.steps,
        "crop": arguments.crop,
        "batch": arguments.trial_batch,
    }
    told = {name: value for name, value in given.items() if value is not None}
    return Trial(**told) if told else "auto"


def run(arguments: argparse.Namespace) -> int:
    from segdoctor import api
    from segdoctor.report.progress import Progress
    from segdoctor.report.screen import document_alone

    progress = Progress(quiet=False)
    codes: list[int] = []
    with document_alone(arguments.format != "text") as document, held_back():

        def examined(report: Report) -> None:
            progress.__exit__(None, None, None)
            codes.extend((report.exit_code, _show(report, arguments, "run", document)))

        report = api.run(
            arguments.script,
            arguments.args,
            trial=_trial(arguments),
            select=_split_codes(arguments.select),
            ignore=_split_codes(arguments.ignore),
            out=_folder(arguments, "run"),
            apart=True,
            progress=progress.late,
            on_report=examined,
            **{name: getattr(arguments, name) for name in _SCRIPT_OPTIONS},
        )
    told, shown = codes
    # The script went on, and its own exit status is another one.
    return report.exit_code if report.exit_code != told else shown


def check(arguments: argparse.Namespace) -> int:
    from segdoctor import api
    from segdoctor.report.progress import Progress

    with held_back():
        with Progress(quiet=False) as progress:
            report = api.check(
                arguments.model,
                arguments.data,
                trial=_trial(arguments),
                select=_split_codes(arguments.select),
                ignore=_split_codes(arguments.ignore),
                fail_on=arguments.fail_on,
                out=_folder(arguments, "check"),
                apart=True,
                progress=progress,
                **{name: getattr(arguments, name) for name in _CHECK_OPTIONS},
            )
        return _show(report, arguments, "check")


def fix(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from segdoctor.remedy import fix as fix_target
    from segdoctor.remedy.told import show
    from segdoctor.report.progress import Progress

    name = os.path.basename(os.path.normpath(arguments.target)).rsplit(".", 1)[0] or "model"
    with Progress() as progress:
        mended = fix_target(
            arguments.target,
            arguments.data,
            args=arguments.args,
            to=arguments.to or os.path.join("fixed", name),
            module=arguments.module,
            fit=arguments.fit,
            trial=_trial(arguments),
            select=_split_codes(arguments.select),
            ignore=_split_codes(arguments.ignore),
            progress=progress,
            **{name: getattr(arguments, name) for name in _CHECK_OPTIONS},
        )
    show(mended, Console(file=sys.stdout, highlight=False))
    sys.stdout.flush()
    return mended.exit_code


def scan(arguments: argparse.Namespace) -> int:
    report = None
    try:
        from segdoctor import api
        from segdoctor.report.progress import Progress

        with Progress(quiet=False) as progress:
            report = api.scan(
                arguments.data,
                select=_split_codes(arguments.select),
                ignore=_split_codes(arguments.ignore),
                out=arguments.out,
                progress=progress,
                **{name: getattr(arguments, name) for name in _SCAN_OPTIONS},
            )
    except InterruptedEarlyError:
        raise
    except KeyboardInterrupt as pressed:  # once files are looked at, what was seen is reported
        if report is None:
            raise InterruptedEarlyError("nothing was examined yet") from pressed
        return _show(replace(report, exit_code=EXIT_INTERRUPTED), arguments, "scan")
    return _show(report, arguments, "scan")


def inspect(arguments: argparse.Namespace) -> int:
    from segdoctor import api

    if len(arguments.models) > 1 and (arguments.format != "text" or arguments.out):
        raise UserError("inspect: expected one MODEL with --out, or with a --format but text")
    codes = []
    for path in arguments.models:
        try:
            report = api.inspect(
                path,
                select=_split_codes(arguments.select),
                ignore=_split_codes(arguments.ignore),
                out=arguments.out,
                fail_on=arguments.fail_on,
                seed=arguments.seed,
            )
        except UserError as error:  # the other files are read all the same
            print(f"segdoctor: {error}", file=sys.stderr)
            codes.append(EXIT_USAGE)
        else:
            codes.append(_show(report, arguments, "inspect"))
    return next(code for code in (2, 4, 3, 1, 0) if code in codes)


def _folder(arguments: argparse.Namespace, command: str) -> str | None:
    """Where the report goes. ``check`` and ``run`` always write one, others where asked."""
    if arguments.out or command not in ("check", "run"):
        return arguments.out if arguments.out is None else str(arguments.out)
    given = arguments.model if command == "check" else arguments.script
    stem = os.path.basename(os.path.normpath(given)).rsplit(".", 1)[0] or "model"
    return os.path.join("reports", stem)


def _show(
    report: Report, arguments: argparse.Namespace, command: str, document: TextIO | None = None
) -> int:
    """Print the report, write its files, and give the exit status; Ctrl-C waits until then."""
    if arguments.baseline:
        from segdoctor.examination.baseline import with_baseline

        report = with_baseline(report, arguments.known, fail_on=arguments.fail_on)
    folder = _folder(arguments, command)
    with held_back() as pressed:
        paths = report.save(folder) if folder is not None else ()  # first: the reader may be gone
        try:
            _print(report, arguments, document)
        except BrokenPipeError:  # head, less: they have seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        for path in paths:
            if path.endswith(".html"):
                print(f"report: {path}", file=sys.stderr)
        return EXIT_INTERRUPTED if pressed.count else report.exit_code


def _print(report: Report, arguments: argparse.Namespace, document: TextIO | None) -> None:
    if arguments.format == "text":
        from segdoctor.report.screen import show

        show(report, verbose=bool(getattr(arguments, "verbose", False)))
        sys.stdout.flush()
        return
    from segdoctor.report.screen import written_as

    stream = document or sys.stdout
    stream.write(written_as(report, arguments.format) + "\n")
    stream.flush()


def explain(arguments: argparse.Namespace) -> int:
    from segdoctor.pages import page_of

    print(page_of(arguments.code))
    return 0


def list_codes(arguments: argparse.Namespace) -> int:
    from segdoctor.pages import listing

    print(listing())
    return 0


def demo(arguments: argparse.Namespace) -> int:
    from segdoctor.demo import run_demo

    return run_demo(arguments.folder, budget_s=arguments.budget)
