"""From an examination to the report of it: plain tables, pictures, versions."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from segdoctor.core.measured import Declared
from segdoctor.core.trace import Missing, Trace
from segdoctor.core.trial_facts import AS_IT_IS, Picture, TrialRun
from segdoctor.examination import (
    added_loss,
    classes_first,
    flat_output,
    outputs,
    own_training,
    packed,
    several_inputs,
    training_tables,
    verdict,
)
from segdoctor.examination.feeding import with_own_batches
from segdoctor.examination.loss_tables import loss_tables
from segdoctor.examination.request import Request, silent
from segdoctor.examination.stages import Examination
from segdoctor.examination.versions import versions
from segdoctor.examination.void_stations import void_picture
from segdoctor.probes.registry import PROBES, SECOND_PASS
from segdoctor.report.notebook_bar import notebook_bar
from segdoctor.report.report import Report
from segdoctor.trial.judge import settles

_PICTURES = 4


def examined(request: Request) -> Report:
    """Examine what ``request`` describes.

    Raises
    ------
    UserError
        For an argument that cannot be, or a folder that cannot be written.
    """
    from segdoctor.report.files import check_writable

    if request.out is not None:
        check_writable(request.out)
    request = with_own_batches(request)
    with notebook_bar() if request.say is silent else nullcontext() as bar:
        return _of_all_outputs(replace(request, say=bar or request.say))


def _of_all_outputs(request: Request) -> Report:
    request, taken = added_loss.taken_apart(request)
    request, inputs = several_inputs.as_one(request)
    if not taken:
        request, taken = own_training.asked_itself(request)
    request, weights = packed.unpacked(request)
    request, turned = classes_first.with_classes_last(request)
    request, flat = flat_output.with_a_channel(request)
    taken = (*taken, *inputs, *weights, *turned, *flat)
    views, notes, request = outputs.views_of(request)
    first, names = _examined(views[0].request if views else request)
    if names:
        others, note = outputs.others_of_file(request, names)
        views, notes = (outputs.View(names[0], request), *others), (note,)
    # The others behind it: a generator hands over its own buffer.
    found = []
    for view in views[1:]:
        mine = tuple(sorted(outputs.codes(view.request)))
        if not mine:
            continue
        alone = replace(view.request, trial=None, select=mine, ignore=())
        found.append((view.name, _examined(alone)[0]))
    notes = (*taken, *notes)
    return outputs.merged(first, tuple(found), notes) if notes else first


def _examined(request: Request) -> tuple[Report, tuple[str, ...]]:
    """The report, and the outputs of a file's model that has several."""
    examination = Examination(request)
    start = time.perf_counter()
    examination.examine()
    examination.timings["total"] = time.perf_counter() - start
    return report_of(examination), examination.opened.outputs


def report_of(done: Examination) -> Report:
    """The report of an examination, finished or interrupted."""
    trials = done.trials()
    decisive = () if done.proof is None else done.proof.decisive
    as_is = next((run for run in trials if run.name == AS_IT_IS), None)
    settled = as_is is not None and settles(as_is)
    stuck = as_is is not None and as_is.verdict == "cannot run"
    exact_only = all(f.code in verdict.EXACT for f in verdict.leading_errors(done.findings))
    diagnosis = None
    if not done.interrupted and not done.overdue and (done.request.trial is not None or exact_only):
        diagnosis = verdict.diagnosis_of(done.findings, decisive, complete=settled)
    return Report(
        kind="check",
        subject=str(done.facts.get("model", "")),
        exit_code=verdict.exit_code_of(
            done.findings,
            done.outcomes,
            fail_on=done.request.fail_on,
            interrupted=done.interrupted,
            refused=done.opened.refused,
            incomplete=bool(done.opened.broken or done.overdue)
            or (stuck and not verdict.leading_errors(done.findings)),
        ),
        findings=done.findings,
        outcomes=done.outcomes,
        diagnosis=diagnosis,
        headline=_headline(done, diagnosis, trials),
        trials=trials,
        run=dict(done.facts),
        measured=measured(done.trace, done),
        pictures=_pictures(done),
        versions=versions(),
        timings=dict(done.timings),
        notes=tuple(dict.fromkeys(done.notes)),
        seed=done.request.seed,
    )


def _headline(
    done: Examination, diagnosis: tuple[str, ...] | None, trials: tuple[TrialRun, ...]
) -> str:
    if done.opened.refused:
        return (
            "The file carries code that loading it would run: it was not run, and the model was "
            "not examined further. If you trust it, --trust opens it."
        )
    if done.opened.unusable and not verdict.leading_errors(done.findings):
        return f"The model was not run: {done.opened.unusable}."
    found = verdict.headline_of(done.findings, diagnosis, trials, "run")
    return f"Not finished: {done.overdue}. {found}" if done.overdue else found


def measured(trace: Trace, done: Examination) -> dict[str, Any]:
    """The plain tables that the figures draw; a table that was not measured is left out."""
    tables: dict[str, Any] = {"absent": {}}
    for name, field in (("gradients", "gradients"), ("batch_norms", "bn_observed")):
        value = trace.get(field)
        if isinstance(value, Missing):
            tables["absent"][name] = str(value)
        elif value:
            tables[name] = [_plain(asdict(row)) for row in value]  # type: ignore[attr-defined]
    blocks = trace.get("blocks")
    if isinstance(blocks, tuple) and len(blocks) > 1:
        tables["blocks"] = [_plain(asdict(block)) for block in blocks]
    if done.scan is not None and done.scan.histogram:
        tables["histogram"] = {str(k): v for k, v in sorted(done.scan.histogram.items())}
    elif done.exam is not None:
        ids, counts = np.unique(done.exam.ids, return_counts=True)
        tables["histogram"] = {str(int(i)): int(n) for i, n in zip(ids, counts, strict=True)}
    declared = trace.get("declared")
    if isinstance(declared, Declared) and declared.ignore_label is not None:
        void = declared.ignore_label
        tables["void"] = None if void is False else int(void)
    for name, curve in (
        ("history", training_tables.history_curves(trace, done.findings)),
        ("sweep", training_tables.sweep_curve(trace)),
        ("schedule", training_tables.schedule_curve(trace)),
    ):
        if curve:
            tables[name] = curve
    trail = void_picture(trace)
    if trail:
        tables["void_trail"] = trail
    asked = [*loss_tables(trace), *training_tables.training_tables(trace)]
    if asked:
        tables["tables"] = asked
    if done.as_loaded:
        tables["as_loaded"] = done.as_loaded
    codes = [finding.code for finding in done.findings]
    tables["pages"] = verdict.pages(codes, (*PROBES, *SECOND_PASS))
    return tables


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def _pictures(done: Examination) -> tuple[Picture, ...]:
    """The folder's worst pairs where they are a finding; examples with their labels and what each
    run predicts at the end of its trial."""
    misaligned = any(finding.code == "DATA004" for finding in done.findings)
    pairs = done.scan.sheet if done.scan is not None and misaligned else ()
    if done.exam is None or done.proof is None:
        return pairs
    names, images = done.proof.examples
    ids = done.exam.ids
    pictures = []
    for index in range(min(len(ids), _PICTURES)):
        pictures.append(
            Picture(
                name=names[index] if index < len(names) else f"example {index}",
                image=_as_image(images[index]),
                label=ids[index],
                predictions={
                    name: prediction[index]
                    for name, prediction in done.proof.predictions.items()
                    if (name == AS_IT_IS or name.startswith("with the fix"))
                    and np.shape(prediction) == np.shape(ids)  # of before the batch was halved
                },
            )
        )
    return (*pairs, *pictures)


def _as_image(x: Any) -> Any:
    """uint8 (H, W, 3) of an image in any range."""
    x = np.nan_to_num(x, posinf=0.0, neginf=0.0)
    low, high = float(x.min()), float(x.max())
    if low < 0 or high <= 1:
        x = (x - low) / max(high - low, 1e-9) * 255
    image = np.clip(x, 0, 255).astype(np.uint8)
    return np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
