"""Runs a program with the watch on, and says how it ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from segdoctor.core.clean import clean
from segdoctor.core.errors import UserError
from segdoctor.sources.script.captured import Captured
from segdoctor.sources.script.program import Program, as_main, own_traceback
from segdoctor.sources.script.watch import Watch

EXIT_USAGE = 2


class Stopped(BaseException):
    """Ends the script at its training. Not an ``Exception``: the script's own handlers of errors
    must not take it for one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: the exit status that Python would give, and one line where it ended
    without the training that was asked for (or failed after it)."""

    status: int = 0
    words: str = ""
    failed: bool = False


def launch(
    program: Program,
    args: Sequence[str],
    caught: Callable[[Captured], None],
    *,
    number: int = 1,
    go_on: bool = False,
) -> Ended:
    """Run ``program`` until its ``number``-th training, hand that to ``caught``, and stop the
    program (or let it go on).

    Raises
    ------
    UserError
        What ``caught`` raises, and a training that cannot be examined.
    """
    came: list[Captured] = []
    broken: list[BaseException] = []

    def found(training: Captured) -> None:
        came.append(training)
        try:
            caught(training)
        except BaseException as error:
            # Not through the script: its own handlers of errors must not take it for theirs.
            broken.append(error)
            raise Stopped from error
        if not go_on:
            raise Stopped

    watch = Watch(found, number)
    ended = Ended()
    try:
        with watch.watching(), as_main(program, args):
            program.run()
    except Stopped:
        return ended
    except (UserError, KeyboardInterrupt):
        raise
    except SystemExit as ending:
        ended = _exit(ending)
    except ImportError as error:
        if program.argv0 == "-m" and error.name is None:  # runpy: there is no such module
            raise UserError(f"-m {clean(program.name)}: {clean(error)}") from error
        ended = _failed(error)
    except BaseException as error:  # noqa: BLE001 - the boundary: a script may fail in any way
        ended = _failed(error)
    finally:
        with suppress(AttributeError, OSError, ValueError):  # it may have closed or replaced it
            sys.stdout.flush()
        if broken:
            raise broken[0]
    if came:
        return ended
    return _untrained(ended, watch.seen, number)


def _exit(ending: SystemExit) -> Ended:
    """What Python makes of ``sys.exit(code)``: a text goes to stderr, and the status is 1."""
    if ending.code is None or isinstance(ending.code, int):
        return Ended(int(ending.code or 0))
    print(ending.code, file=sys.stderr)
    return Ended(1)


def _failed(error: BaseException) -> Ended:
    sys.stderr.write(own_traceback(error))
    return Ended(1, failed=True)


def _untrained(ended: Ended, seen: int, number: int) -> Ended:
    """The line for a program in which the training was not reached."""
    if ended.failed:
        before = "it trained" if number == 1 else f"its training number {number}"
        return Ended(EXIT_USAGE, f"the script failed before {before}; its traceback is above", True)
    if ended.status:
        return Ended(ended.status, f"the script ended with exit status {ended.status}, untrained")
    if seen:
        return Ended(
            EXIT_USAGE, f"the script trains {seen} time(s): expected at least {number} (--fit)"
        )
    return Ended(
        EXIT_USAGE,
        "the script ended and never trained: expected a call of fit, train_on_batch or "
        "optimizer.apply_gradients under a GradientTape in this process",
    )
