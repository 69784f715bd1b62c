"""The command line: reads arguments, calls one function of :mod:`segdoctor.api`, sets the exit
status. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from segdoctor import __version__
from segdoctor import commands as command
from segdoctor.config import configure
from segdoctor.core.clean import clean
from segdoctor.core.errors import (
    HangingDataError,
    InterruptedEarlyError,
    UntrainedError,
    UserError,
)
from segdoctor.options import (
    add_data_options,
    add_fix_options,
    add_output_options,
    add_run_options,
    add_script_options,
    add_trial_options,
    count,
    seconds,
)

_EPILOG = """\
exit status: 0 examined, nothing at or above --fail-on · 1 findings · 2 usage, or nothing readable
             3 incomplete · 4 refused, the file needs --trust · 130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """Usage errors are one line and end with exit status 2."""

    def error(self, message: str) -> NoReturn:
        told = f"{clean(message)} (`{self.prog} --help` shows the options)"
        self.exit(command.EXIT_USAGE, f"{self.prog}: {told}\n")


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
            return command.EXIT_USAGE
        if getattr(arguments, "baseline", None):
            from segdoctor.examination.baseline import read_baseline

            arguments.known = read_baseline(arguments.baseline)
        return int(arguments.run(arguments))
    except InterruptedEarlyError as pressed:
        print(f"segdoctor: interrupted: {pressed}", file=sys.stderr)
        return command.EXIT_INTERRUPTED
    except KeyboardInterrupt:
        print("segdoctor: interrupted", file=sys.stderr)
        return command.EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone: nothing is left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UntrainedError, HangingDataError) as error:
        print(f"segdoctor: {error}", file=sys.stderr)
        return error.status
    except UserError as error:
        print(f"segdoctor: {error}", file=sys.stderr)
        return command.EXIT_USAGE


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
    check.set_defaults(run=command.check)

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
    run.set_defaults(run=command.run)

    fix = commands.add_parser(
        "fix",
        help="examine a run, and write copies with the fixes that a trial has confirmed",
        usage="segdoctor fix [options] MODEL | SCRIPT.py|NOTEBOOK.ipynb|-m MODULE [-- arguments]",
        epilog="exit status: 0 nothing is left, or all of it has a remedy here · else as `check`",
    )
    add_fix_options(fix)
    add_run_options(fix)
    add_data_options(fix)
    add_trial_options(fix)
    fix.set_defaults(run=command.fix)

    scan = commands.add_parser("scan", help="read a data set folder (no TensorFlow)")
    scan.add_argument("data", metavar="DIR|URL", help="a VOC layout, images/ and masks/, …")
    add_data_options(scan)
    scan.add_argument("--num-classes", type=count, metavar="N", help="number of classes")
    scan.add_argument("--deep", action="store_true", help="decode every image, not a sample")
    scan.add_argument(
        "--resume", action="store_true", help="with --out: read only what changed since the last"
    )
    scan.add_argument("--scheduler", metavar="dask|tcp://…", help="read over a Dask cluster")
    add_output_options(scan)
    scan.set_defaults(run=command.scan)

    inspect = commands.add_parser("inspect", help="read a model file as data (no TensorFlow)")
    inspect.add_argument("models", metavar="MODEL", nargs="+", help=".h5 or .keras files")
    inspect.add_argument("--verbose", action="store_true", help="every layer on its own line")
    add_output_options(inspect)
    inspect.set_defaults(run=command.inspect)

    explain = commands.add_parser("explain", help="what a code means, how it is measured, the fix")
    explain.add_argument("code", metavar="CODE", help="a code such as BN001, or its slug")
    explain.set_defaults(run=command.explain)

    listing = commands.add_parser("list", help="every code with its severity and cause")
    listing.set_defaults(run=command.list_codes)

    demo = commands.add_parser("demo", help="write a small data set and sick models, check them")
    demo.add_argument("folder", metavar="DIR", nargs="?", default="reports/demo")
    demo.add_argument("--budget", type=seconds, default=40.0, metavar="40s")
    demo.set_defaults(run=command.demo)
    return parser, {"check": check, "run": run, "fix": fix, "scan": scan, "inspect": inspect}
