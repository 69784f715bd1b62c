"""What is wrong with a model file itself: code in it, parts that are missing, broken numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import CodeItem, WeightFacts
from segdoctor.core.probe import Probe


def _named(items: list[str], shown: int) -> str:
    more = f", and {len(items) - shown:,} more" if len(items) > shown else ""
    return ", ".join(items[:shown]) + more


def _code_evidence(items: list[CodeItem], shown: int) -> tuple[Evidence, ...]:
    return tuple(Evidence(item.kind, item.name, where=item.where) for item in items[:shown])


@dataclass(frozen=True)
class CodeInModelFile(Probe):
    """MDL001: the file carries code, or names modules that loading would import."""

    code = "MDL001"
    how = (
        "Walks every object of the file's configuration as text: layers, activations, losses, "
        "metrics, initializers. What is not on the list of stock Keras objects is code: Lambda "
        "bytecode, a module that is not Keras, a stock class that runs code or opens files."
    )
    why = (
        "Loading such a file runs what its author put in, with your rights. Bytecode also ties the "
        "file to one version of Python: others end in `bad marshal data`."
    )
    fix = (
        "Replace each Lambda by a layer of its own, register custom classes, and pass them with "
        "custom_objects= or --objects. If you trust the author, --trust runs the code."
    )
    fine = (
        "The resize and relu6 objects of the known DeepLab files: they are recognised, and safe "
        "layers stand in for them. A loss known only by its name brings no code."
    )
    sources = (
        "Keras: Lambda layers are de-serialized by executing bytecode (keras.layers.Lambda, "
        "safe_mode); CVE-2024-3660; CVE-2025-1550"
    )

    shown: int = field(default=5, metadata={"doc": "items named in the finding; JSON names all"})

    def examine(self, code: tuple[CodeItem, ...]) -> Iterator[Finding]:
        running = [item for item in code if item.runs]
        unknown = [item for item in running if item.recognised is None]
        known = [item for item in code if item.recognised is not None]
        if unknown:
            names = _named([_described(item) for item in unknown], self.shown)
            yield self.finding(
                f"Loading the file would run or import {names}. None of it was run.",
                (
                    Evidence("objects that run code", len(unknown), 0, "objects"),
                    *_code_evidence(unknown, self.shown),
                ),
                Fix(
                    "Save the model again with layers in the place of Lambdas; or pass the classes "
                    "with --objects file.py; or, if you trust the author, use --trust.",
                    "class Scale(keras.layers.Layer):      # instead of Lambda(lambda x: x / 255)\n"
                    "    def call(self, x):\n"
                    "        return x / 255.0",
                ),
            )
        if known:
            pairs = [f"{_described(item)} by {item.recognised}" for item in known]
            yield self.finding(
                f"Recognised and replaced: {_named(pairs, self.shown)}.",
                (
                    Evidence("objects replaced", len(known), unit="objects"),
                    *_code_evidence(known, self.shown),
                ),
                severity="info",
            )


def _described(item: CodeItem) -> str:
    place = f" in {item.where}" if item.where and item.where != item.name else ""
    return f"{item.kind} {item.name}{place}"


@dataclass(frozen=True)
class LayerNotLoadable(Probe):
    """MDL002: the architecture names classes or functions whose code is not at hand."""

    code = "MDL002"
    how = (
        "Looks up every layer, activation and function of the architecture: stock in Keras, known "
        "from public model families, or given with custom_objects= / --objects. What is none of "
        "these is missing; its code is not in the file."
    )
    why = "Without it the graph cannot be built, so that nothing behind it can be examined or run."
    fix = "Pass the classes: --objects file.py, or custom_objects={'Name': Name}."
    fine = "A custom loss or metric: the model is built without it."
    sources = "Keras guide, Save, serialize, and export models: custom objects"

    shown: int = field(default=5, metadata={"doc": "names in the finding; JSON names all"})

    def examine(self, not_loadable: tuple[str, ...]) -> Iterator[Finding]:
        if not not_loadable:
            return
        names = [name.rstrip(".") for name in not_loadable]
        words = _named(names, self.shown)
        sentence = any(" " in name for name in names)
        first = names[0].rpartition(">")[2]
        called = first if first.isidentifier() else "Name"
        yield self.finding(
            f"The model cannot be built: {words}."
            if sentence
            else f"The file names {words}; this is not at hand, and its code is not in the file.",
            (
                Evidence("parts not at hand", len(names), 0, "parts"),
                *(Evidence("not at hand", name) for name in names[: self.shown]),
            ),
            Fix(
                "Pass the missing classes and functions with --objects file.py or custom_objects=.",
                f"segdoctor.check('model.h5', custom_objects={{'{called}': {called}}})",
            ),
        )


@dataclass(frozen=True)
class WeightsNotFinite(Probe):
    """MDL004: NaN or infinity among the weights."""

    code = "MDL004"
    how = "Counts the elements of every weight array, moving statistics included, that are NaN/Inf."
    why = (
        "One NaN in a kernel makes every output NaN; no loss, metric or learning rate matters any "
        "more. The file was saved after the training had diverged, or it is damaged."
    )
    fix = (
        "Go back to a checkpoint from before, and look for the cause: a learning rate too high, "
        "ids beyond the classes (255) in a sparse loss, half precision without loss scaling."
    )
    fine = "Large but finite weights; zeros."
    sources = "Keras: TerminateOnNaN; IEEE 754: NaN propagates through every sum and product"

    most: int = field(default=0, metadata={"doc": "elements that may be NaN or infinite"})
    shown: int = field(default=5, metadata={"doc": "arrays named in the finding; JSON names all"})

    def examine(self, weights: tuple[WeightFacts, ...]) -> Iterator[Finding]:
        broken = [weight for weight in weights if weight.not_finite > self.most]
        if not broken:
            return
        count = sum(weight.not_finite for weight in broken)
        total = sum(weight.count for weight in weights)
        places = [f"{weight.layer}/{weight.name}" for weight in broken]
        yield self.finding(
            f"{count:,} of {total:,} weights are NaN or infinite, in {len(broken):,} "
            f"{'array' if len(broken) == 1 else 'arrays'}: {_named(places, self.shown)}.",
            (
                Evidence("weights that are NaN or infinite", count, self.most, "elements"),
                *(
                    Evidence(
                        f"of {weight.count:,} elements",
                        weight.not_finite,
                        self.most,
                        "elements",
                        place,
                    )
                    for weight, place in zip(
                        broken[: self.shown], places[: self.shown], strict=True
                    )
                ),
            ),
            Fix(
                "Load a checkpoint from before the training diverged; stop at the first NaN.",
                "model.fit(…, callbacks=[keras.callbacks.TerminateOnNaN()])",
            ),
        )


PROBES: tuple[Probe, ...] = (CodeInModelFile(), LayerNotLoadable(), WeightsNotFinite())
