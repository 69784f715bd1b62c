"""The options of the command line, by what they are about."""

from __future__ import annotations

import argparse

FORMATS = ("text", "json", "junit", "sarif", "github")


def add_run_options(parser: argparse.ArgumentParser) -> None:
    run = parser.add_argument_group("the run (a flag overrides what the file was compiled with)")
    run.add_argument(
        "--data", metavar="DIR|URL|FILE.py:NAME", help="the data set, or batches of your own"
    )
    _add_files(run)
    _add_loss_options(run)
    run.add_argument(
        "--freeze", metavar="N|NAME|bn", help="freeze the first N layers, up to NAME, or all BN"
    )
    run.add_argument("--num-classes", type=count, metavar="N")
    run.add_argument("--batch-size", type=count, metavar="N", help="the run's batch size")
    run.add_argument("--epochs", type=count, metavar="N", help="the epochs that are planned")
    run.add_argument("--steps-per-epoch", type=count, metavar="N", help="batches of one epoch")
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


def _add_files(run: argparse._ArgumentGroup) -> None:
    run.add_argument(
        "--files", metavar="DIR|URL", help="what your own batches are made of: they are compared"
    )


def _add_loss_options(run: argparse._ArgumentGroup) -> None:
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
    run.add_argument("--learning-rate", type=rate, metavar="RATE")


def add_script_options(parser: argparse.ArgumentParser) -> None:
    """``segdoctor run``: what is run, and what stands above what the script says."""
    parser.add_argument("-m", dest="module", action="store_true", help="SCRIPT is a module's name")
    parser.add_argument(
        "--fit",
        type=int,
        default=1,
        metavar="N",
        help="examine the N-th training; those before run",
    )
    parser.add_argument(
        "--continue",
        dest="go_on",
        action="store_true",
        help="let the script train on after the report (default: stop it)",
    )
    run = parser.add_argument_group("the run (a flag stands above what the script says)")
    _add_loss_options(run)
    run.add_argument("--num-classes", type=count, metavar="N")
    run.add_argument("--epochs", type=count, metavar="N", help="the epochs that are planned")
    run.add_argument("--steps-per-epoch", type=count, metavar="N", help="batches of one epoch")
    run.add_argument("--history", metavar="LOG", help="a CSVLogger or JSON file, or a folder")
    run.add_argument("--ignore-label", type=label, metavar="255|none", default=None)
    _add_files(run)
    run.add_argument("--split", metavar="NAME|FILE", help="of --files: what is trained on")
    run.add_argument("--masks", metavar="FOLDER", help="of --files: which mask folder")


def add_fix_options(parser: argparse.ArgumentParser) -> None:
    """``segdoctor fix``: what is examined, and where the copies go."""
    parser.add_argument("target", metavar="TARGET", help="a .h5 or .keras file, or a script")
    parser.add_argument("args", nargs="*", help="after --: handed to the script")
    parser.add_argument("--to", metavar="FOLDER", help="a new folder (default: fixed/NAME)")
    parser.add_argument("-m", dest="module", action="store_true", help="TARGET is a module's name")
    parser.add_argument("--fit", type=int, default=1, metavar="N", help="of a script: its training")
    _add_choice(parser)


def _add_choice(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    parser.add_argument("--select", action="append", default=[], metavar="CODE,…")
    parser.add_argument("--ignore", action="append", default=[], metavar="CODE,…")
    parser.add_argument("--seed", type=seed, default=0)


def add_data_options(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("the data")
    data.add_argument("--split", metavar="train|val|trainval|FILE", help="default: train, else all")
    data.add_argument("--val-split", metavar="NAME|FILE")
    data.add_argument("--masks", metavar="FOLDER", help="which mask folder, if there are several")
    data.add_argument("--images", metavar="FOLDER", help="with --masks: no layout is guessed")
    data.add_argument("--pairs", metavar="FILE", help="a list of pairs: image and mask on a line")
    data.add_argument("--ignore-label", type=label, metavar="255|none", default=None)
    data.add_argument("--label-map", metavar="15=1,*=0", help="ids not listed stay without *=")
    data.add_argument(
        "--labels", choices=("ids", "onehot", "onehot-zero", "onehot-255"), help="how yours encodes"
    )
    data.add_argument("--preprocess", choices=("tf", "caffe", "torch", "unit", "none"))
    data.add_argument("--resize", choices=("fit", "crop", "stretch"), default="fit")


def add_trial_options(parser: argparse.ArgumentParser) -> None:
    trial = parser.add_argument_group("the trial")
    trial.add_argument("--trial", choices=("auto", "off"), default="auto")
    trial.add_argument(
        "--budget", type=seconds, default=None, metavar="60s", help="for all trials (on a GPU: 30s)"
    )
    trial.add_argument("--steps", type=count, metavar="N", help="steps of each trial run")
    trial.add_argument("--crop", type=count, metavar="PX", help="side of the crop")
    trial.add_argument(
        "--trial-batch", type=count, metavar="N", help="examples in the trial's batch"
    )
    trial.add_argument("--device", default="auto", metavar="auto|cpu|gpu:0")


def add_output_options(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--out", metavar="FOLDER", help="where the report goes (reports/NAME)")
    _add_choice(output)
    output.add_argument("--fail-on", choices=("error", "warning", "never"), default="error")
    output.add_argument("--format", choices=FORMATS, default="text")
    output.add_argument(
        "--baseline", metavar="REPORT.json", help="an earlier report: its findings do not count"
    )


def seconds(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], units[text[-1]]) if text[-1:] in units else (text, 1.0)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"expected a time such as 60s or 2m, received {text!r}")
    return value


def label(text: str) -> int | bool:
    if text.lower() in ("none", "false", "no"):
        return False
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected an id or none, received {text!r}") from None


def count(text: str) -> int:
    return _whole(text, 1, "a whole number of at least 1")


def seed(text: str) -> int:
    return _whole(text, 0, "a whole number of at least 0")


def _whole(text: str, least: int, expected: str) -> int:
    try:
        value = int(text)
    except ValueError:  # also one of more digits than Python reads
        value = least - 1
    if not least <= value < 1 << 31:
        raise argparse.ArgumentTypeError(f"expected {expected}, received {text[:40]!r}")
    return value


def rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a rate above 0, received {text[:40]!r}")
    return value
