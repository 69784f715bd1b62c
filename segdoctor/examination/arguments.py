"""The arguments of the calls, made sure of: one line for what cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from segdoctor.core.catalogue import codes_matching
from segdoctor.core.errors import UserError
from segdoctor.examination.request import Request

if TYPE_CHECKING:
    from segdoctor.core.run import Trial

FAIL_ON = ("error", "warning", "never")


def chooser_of(select: str | Iterable[str], ignore: str | Iterable[str]) -> Callable[[str], bool]:
    return Request(model=None, select=names_of(select), ignore=names_of(ignore)).chooser()


def names_of(codes: str | Iterable[str]) -> tuple[str, ...]:
    chosen = tuple(codes.split(",")) if isinstance(codes, str) else tuple(codes)
    codes_matching(chosen)
    return chosen


def fail_on_of(level: str) -> str:
    if level not in FAIL_ON:
        raise UserError(f"fail_on: expected one of {', '.join(FAIL_ON)}, received {level!r}")
    return level


def trial_of(trial: Trial | str | bool) -> Trial | None:
    from segdoctor.core.run import Trial

    if isinstance(trial, Trial):
        if trial.budget_s <= 0:
            raise UserError(f"trial: expected a budget above 0 s, received {trial.budget_s}")
        return trial
    if trial == "auto" or trial is True:
        return Trial()
    if trial is False or trial is None or trial == "off":
        return None
    raise UserError(f"trial: expected 'auto', False or a segdoctor.Trial, received {trial!r}")
