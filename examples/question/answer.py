"""Examines the run of the question and writes the answer to it.

    python examples/question/answer.py [FOLDER]

FOLDER (default ``reports/question``) holds what is made on the way: the trained backbone, 1449
drawn scenes, the model file. The report goes to ``reports/sample``, the answer in plain words to
``examples/question/ANSWER.md``. About ten minutes on two cores, most of it training the backbone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import run

HERE = Path(__file__).parent
RATES = (1e-1, 1e-5)
LOSSES = {
    "the Dice as printed": run.printed_dice,
    "the cross-entropy of what is not 255": run.gathered_entropy,
}


def main() -> None:
    import segdoctor

    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "reports/question")
    folder.mkdir(parents=True, exist_ok=True)
    path, voc = model_file(folder), run.drawn_voc(folder)
    report = examined(path, voc, trial=segdoctor.Trial(budget_s=240))
    report.save("reports/sample")
    rates = {rate: examined(path, voc, rate, trial=False, select=("OPT001",)) for rate in RATES}
    losses = {
        name: examined(path, voc, loss=loss, trial=False, select=("LOSS",))
        for name, loss in LOSSES.items()
    }
    (HERE / "ANSWER.md").write_text(answer(report, rates, losses))
    print(report)


def model_file(folder: Path) -> Path:
    """The model as the Keras of that time would have left it on disk."""
    import h5py

    path = folder / "question.h5"
    run.question_model(folder).save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "2.2.4"
    return path


def examined(path: Path, voc: Path, rate: float = run.RATE, loss: Any = None, **how: Any) -> Any:
    import keras

    import segdoctor

    return segdoctor.check(
        path,
        voc,
        loss=loss or run.soft_dice,
        optimizer=keras.optimizers.Adadelta(rate),
        metrics=[run.mean_iou],
        callbacks=run.callbacks(),
        validation_data=False,
        epochs=run.EPOCHS,
        batch_size=run.BATCH,
        labels="onehot-255",
        preprocess="tf",
        num_classes=run.CLASSES,
        **how,
    )


def answer(report: Any, rates: dict[float, Any], losses: dict[str, Any]) -> str:
    """The page, with nothing in it that was not measured."""
    by_code = {finding.code: finding for finding in report.findings}
    trials = {trial.name: trial for trial in report.trials}
    as_it_is = trials["as it is"]
    decisive = [c for c in report.diagnosis if by_code[c].verdict.effect == "decisive"]
    others = [c for c in report.diagnosis if c not in decisive]
    lines = [
        "# Why does it not learn?",
        "",
        "_Written by `python examples/question/answer.py`; every figure is of the report in "
        "`reports/sample`. The data are drawn, and the backbone was trained on drawn scenes: no "
        "pretrained Xception was at hand._",
        "",
        f"**In one sentence.** {report.headline}",
        "",
        "## What alone keeps it from learning",
        "",
        f"As it is, the run trained {as_it_is.steps} steps on one batch, the same at every step: "
        f"loss {as_it_is.loss_first:.3f} → {as_it_is.loss_last:.3f}, mean IoU "
        f"{as_it_is.miou_training:.2f} where a constant prediction has {as_it_is.constant:.2f} "
        f"and the model's grid allows {as_it_is.ceiling:.2f}: *{as_it_is.verdict}*.",
        "",
    ]
    for code in decisive:
        lines += _told(by_code[code])
    lines += [
        "The trials:",
        "",
        "| run | steps | loss | mean IoU | verdict |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {t.name} | {t.steps} | {t.loss_first:.3f} → {t.loss_last:.3f} | "
        f"{t.miou_training:.2f} | {t.verdict} |"
        for t in report.trials
    ]
    lines += [
        "",
        f"The smallest set of fixes with which one batch is memorised: **{', '.join(decisive)}**.",
        "",
        "## What else is wrong",
        "",
        "These do not keep one batch from being memorised. The fix of each was applied, and the "
        "fault was gone when it was measured again.",
        "",
    ]
    for code in others:
        lines += _told(by_code[code])
    lines += ["Worth knowing, and no reason for the flat curve:", ""]
    lines += [
        f"* {finding.code}: {finding.message}"
        for finding in report.findings
        if finding.severity == "warning" and not finding.because_of
    ]
    lines += ["", "## You tried other rates and losses", ""]
    for rate, other in rates.items():
        told = [f.message for f in other.findings if f.code == "OPT001"]
        lines.append(f"* Adadelta at {rate:g}: {told[0] if told else 'its step is large enough.'}")
    for name, other in losses.items():
        told = [f"{f.code}: {f.message}" for f in other.findings if f.severity == "error"]
        lines.append(f"* {name}: {told[0] if told else 'no error was found in it.'}")
    return "\n".join(lines) + "\n"


def _told(finding: Any) -> list[str]:
    fix = finding.fix
    code = f"\n  `{fix.code.splitlines()[0]}`" if fix is not None and fix.code else ""
    words = f" *Fix:* {fix.words}{code}" if fix is not None else ""
    return [f"* **{finding.code}** {finding.message}{words}", ""]


if __name__ == "__main__":
    main()
