"""The command line: reads arguments, calls one function of :mod:`segdoctor.api`, sets the exit
status. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn, TextIO

from segdoctor import __version__
from segdoctor.config import configure
from segdoctor.core.clean import clean
from segdoctor.core.errors import UntrainedError, UserError
from segdoctor.options import (
    add_data_options,
    add_output_options,
    add_run_options,
    add_script_options,
    add_trial_options,
    seconds,
)

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
    *("loss", "metrics", "from_logits", "optimizer", "learning_rate", "freeze", "num_classes"),
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
    *("module", "fit", "go_on", "loss", "metrics", "from_logits", "optimizer", "learning_rate"),
    *("num_classes", "epochs", "steps_per_epoch", "history", "ignore_label", "device", "seed"),
    "fail_on",
)

_EPILOG = """\
exit status: 0 examined, nothing at or above --fail-on · 1 findings · 2 usage, or nothing readable
             3 incomplete · 4 refused, the file needs --trust · 130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """Usage errors are one line and end with exit status 2."""

    def error(self, message: str) -> NoReturn:
        told = f"{clean(message)} (`{self.prog} --help` shows the options)"
        self.exit(EXIT_USAGE, f"{self.prog}: {told}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    # TensorFlow's native log would drown the report; whoever wants it sets the variable.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="keras")
    warnings.filterwarnings("ignore", module="PIL")  # a broken image is a finding, once
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    parser, commands = _build_parser()
    try:
        if argv is None or argv:
            configure(commands)
        arguments = parser.parse_args(argv)
        if not getattr(arguments, "run", None):
            parser.print_help()
            return EXIT_USAGE
        if getattr(arguments, "baseline", None):
            from segdoctor.examination.baseline import read_baseline

            arguments.known = read_baseline(arguments.baseline)
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("segdoctor: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UntrainedError as error:
        print(f"segdoctor: {error}", file=sys.stderr)
        return error.status
    except UserError as error:
        print(f"segdoctor: {error}", file=sys.stderr)
        return EXIT_USAGE


def _build_parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    parser = _Parser(
        prog="segdoctor",
        description="Says why a Keras segmentation model does not learn, shows the number that "
        "proves it, and tries the fix.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"segdoctor {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    check = commands.add_parser(
        "check",
        help="examine a training run: a model file, and the data it is trained on",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("model", metavar="MODEL", help="a .h5 or .keras file")
    add_run_options(check)
    add_data_options(check)
    add_trial_options(check)
    add_output_options(check)
    check.set_defaults(run=_check)

    run = commands.add_parser(
        "run",
        help="run a training script up to its training, and examine that",
        usage="segdoctor run [options] SCRIPT.py|NOTEBOOK.ipynb|-m MODULE [the script's arguments]",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_script_options(run)
    add_trial_options(run)
    add_output_options(run)
    run.add_argument("script", metavar="SCRIPT", help="a .py or .ipynb file, or after -m a module")
    run.add_argument("args", nargs=argparse.REMAINDER, help="handed to the script")
    run.set_defaults(run=_run)

    scan = commands.add_parser("scan", help="read a data set folder (no TensorFlow)")
    scan.add_argument("data", metavar="DIR", help="a VOC layout, or images/ and masks/")
    add_data_options(scan)
    scan.add_argument("--num-classes", type=int, metavar="N", help="number of classes")
    scan.add_argument("--deep", action="store_true", help="decode every image, not a sample")
    scan.add_argument(
        "--resume", action="store_true", help="with --out: read only what changed since the last"
    )
    scan.add_argument("--scheduler", metavar="dask|tcp://…", help="read over a Dask cluster")
    add_output_options(scan)
    scan.set_defaults(run=_scan)

    inspect = commands.add_parser("inspect", help="read a model file as data (no TensorFlow)")
    inspect.add_argument("models", metavar="MODEL", nargs="+", help=".h5 or .keras files")
    inspect.add_argument("--verbose", action="store_true", help="every layer on its own line")
    add_output_options(inspect)
    inspect.set_defaults(run=_inspect)

    explain = commands.add_parser("explain", help="what a code means, how it is measured, the fix")
    explain.add_argument("code", metavar="CODE", help="a code such as BN001, or its slug")
    explain.set_defaults(run=_explain)

    listing = commands.add_parser("list", help="every code with its severity and cause")
    listing.set_defaults(run=_list)

    demo = commands.add_parser("demo", help="write a small data set and sick models, check them")
    demo.add_argument("folder", metavar="DIR", nargs="?", default="reports/demo")
    demo.add_argument("--budget", type=seconds, default=20.0, metavar="20s")
    demo.set_defaults(run=_demo)
    return parser, {"check": check, "run": run, "scan": scan, "inspect": inspect}


def _split_codes(values: list[str]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part.strip())


def _trial(arguments: argparse.Namespace) -> Trial | bool:
    from segdoctor.core.run import Trial

    if arguments.trial == "off":
        return False
    return Trial(
        budget_s=arguments.budget or Trial().budget_s,
        steps=arguments.steps,
        crop=arguments.crop,
        batch=arguments.trial_batch,
    )


def _run(arguments: argparse.Namespace) -> int:
    from segdoctor import api
    from segdoctor.report.progress import Progress
    from segdoctor.report.screen import document_alone

    progress = Progress(quiet=False)
    codes: list[int] = []
    with document_alone(arguments.format != "text") as document:

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


def _check(arguments: argparse.Namespace) -> int:
    from segdoctor import api
    from segdoctor.report.progress import Progress

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


def _scan(arguments: argparse.Namespace) -> int:
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
    return _show(report, arguments, "scan")


def _inspect(arguments: argparse.Namespace) -> int:
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
    """Print the report, write its files, and give the exit status."""
    if arguments.baseline:
        from segdoctor.examination.baseline import with_baseline

        report = with_baseline(report, arguments.known, fail_on=arguments.fail_on)
    folder = _folder(arguments, command)
    paths = report.save(folder) if folder is not None else ()  # first: the reader may be gone
    try:
        _print(report, arguments, document)
    except BrokenPipeError:  # head, less: they have seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for path in paths:
        if path.endswith(".html"):
            print(f"report: {path}", file=sys.stderr)
    return report.exit_code


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


def _explain(arguments: argparse.Namespace) -> int:
    from segdoctor.pages import page_of

    print(page_of(arguments.code))
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from segdoctor.pages import listing

    print(listing())
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from segdoctor.demo import run_demo

    return run_demo(arguments.folder, budget_s=arguments.budget)
