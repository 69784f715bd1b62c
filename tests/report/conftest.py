"""Hand-made reports: what the api would hand over, without TensorFlow and without a trial."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from segdoctor.core.catalogue import CATALOGUE
from segdoctor.core.engine import Outcome
from segdoctor.core.finding import Evidence, Finding, Fix, Verdict
from segdoctor.core.trial_facts import Picture, TrialRun
from segdoctor.measures.drawing import draw_scene
from segdoctor.report.report import Report

HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202egnp.exe <script>alert('1')</script> \"quoted\" $x_1^{$"


def outcomes(
    findings: tuple[Finding, ...], examined: tuple[str, ...] = ("BN", "OUT", "IGN", "LBL", "GRAD")
):
    answers = []
    for code, entry in CATALOGUE.items():
        own = tuple(f for f in findings if f.code == code)
        if own:
            answers.append(Outcome(code, "fired", "", own, 0.01))
        elif code == "BN007":
            answers.append(
                Outcome(
                    code, "not examined", "the planned epochs are not known (--epochs would tell)"
                )
            )
        elif code in ("BN002",):
            answers.append(
                Outcome(
                    code, "not examined", "the batch size is not known (--batch-size would tell)"
                )
            )
        elif entry.family in examined:
            answers.append(Outcome(code, "clear", "", (), 0.001))
        else:
            answers.append(Outcome(code, "not examined", "this version has no probe for it yet"))
    return tuple(answers)


def trial(name: str, final: float, miou: float, verdict: str, patch=None, inference=None, note=""):
    steps = 60
    curve = []
    for step in range(steps + 1):
        share = 1 - math.exp(-step / 12)
        loss = 3.04 + (final - 3.04) * share + 0.06 * math.sin(step * 1.7) * (1 - share)
        seen = 0.03 + (miou - 0.03) * share if step % 6 == 0 else None
        curve.append((step, loss, seen))
    return TrialRun(
        name=name,
        patch=patch or {},
        steps=steps,
        seconds=21.4,
        loss_first=3.04,
        loss_last=final,
        miou_training=miou,
        miou_inference=miou - 0.02 if inference is None else inference,
        ceiling=0.94,
        constant=0.18,
        verdict=verdict,
        per_class={0: miou, 5: miou - 0.03, 15: miou + 0.01},
        curve=tuple(curve),
        note=note,
    )


def pictures(count: int = 2, size: int = 96) -> tuple[Picture, ...]:
    rng = np.random.default_rng(0)
    made = []
    for index in range(count):
        image, label = draw_scene(rng, (size, size))
        after = np.where(label == 255, 0, label)
        made.append(
            Picture(
                name=f"2007_00{index}032",
                image=image,
                label=label,
                predictions={"as it is": np.zeros_like(label), "with the fixes": after},
            )
        )
    return tuple(made)


def measured() -> dict:
    rng = np.random.default_rng(1)
    gradients, norms = [], []
    for index in range(60):
        depth = index / 59
        frozen = index < 24
        norm = None if index in (30, 31) else float(10 ** (rng.normal(-2.5 + 2 * depth, 0.25)))
        gradients.append(
            {
                "layer": f"block_{index}/conv",
                "variable": "kernel",
                "depth": depth,
                "norm": 0.0 if index == 33 else norm,
                "weight_norm": 3.0,
                "trainable": not frozen,
            }
        )
        norms.append(
            {
                "layer": f"block_{index}/bn",
                "trainable": not frozen,
                "training_mode": "batch" if (frozen and index < 12) or not frozen else "moving",
                "inference_mode": "moving",
                "mean_gap": float(abs(rng.normal(2.4 if index < 12 else 0.2, 0.1))),
                "variance_gap": float(abs(rng.normal(1.1 if index < 12 else 0.1, 0.05))),
                "depth": depth,
            }
        )
    return {
        "pages": {
            "BN001": {
                "why": "A layer that is frozen and yet normalises with the statistics of the batch "
                "gives the layers behind it other numbers in every step. The kernels were trained "
                "for the moving statistics, so the features that reach the head are not those of "
                "the pretrained network.",
                "fine": "A trainable BN uses batch statistics in training. That is its work.",
            }
        },
        "gradients": gradients,
        "batch_norms": norms,
        "histogram": {"0": 180_000, "5": 22_000, "9": 4_000, "15": 41_000, "255": 14_000},
        "loss": {
            "name": "CategoricalCrossentropy(from_logits=True)",
            "expects": "logits",
            "head": "softmax (sums to 1 over 21 channels)",
            "labels": "one-hot",
            "fed": "ids 0, 5, 9, 15 and 255",
            "ignores": "nothing",
            "value": 3.0412,
        },
        "class_names": {"0": "background", "5": "bottle", "15": "person"},
    }


VERSIONS = {"segdoctor": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.1", "python": "3.11.2"}


def sick_findings() -> tuple[Finding, ...]:
    return (
        Finding(
            "BN001",
            "12 of 24 frozen BatchNormalization layers normalise with the statistics of the batch "
            "when fit calls the model.",
            (
                Evidence(
                    "frozen BN on batch statistics", 12, 0, "layers", "block_0/bn … block_11/bn"
                ),
                Evidence("output gap, training against inference", 2.413, 0.25, "", "block_0/bn"),
                Evidence("share of the gap left after recalibration", 0.9312, 0.1, "share"),
            ),
            Fix(
                "Call the frozen backbone in inference mode, with the statistics of its training.",
                "backbone.trainable = False\n"
                "features = backbone(inputs, training=False)\n"
                "if True:\n    model.compile(optimizer, loss)  # compile again after freezing",
                {"bn.mode": "inference"},
            ),
            "error",
            Verdict("confirmed", "removes the evidence", "gap 2.413 → 0.004, loss 0.07 either way"),
        ),
        Finding(
            "IGN001",
            "Void pixels (255) move the loss and have a gradient: 9.1 % of all gradient comes from "
            "pixels that have no label.",
            (
                Evidence("gradient at void pixels", 3.1e-05, 0, "", "batch of 4"),
                Evidence("void share of the gradient", 0.0912, 0, "share"),
            ),
            Fix(
                "Tell the loss which label is void.",
                "loss = keras.losses.SparseCategoricalCrossentropy(\n"
                "    from_logits=True, ignore_class=255)",
                {"loss.ignore_class": 255},
            ),
            "error",
            Verdict("confirmed", "decisive", "mIoU 0.21 without it, 0.91 with it, of 0.94"),
        ),
        Finding(
            "LOSS002",
            "The loss is least where void pixels are predicted as class 0.",
            (Evidence("loss at the perfect prediction", 0.31, 0.0),),
            severity="info",
            because_of="IGN001",
        ),
        Finding(
            "BN009",
            "The freeze boundary separates block_12/conv (frozen) from block_12/bn (trainable).",
            (Evidence("pairs that are split", 1, 0, "", "block_12/bn"),),
            Fix("Freeze to the end of the block.", "for layer in model.layers[:357]: ..."),
            "warning",
            Verdict("inconclusive", "none", "no budget was left for this trial"),
        ),
    )


def sick() -> Report:
    findings = sick_findings()
    return Report(
        kind="check",
        subject="deeplabv3plus_xception.h5 with voc/",
        exit_code=1,
        findings=findings,
        outcomes=outcomes(findings),
        diagnosis=("IGN001", "BN001"),
        headline="This run does not learn because void pixels reach the loss (IGN001). With "
        "ignore_class=255 it reaches mIoU 0.91 of 0.94 on one batch; its frozen batch norm (BN001) "
        "would then fail at inference.",
        trials=(
            trial("as it is", 2.61, 0.21, "does not learn", inference=0.04),
            trial("with IGN001", 0.11, 0.91, "learns", {"loss.ignore_class": 255}, 0.08),
            trial("with IGN001 and BN001", 0.07, 0.92, "learns", {"bn.mode": "inference"}),
        ),
        run={
            "model": {"layers": 167, "parameters": 41_258_213, "keras": "3.15.1"},
            "loss": "sparse_categorical_crossentropy",
            "optimizer": "adam 1e-3",
            "batch": "4 × 96 × 96 × 3",
            "ignore_label": 255,
        },
        measured=measured(),
        pictures=pictures(),
        versions=VERSIONS,
        timings={"load": 1.21, "record": 8.3, "trial": 44.0},
        notes=("The trial used a crop of 96 px and a batch of 4 to fit 60 s on 2 cores.",),
        seed=7,
    )


def healthy() -> Report:
    facts = measured()
    facts["batch_norms"] = []
    return Report(
        kind="check",
        subject="deeplab.keras with voc/",
        exit_code=0,
        outcomes=outcomes(()),
        diagnosis=(),
        headline="",
        trials=(trial("as it is", 0.05, 0.92, "learns"),),
        measured=facts,
        pictures=pictures(1),
        versions=VERSIONS,
        timings={"trial": 12.5},
    )


def refused() -> Report:
    finding = Finding(
        "MDL001",
        "Lambda 'lambda_3' carries bytecode that loading would run; it was not run.",
        (Evidence("functions with bytecode", 1, 0, "", "lambda_3"),),
        Fix("If you know where the file comes from, open its code for this one file: --trust"),
        "warning",
    )
    return Report(
        kind="check",
        subject="downloaded.h5",
        exit_code=4,
        findings=(finding,),
        outcomes=outcomes((finding,), ()),
        versions=VERSIONS,
    )


def scan_only() -> Report:
    finding = Finding(
        "DATA002",
        "3 files cannot be read.",
        tuple(
            Evidence("truncated", f"ends after {n} bytes", None, "", f"JPEGImages/{n}.jpg")
            for n in range(3)
        ),
    )
    return Report(
        kind="scan",
        subject="voc/",
        exit_code=1,
        findings=(finding,),
        outcomes=outcomes((finding,), ("DATA",)),
        diagnosis=None,
        run={"pairs": 229, "layout": "VOC"},
        measured={"histogram": {"0": 1000, "255": 30}},
    )


def inspect_only() -> Report:
    return Report(
        kind="inspect",
        subject="model.keras",
        exit_code=0,
        outcomes=outcomes((), ("MDL",)),
        measured={
            "tables": [
                {
                    "title": "Layers",
                    "columns": ["layer", "class", "parameters"],
                    "rows": [["stem", "Conv2D", 896], ["bn_1", "BatchNormalization", 128]],
                }
            ]
        },
        versions=VERSIONS,
    )


def many() -> Report:
    findings = tuple(
        Finding(
            code,
            f"{entry.cause}. " * 6,
            tuple(Evidence(f"number {n}", n * 1.5, n, "px", f"layer_{n}") for n in range(40)),
            Fix("Repair it. " * 20, "model.fit(x, y)\n" * 90),
            entry.severity,
        )
        for code, entry in CATALOGUE.items()
        for _ in range(4)
    )
    return Report("check", "many.h5", 1, findings, outcomes(findings), pictures=pictures(8, 200))


def hostile() -> Report:
    findings = (
        Finding(
            "BN001",
            HOSTILE,
            (
                Evidence(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
                Evidence("=cmd|'/c calc'!A0", math.nan, math.inf, "share"),
            ),
            Fix(HOSTILE, f"x = 1\n    y = 2  # {HOSTILE}", {HOSTILE: HOSTILE}),
            "error",
            Verdict("refuted", "none", HOSTILE),
        ),
        Finding("BN003", "=cmd|'/c calc'!A0", because_of="BN003"),
        Finding("OUT001", "ring", because_of="OUT002"),
        Finding("OUT002", "ring", because_of="OUT001"),
    )
    run = trial(HOSTILE, math.nan, math.nan, HOSTILE, {HOSTILE: HOSTILE}, note=HOSTILE)
    broken = (*run.curve[:3], (3, math.inf, math.nan), (4, -1.0, None))
    run = TrialRun(
        **{
            **{name: getattr(run, name) for name in run.__slots__},
            "curve": broken,
            "name": "_" + HOSTILE,
        }
    )
    facts = measured()
    facts["gradients"][0] |= {"layer": HOSTILE, "norm": math.nan}
    facts["gradients"][1] |= {"norm": math.inf}
    facts["batch_norms"][0] |= {"mean_gap": math.nan, "training_mode": HOSTILE}
    facts["histogram"][HOSTILE] = 12
    facts["loss"]["name"] = HOSTILE
    facts["class_names"]["5"] = HOSTILE
    facts["tables"] = [{"title": HOSTILE, "columns": [HOSTILE], "rows": [[HOSTILE], [math.nan]]}]
    facts["array"] = np.array([[1.0, math.nan], [math.inf, 2.0]], dtype=np.float32)
    sample = pictures(1)[0]
    return Report(
        kind="check",
        subject=HOSTILE,
        exit_code=3,
        findings=findings,
        outcomes=(*outcomes(findings)[:4], Outcome("LBL001", "crashed", HOSTILE)),
        diagnosis=("BN001",),
        headline=HOSTILE,
        trials=(run,),
        run={HOSTILE: HOSTILE, "scalar": np.float32(1.5), "none": None},
        measured=facts,
        pictures=(Picture(HOSTILE, sample.image, sample.label, {HOSTILE: sample.label}),),
        versions={HOSTILE: HOSTILE},
        timings={HOSTILE: math.nan},
        notes=(HOSTILE,),
    )


REPORTS: dict[str, Callable[[], Report]] = {
    "sick": sick,
    "healthy": healthy,
    "refused": refused,
    "scan": scan_only,
    "inspect": inspect_only,
    "many": many,
    "hostile": hostile,
}


@pytest.fixture
def make_report() -> Callable[[str], Report]:
    """A report by name: ``make_report("sick")``."""
    return lambda name: REPORTS[name]()
