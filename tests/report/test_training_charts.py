"""The curves of a training are drawn, also broken ones, and left out where there are none."""

from __future__ import annotations

import math

from segdoctor.report.figures import figures
from segdoctor.report.report import Report

HISTORY = {
    "source": "log.csv",
    "epochs": [0, 1, 2],
    "series": {"loss": [2.0, None, math.nan], "val_iou": [0.1, 0.2, None], "lr": [1e-3] * 3},
    "marks": [{"place": 1, "code": "HIST004"}],
}
SWEEP = {
    "rates": [1e-6, 1e-4, 1e-2, 1.0],
    "losses": [2.0, 1.9, 1.0, None],
    "low": 1e-4,
    "high": 3e-3,
    "run": 1e-5,
    "optimizer": "Adam",
    "seconds": 1.0,
}


def report(**measured: object) -> Report:
    return Report(
        kind="check",
        subject="model",
        exit_code=0,
        findings=(),
        outcomes=(),
        diagnosis=None,
        headline="",
        measured=measured,
    )


def test_history_and_sweep_are_drawn() -> None:
    drawn = {figure.slug: figure for figure in figures(report(history=HISTORY, sweep=SWEEP))}
    assert b"<svg" in drawn["history"].light
    assert b"<svg" in drawn["sweep"].dark
    only_loss = {**HISTORY, "series": {"loss": [1.0, 2.0, 3.0]}}
    (history,) = [f for f in figures(report(history=only_loss)) if f.slug == "history"]
    assert not history.missing
    assert not {"history", "sweep"} & {figure.slug for figure in figures(report())}
