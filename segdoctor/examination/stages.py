"""The examination, stage by stage. What a stage has found is kept if a later one is interrupted."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.engine import Outcome, examine_all
from segdoctor.core.errors import HangingDataError
from segdoctor.core.explain import explained
from segdoctor.core.finding import Finding
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts
from segdoctor.core.noticed import Noticed, noticed
from segdoctor.core.run import Run
from segdoctor.core.trace import Missing, Trace
from segdoctor.core.trial_facts import TrialRun
from segdoctor.examination import (
    feeding,
    opening,
    optimising,
    outputs,
    preparing,
    recording,
    settling,
    training,
)
from segdoctor.examination.as_loaded import score_as_loaded
from segdoctor.examination.closer_look import branch_field
from segdoctor.examination.request import Request
from segdoctor.examination.static import without_architecture
from segdoctor.probes.registry import PROBES, SECOND_PASS
from segdoctor.probes.trial import borne

_NO_TRIAL = "no trial was asked for"


class Examination:
    """One run of the examination; the attributes are what it has found so far."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.selected = request.chooser()
        self.opened = opening.Opened()
        self.scan: ScanFacts | None = None
        self.fed: feeding.Fed | None = None
        self.settled = settling.Settled()
        self.run: Run | None = None
        self.knowledge = recording.Knowledge(self._declared())
        self.trace = Trace()
        self.outcomes: tuple[Outcome, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self.proof: Any = None
        self.exam: Any = None
        self.around: dict[str, object] = {}
        self.facts: dict[str, Any] = {}
        self.as_loaded: dict[str, Any] = {}
        self.notes: list[str] = []
        self.timings: dict[str, float] = {}
        self.interrupted = False
        self.overdue = ""
        self.watcher: Any = request.watcher  # of each stage
        self._told = request.say
        self._ctrl_c = Noticed()

    def examine(self) -> None:
        """Run all stages; Ctrl-C ends them and keeps what was found."""
        try:
            with noticed() as self._ctrl_c:
                self.request = replace(self.request, say=self._say)
                self._examine()
                self._ctrl_c.check()
        except KeyboardInterrupt:
            self._interrupted()
        except HangingDataError as error:
            self.overdue = f"{error}, in the stage {next(reversed(self.timings), 'reading')}"
            self._end(f"not finished: {self.overdue}")
        except Exception:  # what became of a Ctrl-C while TensorFlow called Python
            if not self._ctrl_c.pressed:
                raise
            self._interrupted()

    def _interrupted(self) -> None:
        self.interrupted = True
        self._end("interrupted: what was found until then is here, the rest is not")

    def _say(self, stage: str, done: int | None, total: int | None) -> None:
        self._ctrl_c.check()
        self._told(stage, done, total)

    def _end(self, why: str) -> None:
        self.notes.append(why)
        if not self.outcomes:
            self._probe(self.trace)

    def _examine(self) -> None:
        request = self.request
        with self._timed("reading"):
            self.around = {
                "history": training.history_of(request),
                "training": training.training_of(request),
                **request.script,
            }
            if feeding.is_folder(request.data):  # first: it is read in less time than a model
                self.scan = feeding.scanned(request)
                self._tell_scan(self.scan)
                self.trace = self._with_scan(Trace({"declared": self._declared()}))
                if self.scan.interrupted:
                    raise KeyboardInterrupt
            self.opened = opening.open_model(request)
            if self.opened.outputs:
                self.request = request = outputs.for_one(request, self.opened.outputs)
            self.facts.update(self.opened.run)
            self.notes += self.opened.notes
            self.around["training"] = training.training_of(request, self.opened.model)
            self.trace = self._with_scan(self._static())
        if self.opened.model is None:
            if self.opened.unusable:
                self.notes.append(f"the model was not run: {self.opened.unusable}")
            self._probe(self._without_a_model())
            return
        opening.need_tensorflow()
        if request.trial and not request.budget_given and opening.on_gpu(request.device):
            trial = replace(request.trial, budget_s=opening.GPU_BUDGET_S)
            self.request = request = replace(request, trial=trial)
        from segdoctor.recorder.native_log import without_refusals
        from segdoctor.recorder.replicas import first_replica
        from segdoctor.recorder.snapshot import preserved

        model = self.opened.model
        device = opening.on_device(request.device)
        with device, first_replica(model), preserved(model), without_refusals():
            self._run_and_try()

    def _run_and_try(self) -> None:
        self.around |= optimising.asked_fields(self.request)
        self.around["compiled_before"] = self._compiled_before()
        frozen = opening.freeze(self.opened.model, self.request.freeze)
        if frozen:
            self.facts["freeze"] = frozen
        with self._timed("settings"):
            self._prepare()
        assert self.run is not None
        with self._timed("recording"):
            self.trace = recording.record(self.run, self.knowledge, self.request.say)
        with self._timed("sweep"):
            self.trace = self.trace.having(sweep=self._sweep())
        with self._timed("branches"):
            self.trace = self.trace.having(branches=branch_field(self.run, self.trace))
        with self._timed("as loaded"):
            self.as_loaded = self._score_as_loaded()
            if self.as_loaded:
                self.facts["as_it_came"] = _score_in_words(self.as_loaded)
        self._probe(self.trace)
        if self.request.trial is None or self.run.batch is None:
            return
        with self._timed("trial"):
            self._try()
        self._second_pass()
        if self.proof is not None and self.proof.interrupted:
            raise KeyboardInterrupt

    def _static(self) -> Trace:
        """What is known without running anything."""
        facts = self.opened.facts
        if facts is None:
            return Trace({"code": (), "not_loadable": (), "declared": self._declared()})
        return Trace(
            {
                "code": facts.code,
                "not_loadable": self.opened.not_loadable,
                "graph": self.opened.graph,
                "weights": facts.weights,
                "batch_norms": facts.batch_norms,
                **without_architecture(facts),
                "compiled": facts.compiled or Missing(settling.NO_SETTINGS, "--loss, --optimizer"),
                "declared": self._declared(),
            }
        )

    def _without_a_model(self) -> Trace:
        """The trace with the reason why nothing was run, for every probe that needs a run."""
        why = self.opened.unusable or "the file needs --trust"
        names = {name for probe in PROBES for name, _ in probe.needs()}
        missing = {name: Missing(f"the model was not run: {why}") for name in names}
        return Trace({**missing, **self.trace.values})

    def _with_scan(self, trace: Trace) -> Trace:
        return trace.having(**self.around, scan=self.scan or Missing(feeding.NO_FOLDER))

    def _declared(self, **changes: Any) -> Declared:
        request = self.request
        graph = self.opened.graph
        declared = Declared(
            num_classes=request.num_classes,
            num_classes_declared=request.num_classes is not None,
            ignore_label=request.ignore_label,
            ignore_declared_by="user" if request.ignore_label is not None else "",
            flavour=graph.flavour if graph else _live_flavour(self.opened.model),
            epochs=request.epochs,
            steps_per_epoch=feeding.steps_of(request, self.scan),
            batch_size=request.batch_size,
            source="folder" if feeding.is_folder(request.data) else "arrays",
        )
        return replace(declared, **changes)

    def _prepare(self) -> None:
        """Settle loss and optimizer, make the model small, draw the batch."""
        self.settled = settling.settle(self.request, self.opened)
        prepared = preparing.prepare(
            self.request, self.opened, self.settled, self.scan, self._declared()
        )
        self.run, self.fed, self.knowledge = prepared.run, prepared.fed, prepared.knowledge
        self.knowledge = replace(self.knowledge, fields={**self.knowledge.fields, **self.around})
        self.facts |= dict(prepared.facts)
        self.notes += prepared.notes

    def _compiled_before(self) -> object:
        if not self.opened.live:
            return Missing("a file has no step that was fixed by fit")
        return optimising.compiled_field(self.request, self.opened.model)

    def _sweep(self) -> object:
        assert self.run is not None
        trial = self.request.trial
        timed = trial is not None and trial.steps is None and self.selected("OPT003")
        return optimising.sweep_field(
            self.run,
            recording.planned_steps(self.knowledge.declared),
            asked=bool(self.around.get("sweep_asked")),
            known=self.knowledge.optimizer_known,
            recording_s=self.timings["recording"],
            budget_s=trial.budget_s if trial is not None and timed else None,
        )

    def _score_as_loaded(self) -> dict[str, Any]:
        """Mean IoU of the model as it came, in inference mode, at its own size."""
        head = self.trace.get("head")
        if self.fed is None or self.fed.draw is None or not isinstance(head, HeadFacts):
            return {}
        return score_as_loaded(self.opened.model, self.fed.draw, head, self.run)

    def _probe(self, trace: Trace) -> None:
        why = _NO_TRIAL if self.request.trial is None else "it came to no trial"
        self.outcomes = examine_all(PROBES, trace, self.selected, why)
        self.findings = explained(f for outcome in self.outcomes for f in outcome.findings)

    def _try(self) -> None:
        from segdoctor.examination.trying import try_run

        head = self.trace.get("head")
        labels = self.trace.get("labels")
        if not isinstance(head, HeadFacts) or not isinstance(labels, LabelFacts):
            self.notes.append(f"no trial: {head}")
            return
        assert self.run is not None
        assert self.request.trial is not None
        self.proof, self.exam, self.findings = try_run(
            self.request,
            self.run,
            self.knowledge,
            self.trace,
            self.findings,
            self.selected,
            self.timings["recording"],
            spent=self.timings["sweep"],
        )

    def _second_pass(self) -> None:
        """The codes that only the trials can tell, and the order with their verdicts."""
        if self.proof is None:
            return
        trace = self.trace.having(trials=self.proof.trials, blamed=self.proof.blamed)
        again = {o.code: o for o in examine_all(SECOND_PASS, trace, self.selected)}
        mine = {probe.code for probe in SECOND_PASS}
        self.outcomes = tuple(again[o.code] if o.code in mine else o for o in self.outcomes)
        self.outcomes = tuple(self._with_uncovered(outcome) for outcome in self.outcomes)
        self.notes += self.proof.notes
        found = [f for o in self.outcomes if o.code in mine for f in o.findings]
        self.findings = explained([*borne(self.findings, self.proof.trials), *found])

    def _with_uncovered(self, outcome: Outcome) -> Outcome:
        """A code that showed only once the run could take a step has fired."""
        found = tuple(f for f in self.findings if f.code == outcome.code)
        if found and outcome.status != "fired":
            return replace(outcome, status="fired", reason="", findings=found)
        return outcome

    def trials(self) -> tuple[TrialRun, ...]:
        return () if self.proof is None else tuple(self.proof.trials)

    def _tell_scan(self, scan: ScanFacts) -> None:
        self.facts |= {
            "data": scan.folder,
            "layout": scan.layout,
            "split": scan.split,
            "pairs": len(scan.pairs),
        }
        self.notes += scan.notes

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        self._ctrl_c.check()
        start = time.perf_counter()
        if self.watcher is not None:
            budget = self.request.trial.budget_s if self.request.trial else None
            self.watcher.begins(stage, budget if stage == "trial" else None)
        try:
            yield
        finally:
            self.timings[stage] = time.perf_counter() - start
        if self.watcher is not None:
            self.watcher.ended(self)

    def so_far(self) -> Examination:
        """What there would be if nothing more came."""
        found = copy.copy(self)
        if not found.outcomes:
            found._probe(found.trace)
        return found


def _score_in_words(scores: Mapping[str, Any]) -> str:
    classes = ", ".join(f"{label}: {score:.2f}" for label, score in scores["per_class"].items())
    return (
        f"mIoU {scores['miou']} in inference mode over {scores['examples']} examples at "
        f"{scores['side']} px (IoU of class {classes})"
    )


def _live_flavour(model: Any) -> str:
    from segdoctor.recorder.layers import is_tf_keras

    return "tf_keras" if model is not None and is_tf_keras(model) else "keras3"
