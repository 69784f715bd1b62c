"""The examination, stage by stage. What a stage has found is kept if a later one is interrupted."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.engine import Outcome, examine_all
from segdoctor.core.explain import explained
from segdoctor.core.finding import Finding
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.core.trace import Missing, Trace
from segdoctor.core.trial_facts import TrialRun
from segdoctor.examination import feeding, opening, recording, settling
from segdoctor.examination.as_loaded import score_as_loaded
from segdoctor.examination.request import Request
from segdoctor.probes import PROBES, SECOND_PASS

STAND_IN_RATE = 1e-3
CLEARLY_BETTER = 0.67


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
        self.trace = Trace()
        self.outcomes: tuple[Outcome, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self.proof: Any = None
        self.exam: Any = None
        self.facts: dict[str, Any] = {}
        self.as_loaded: dict[str, Any] = {}
        self.notes: list[str] = []
        self.timings: dict[str, float] = {}
        self.interrupted = False

    def examine(self) -> None:
        """Run all stages; Ctrl-C ends them and keeps what was found."""
        try:
            self._examine()
        except KeyboardInterrupt:
            self.interrupted = True
            self.notes.append("interrupted: what was found until then is here, the rest is not")
            if not self.outcomes:
                self._probe(self.trace)

    def _examine(self) -> None:
        request = self.request
        with self._timed("reading"):
            if feeding.is_folder(request.data):  # first: it is read in less time than a model
                self.scan = feeding.scanned(request)
                self._tell_scan(self.scan)
                self.trace = self._with_scan(Trace({"declared": self._declared()}))
                if self.scan.interrupted:
                    raise KeyboardInterrupt
            self.opened = opening.open_model(request)
            self.facts.update(self.opened.run)
            self.notes += self.opened.notes
            self.trace = self._with_scan(self._static())
        if self.opened.model is None:
            self._probe(self.trace)
            return
        opening.need_tensorflow()
        from segdoctor.recorder.snapshot import preserved

        with opening.on_device(request.device), preserved(self.opened.model):
            self._run_and_try()

    def _run_and_try(self) -> None:
        frozen = opening.freeze(self.opened.model, self.request.freeze)
        if frozen:
            self.facts["freeze"] = frozen
        with self._timed("settings"):
            self._make_run()
        assert self.run is not None
        with self._timed("recording"):
            self.trace = recording.record(self.run, self._knowledge, self.request.say)
            self.as_loaded = self._score_as_loaded()
            if self.as_loaded:
                self.facts["as_it_came"] = _score_in_words(self.as_loaded)
        self._probe(self.trace)
        if self.request.trial is None or self.run.batch is None:
            return
        with self._timed("trial"):
            self._try()
        self._second_pass()

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
                "compiled": facts.compiled or Missing(settling.NO_SETTINGS, "--loss, --optimizer"),
                "declared": self._declared(),
            }
        )

    def _with_scan(self, trace: Trace) -> Trace:
        return trace if self.scan is None else trace.having(scan=self.scan)

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
            steps_per_epoch=request.steps_per_epoch,
            batch_size=request.batch_size,
            source="folder" if feeding.is_folder(request.data) else "arrays",
        )
        return replace(declared, **changes)

    def _make_run(self) -> None:
        """Settle loss and optimizer, make the model small, and draw the batch."""
        from segdoctor.recorder.smaller import smaller

        request, model = self.request, self.opened.model
        self.facts["trainable_parameters"] = _trainable(model)
        self.settled = settling.settle(request, self.opened)
        self.facts |= dict(self.settled.provenance)
        loss, keeps = self.settled.loss, None
        if feeding.is_folder(request.data):
            crop = (request.trial.crop if request.trial else None) or feeding.CROP
            keeps = model
            try:
                model = smaller(model, crop)
            except NotExaminedError as why:
                self.notes.append(f"{why}; it is examined at its own size")
        if request.data is not None:
            self._feed(model, loss)
        batch = self.fed.batch if self.fed else None
        void, by = feeding.void_of(request, batch, self.scan, self.settled.ignores)
        declared = self._declared(
            ignore_label=void,
            ignore_declared_by=by,
            num_classes=request.num_classes,
            source=batch.source if batch else "none",
            encoding_declared=batch.declared_encoding if batch else False,
            range_declared=batch.declared_range if batch else False,
            loss_stand_in=loss is None,
        )
        if loss is None and batch is not None:
            loss, words = self._stand_in(model, batch, void)
            self.facts["loss"] = f"{words} (a stand-in: {self.settled.why_no_loss})"
        optimizer = self.settled.optimizer
        if optimizer is None:
            optimizer = _keras(model).optimizers.Adam(STAND_IN_RATE)
            self.facts["optimizer"] = (
                f"Adam, rate {STAND_IN_RATE:g} (a stand-in: {self.settled.why_no_optimizer})"
            )
        self.run = Run(
            model=model,
            batch=batch,
            loss=loss,
            optimizer=optimizer,
            num_classes=request.num_classes,
            ignore_label=void,
            ignore_declared_by=by,
            epochs=request.epochs,
            steps_per_epoch=request.steps_per_epoch,
            custom_objects=request.custom_objects,
            flavour=declared.flavour,
            provenance=self.settled.provenance,
            seed=request.seed,
        )
        self._knowledge = recording.Knowledge(
            declared=declared,
            fields=self._known_fields(),
            optimizer_known=self.settled.optimizer is not None,
            why_no_optimizer=self.settled.why_no_optimizer,
            redraw=self.fed.redraw if self.fed else None,
        )
        self._tell_batch(keeps or model, model, void, by)

    def _known_fields(self) -> dict[str, object]:
        held: dict[str, object] = {"code": (), "not_loadable": ()}
        if self.opened.facts is not None:
            held["code"] = self.opened.facts.code
        if self.scan is not None:
            held["scan"] = self.scan
        compiled = self.opened.compiled or settling.compile_facts(self.settled)
        held["compiled"] = compiled or Missing(settling.NO_SETTINGS, "--loss, --optimizer")
        return held

    def _feed(self, model: Any, loss: Any) -> None:
        from segdoctor.recorder.loss_answers import ask_loss

        request = self.request
        channels = int(model.output_shape[-1])
        if self.scan is None:
            self.fed = feeding.from_objects(request)
        else:
            takes = "ids"
            if loss is not None and request.labels is None:
                contract = ask_loss(loss, channels, flavour=self._declared().flavour)
                takes = "onehot" if contract.labels == "onehot" else "ids"
            void, _ = feeding.void_of(request, None, self.scan, self.settled.ignores)
            self.fed = feeding.from_folder(
                request,
                self.scan,
                model,
                classes=request.num_classes or max(channels, 2),
                takes=takes,
                void=void,
                ranges=lambda inputs: choose_range(model, inputs),
            )
        self.notes += self.fed.notes

    def _stand_in(self, model: Any, batch: Any, void: int | bool | None) -> tuple[Any, str]:
        """A right loss for the head and the labels, where the run has none that is known."""
        from segdoctor.measures.labels import label_facts
        from segdoctor.recorder.forward import TracedForward
        from segdoctor.recorder.head import measure_head
        from segdoctor.recorder.live_graph import live_graph
        from segdoctor.recorder.stand_in import right_loss

        output = np.asarray(TracedForward(model, False, eager=True)(batch.x[:1]).y_pred)
        head = measure_head(model, output, live_graph(model, self._declared().flavour))
        labels = label_facts(batch.y, self.request.num_classes, void)
        loss, words = right_loss(head, labels, void, self._declared().flavour)
        return loss, str(words)

    def _score_as_loaded(self) -> dict[str, Any]:
        """Mean IoU of the model as it came, in inference mode, at its own size."""
        head = self.trace.get("head")
        if self.fed is None or self.fed.draw is None or not isinstance(head, HeadFacts):
            return {}
        return score_as_loaded(self.opened.model, self.fed.draw, head, self.run)

    def _probe(self, trace: Trace) -> None:
        self.outcomes = examine_all(PROBES, trace, self.selected)
        self.findings = explained(f for outcome in self.outcomes for f in outcome.findings)

    def _try(self) -> None:
        from segdoctor.examination.trying import try_run

        head = self.trace.get("head")
        labels = self.trace.get("labels")
        if not isinstance(head, HeadFacts) or not isinstance(labels, LabelFacts):
            self.notes.append(f"no trial: {head}")
            return
        assert self.run is not None
        self.proof, self.exam, self.findings = try_run(
            self.request, self.run, self._knowledge, self.trace, self.findings, self.selected
        )

    def _second_pass(self) -> None:
        """The codes that only the trials can tell, and the order with their verdicts."""
        if self.proof is None:
            return
        trace = self.trace.having(trials=self.proof.trials)
        again = {o.code: o for o in examine_all(SECOND_PASS, trace, self.selected)}
        mine = {probe.code for probe in SECOND_PASS}
        self.outcomes = tuple(again[o.code] if o.code in mine else o for o in self.outcomes)
        self.notes += self.proof.notes
        found = [f for o in self.outcomes if o.code in mine for f in o.findings]
        self.findings = explained([*self.findings, *found])

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

    def _tell_batch(self, whole: Any, model: Any, void: int | bool | None, by: str) -> None:
        batch = self.fed.batch if self.fed else None
        if batch is None:
            self.facts["batch"] = "none: no data was given (--data)"
            return
        shape = " × ".join(str(n) for n in np.asarray(batch.x).shape)
        small = "" if whole is model else f", the model made smaller from {whole.input_shape[1:3]}"
        self.facts["batch"] = f"{shape}{small}"
        self.facts["preprocess"] = batch.preprocess
        self.facts["encoding"] = batch.encoding
        told = "none" if void is False else "unknown" if void is None else f"{void} (from the {by})"
        self.facts["ignore_label"] = told

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = time.perf_counter() - start


def choose_range(model: Any, inputs: Mapping[str, Any]) -> tuple[str, str]:
    """The preprocessing that the first BN's statistics describe best, and why."""
    from segdoctor.recorder.input_range import range_gaps

    front = [type(layer).__name__ for layer in model.layers[:4]]
    if "Rescaling" in front or "Normalization" in front:
        return "none", "the model scales its input itself"
    try:
        gaps = range_gaps(model, inputs)
    except NotExaminedError:
        return "tf", "the usual one; nothing in the model tells"
    best = min(gaps, key=lambda name: gaps[name])
    if gaps[best] > CLEARLY_BETTER * gaps["tf"]:
        return "tf", "the usual one; no other fits the first batch normalisation clearly better"
    return best, f"the first batch normalisation's statistics fit it best, gap {gaps[best]:.2f}"


def _score_in_words(scores: Mapping[str, Any]) -> str:
    classes = ", ".join(f"{label}: {score:.2f}" for label, score in scores["per_class"].items())
    return (
        f"mIoU {scores['miou']} in inference mode over {scores['examples']} examples at "
        f"{scores['side']} px (IoU of class {classes})"
    )


def _trainable(model: Any) -> int:
    return int(sum(int(np.prod(tuple(v.shape))) for v in model.trainable_variables))


def _keras(model: Any) -> Any:
    from segdoctor.recorder.surgery import keras_of

    return keras_of(model)


def _live_flavour(model: Any) -> str:
    from segdoctor.recorder.layers import is_tf_keras

    return "tf_keras" if model is not None and is_tf_keras(model) else "keras3"
