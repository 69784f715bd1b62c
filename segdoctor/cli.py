"""The command line: reads arguments, calls one function of :mod:`segdoctor.api`, sets the exit
status. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from segdoctor import __version__
from segdoctor.core.errors import UserError

if TYPE_CHECKING:
    from segdoctor.report.report import Report

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_SCAN_OPTIONS = (
    *("split", "val_split", "masks", "images", "pairs", "scheduler", "ignore_label", "label_map"),
    *("num_classes", "deep", "seed", "fail_on"),
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

_EPILOG = """\
exit status: 0 examined, nothing at or above --fail-on · 1 findings · 2 usage, or nothing readable
             3 incomplete · 4 refused, the file needs --trust · 130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """Usage errors are one line and end with exit status 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (`{self.prog} --help` shows the options)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    # TensorFlow's native log would drown the report; whoever wants it sets the variable.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning, module="keras")
    parser = _build_parser()
    arguments = parser.parse_args(argv)
    if not getattr(arguments, "run", None):
        parser.print_help()
        return EXIT_USAGE
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("segdoctor: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except UserError as error:
        print(f"segdoctor: {error}", file=sys.stderr)
        return EXIT_USAGE


def _build_parser() -> argparse.ArgumentParser:
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
    _add_run_options(check)
    _add_data_options(check)
    _add_trial_options(check)
    _add_output_options(check)
    check.set_defaults(run=_check)

    scan = commands.add_parser("scan", help="read a data set folder (no TensorFlow)")
    scan.add_argument("data", metavar="DIR", help="a VOC layout, or images/ and masks/")
    _add_data_options(scan)
    scan.add_argument("--num-classes", type=int, metavar="N", help="number of classes")
    scan.add_argument("--deep", action="store_true", help="decode every image, not a sample")
    scan.add_argument("--scheduler", metavar="dask|tcp://…", help="read over a Dask cluster")
    _add_output_options(scan)
    scan.set_defaults(run=_scan)

    inspect = commands.add_parser("inspect", help="read a model file as data (no TensorFlow)")
    inspect.add_argument("model", metavar="MODEL", help="a .h5 or .keras file")
    inspect.add_argument("--verbose", action="store_true", help="every layer on its own line")
    _add_output_options(inspect)
    inspect.set_defaults(run=_inspect)

    explain = commands.add_parser("explain", help="what a code means, how it is measured, the fix")
    explain.add_argument("code", metavar="CODE", help="a code such as BN001, or its slug")
    explain.set_defaults(run=_explain)

    listing = commands.add_parser("list", help="every code with its severity and cause")
    listing.set_defaults(run=_list)

    demo = commands.add_parser("demo", help="write a small data set and sick models, check them")
    demo.add_argument("folder", metavar="DIR", nargs="?", default="reports/demo")
    demo.add_argument("--budget", type=_seconds, default=20.0, metavar="20s")
    demo.set_defaults(run=_demo)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument_group("the run (a flag overrides what the file was compiled with)")
    run.add_argument("--data", metavar="DIR", help="the data set folder")
    run.add_argument(
        "--loss", metavar="NAME", help="a Keras loss, Name(option=value), or file.py:function"
    )
    scale = run.add_mutually_exclusive_group()
    scale.add_argument("--from-logits", dest="from_logits", action="store_true", default=None)
    scale.add_argument("--probabilities", dest="from_logits", action="store_false")
    run.add_argument(
        "--metric", dest="metrics", action="append", metavar="NAME", help="like --loss; repeatable"
    )
    run.add_argument("--optimizer", metavar="NAME", help="a Keras optimizer, or file.py:name")
    run.add_argument("--learning-rate", type=float, metavar="RATE")
    run.add_argument(
        "--freeze", metavar="N|NAME|bn", help="freeze the first N layers, up to NAME, or all BN"
    )
    run.add_argument("--num-classes", type=int, metavar="N")
    run.add_argument("--batch-size", type=int, metavar="N", help="the run's batch size")
    run.add_argument("--epochs", type=int, metavar="N", help="the epochs that are planned")
    run.add_argument("--steps-per-epoch", type=int, metavar="N", help="batches of one epoch")
    run.add_argument(
        "--history", metavar="LOG", help="a CSVLogger or JSON file, or a TensorBoard folder"
    )
    run.add_argument(
        "--keras", metavar="VERSION", help="the Keras that runs it, where the file does not say"
    )
    run.add_argument(
        "--arch", metavar="NAME", help="of a weights-only file: deeplabv3plus-xception …"
    )
    run.add_argument("--objects", metavar="FILE.py", help="defines the file's custom layers")
    run.add_argument("--trust", action="store_true", help="let code in the model file run")


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("the data")
    data.add_argument("--split", metavar="train|val|trainval|FILE", help="default: train, else all")
    data.add_argument("--val-split", metavar="NAME|FILE")
    data.add_argument("--masks", metavar="FOLDER", help="which mask folder, if there are several")
    data.add_argument("--images", metavar="FOLDER", help="with --masks: no layout is guessed")
    data.add_argument("--pairs", metavar="FILE", help="a list of pairs: image and mask on a line")
    data.add_argument("--ignore-label", type=_label, metavar="255|none", default=None)
    data.add_argument("--label-map", metavar="15=1,*=0", help="ids not listed stay without *=")
    data.add_argument(
        "--labels", choices=("ids", "onehot", "onehot-zero", "onehot-255"), help="how yours encodes"
    )
    data.add_argument("--preprocess", choices=("tf", "caffe", "torch", "unit", "none"))
    data.add_argument("--resize", choices=("fit", "crop", "stretch"), default="fit")


def _add_trial_options(parser: argparse.ArgumentParser) -> None:
    trial = parser.add_argument_group("the trial")
    trial.add_argument("--trial", choices=("auto", "off"), default="auto")
    trial.add_argument(
        "--budget", type=_seconds, default=None, metavar="60s", help="for all trials"
    )
    trial.add_argument("--steps", type=int, metavar="N", help="steps of each trial run")
    trial.add_argument("--crop", type=int, metavar="PX", help="side of the crop")
    trial.add_argument("--trial-batch", type=int, metavar="N", help="examples in the trial's batch")
    trial.add_argument("--device", default="auto", metavar="auto|cpu|gpu:0")


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--out", metavar="FOLDER", help="where the report goes (reports/NAME)")
    output.add_argument("--select", action="append", default=[], metavar="CODE,…")
    output.add_argument("--ignore", action="append", default=[], metavar="CODE,…")
    output.add_argument("--fail-on", choices=("error", "warning", "never"), default="error")
    output.add_argument("--format", choices=("text", "json"), default="text")
    output.add_argument("--seed", type=int, default=0)


def _seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"expected a time such as 60s or 2m, received {text!r}")
    return value


def _label(text: str) -> int | bool:
    if text.lower() in ("none", "false", "no"):
        return False
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an id or none, received {text!r}") from None


def _split_codes(values: list[str]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part.strip())


def _check(arguments: argparse.Namespace) -> int:
    from segdoctor import api
    from segdoctor.core.run import Trial
    from segdoctor.report.progress import Progress

    trial: Trial | bool = False
    if arguments.trial == "auto":
        trial = Trial(
            budget_s=arguments.budget or Trial().budget_s,
            steps=arguments.steps,
            crop=arguments.crop,
            batch=arguments.trial_batch,
        )
    with Progress(quiet=False) as progress:
        report = api.check(
            arguments.model,
            arguments.data,
            trial=trial,
            select=_split_codes(arguments.select),
            ignore=_split_codes(arguments.ignore),
            fail_on=arguments.fail_on,
            out=_folder(arguments, "check"),
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
    # A short life: collecting its garbage, or starting BLAS' threads, would cost more than it does.
    gc.disable()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from segdoctor import api

    report = api.inspect(
        arguments.model,
        select=_split_codes(arguments.select),
        ignore=_split_codes(arguments.ignore),
        out=arguments.out,
        fail_on=arguments.fail_on,
        seed=arguments.seed,
    )
    return _show(report, arguments, "inspect")


def _folder(arguments: argparse.Namespace, command: str) -> str | None:
    """Where the report goes. ``check`` always writes one; the others only where asked."""
    if arguments.out or command != "check":
        return arguments.out if arguments.out is None else str(arguments.out)
    stem = os.path.basename(os.path.normpath(arguments.model)).rsplit(".", 1)[0] or "model"
    return os.path.join("reports", stem)


def _show(report: Report, arguments: argparse.Namespace, command: str) -> int:
    """Print the report, write its files, and give the exit status."""
    if arguments.format == "json":
        from segdoctor.report.document import to_json

        sys.stdout.write(to_json(report) + "\n")
    else:
        from segdoctor.report.screen import show

        show(report, verbose=bool(getattr(arguments, "verbose", False)))
    folder = _folder(arguments, command)
    if folder is not None:
        paths = report.save(folder)
        print(f"report: {next(p for p in paths if p.endswith('.html'))}", file=sys.stderr)
    return report.exit_code


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
