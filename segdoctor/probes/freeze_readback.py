"""OPT009, BN010: what really trains, beside what the freeze was meant to leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from segdoctor.core.finding import Evidence, Finding, Fix, Place
from segdoctor.core.probe import Probe
from segdoctor.core.training_facts import CompiledBefore, FreezeFacts, LaterFit


@dataclass(frozen=True)
class FreezeNotAsDescribed(Probe):
    code = "OPT009"
    how = (
        "The trainable flag of every layer is read back and told as blocks; the freeze that was "
        "asked for is set against the place of the head, and the model's own switch against the "
        "flags of its layers."
    )
    why = (
        "layers[:356] of the 164 layers of the MobileNetV2 net freezes the head too. And "
        "model.trainable = True on a model whose switch is on already does nothing: layers that "
        "were frozen one by one stay frozen."
    )
    fix = "Freeze by name, and print what trains; unfreeze in a loop over the layers."
    fine = "A switch that is on above layers frozen one by one, where others train."
    sources = "FAULTS OPT-02, BN-09; keras-team/keras#8121; measured on Keras 3.15.1"

    fewest: int = field(default=1, metadata={"doc": "trainable parameters that must be left"})

    def examine(self, freeze: FreezeFacts) -> Iterator[Finding]:
        from segdoctor.measures.freeze_blocks import in_words

        trains = [block for block in freeze.blocks if block.trains]
        left = sum(block.parameters for block in trains)
        blocks = (
            Evidence("trains", in_words(freeze.blocks, True)),
            Evidence("frozen", in_words(freeze.blocks, False)),
        )
        count = freeze.asked_layers
        if count is not None and count > freeze.head_place and not freeze.head_trains:
            past = count > freeze.layers
            yield self.finding(
                f"{freeze.asked} freezes the head {freeze.head} too: "
                + (
                    f"the model has only {freeze.layers} layers."
                    if past
                    else f"it is layer {freeze.head_place} of {freeze.layers}, counted from 0."
                ),
                (
                    Evidence("layers that are frozen", count, freeze.head_place, "layers"),
                    Evidence("trainable parameters", left, self.fewest, "parameters"),
                    *blocks,
                ),
                _by_name(),
            )
        elif freeze.switch and left < self.fewest and freeze.blocks and not freeze.asked:
            yield self.finding(
                "model.trainable is True while every layer below it is frozen: the layers were "
                "frozen one by one, and setting the model's switch to True again does nothing.",
                (
                    Evidence("trainable parameters", left, self.fewest, "parameters"),
                    Evidence("model.trainable", True, where="the model itself"),
                    *blocks,
                ),
                Fix(
                    "Unfreeze layer by layer, or switch the model off and on again; then compile.",
                    "model.trainable = False\nmodel.trainable = True    # now it reaches them",
                    {"freeze": "none"},
                ),
                severity="info",  # it may be meant so: that nothing trains is GRAD007
            )


def _by_name() -> Fix:
    return Fix(
        "Freeze by name: an index that fits one backbone cuts another.",
        'backbone = ("entry_flow", "middle_flow", "exit_flow", "expanded_conv", "Conv")\n'
        "for layer in model.layers:\n"
        "    layer.trainable = not layer.name.startswith(backbone)\n"
        "model.compile(optimizer=…, loss=…)",
        {"freeze": "none"},
    )


@dataclass(frozen=True)
class TrainableChangedAfterCompile(Probe):
    code = "BN010"
    how = (
        "Of a model that has been fitted: the variables that its compiled step trains are set "
        "against those that the trainable flags name now."
    )
    why = (
        "The step is fixed at the first fit (Keras 3) or at compile (Keras 2). Unfreezing after "
        "it trains nothing more, freezing keeps nothing: kernels and BN statistics still move."
    )
    fix = "Compile again after every change of trainable."
    fine = "A change between compile and the first fit works in Keras 3."
    sources = "keras-team/keras#6405, #9940, #13404; FAULTS BN-08; measured on Keras 3.15.1"

    fewest: int = field(default=1, metadata={"doc": "variables on which the two differ"})

    def examine(
        self, compiled_before: CompiledBefore | None, later_fit: LaterFit | None = None
    ) -> Iterator[Finding]:
        if later_fit is not None:
            yield self._later(later_fit)
        elif compiled_before is not None:
            yield from self._now(compiled_before)

    def _later(self, later: LaterFit) -> Finding:
        found = self.finding(
            f"trainable is changed after the first fit (line {later.changed}) and the model is "
            f"fitted again (line {later.fitted}) without a compile in between: the step of the "
            "first fit goes on, with the variables that it had.",
            (
                Evidence("trainable is changed", later.changed, unit="line", where=later.file),
                Evidence("fitted again", later.fitted, unit="line", where=later.file),
                Evidence("compiles in between", 0, 1, "compiles"),
            ),
            _compile_again(),
        )
        return replace(found, place=Place(later.file, later.changed, "the change of trainable"))

    def _now(self, compiled_before: CompiledBefore) -> Iterator[Finding]:
        frozen, thawed = compiled_before.only_stepped, compiled_before.only_flagged
        if len(frozen) + len(thawed) < self.fewest:
            return
        parts = []
        if frozen:
            parts.append(f"{len(frozen)} variables were frozen and still train ({frozen[0]})")
        if thawed:
            parts.append(f"{len(thawed)} were unfrozen and do not train ({thawed[0]})")
        yield self.finding(
            "trainable was changed after the model had been fitted, and it was not compiled "
            f"again: {'; '.join(parts)}.",
            (
                Evidence("variables frozen that still train", len(frozen), 0, "variables"),
                Evidence("variables unfrozen that do not train", len(thawed), 0, "variables"),
                Evidence(
                    "variables that the step trains",
                    *(compiled_before.stepped, compiled_before.flagged, "variables"),
                ),
            ),
            _compile_again(),
        )


def _compile_again() -> Fix:
    return Fix(
        "Compile again, with a new optimizer, after every change of trainable.",
        "model.compile(optimizer=keras.optimizers.Adam(1e-4), loss=loss, metrics=metrics)",
    )
