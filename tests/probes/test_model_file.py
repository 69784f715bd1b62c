"""Probes of the model file, each with its sick, healthy and look-alike case."""

from __future__ import annotations

from segdoctor.core.model_facts import CodeItem, WeightFacts
from segdoctor.probes.model_file import (
    PROBES,
    CodeInModelFile,
    LayerNotLoadable,
    WeightsNotFinite,
)


def weight(name: str, not_finite: int = 0) -> WeightFacts:
    return WeightFacts("conv", name, (10,), "float32", 10, not_finite, 0.0, 1.0, -1.0, 1.0, 0)


def test_bytecode_is_code() -> None:
    item = CodeItem("lambda bytecode", "Lambda", "resize")
    (finding,) = CodeInModelFile().examine((item,))
    assert (finding.code, finding.severity) == ("MDL001", "warning")
    assert finding.evidence[0].value == 1
    assert finding.evidence[1].where == "resize"
    assert finding.fix is not None


def test_what_was_replaced_is_information() -> None:
    item = CodeItem("lambda bytecode", "Lambda", "resize", "Resize(align_corners=True)")
    (finding,) = CodeInModelFile().examine((item,))
    assert finding.severity == "info"
    assert "align_corners" in finding.message


def test_a_name_and_nothing_are_no_code() -> None:
    assert not list(CodeInModelFile().examine(()))
    named = CodeItem("custom function", "dice_loss", "compile settings", runs=False)
    assert not list(CodeInModelFile().examine((named,)))


def test_missing_layers() -> None:
    (finding,) = LayerNotLoadable().examine(("Custom>Gate", "my_gelu"))
    assert finding.severity == "error"
    assert "Custom>Gate, my_gelu" in finding.message
    assert finding.fix is not None
    assert "'Gate': Gate" in finding.fix.code
    assert not list(LayerNotLoadable().examine(()))


def test_many_missing_layers_are_counted() -> None:
    (finding,) = LayerNotLoadable().examine(tuple(f"L{i}" for i in range(20)))
    assert "and 15 more" in finding.message
    assert finding.evidence[0].value == 20


def test_weights_that_are_not_finite() -> None:
    (finding,) = WeightsNotFinite().examine((weight("kernel", 3), weight("bias")))
    assert finding.evidence[0].value == 3
    assert finding.evidence[0].limit == 0
    assert finding.evidence[1].where == "conv/kernel"
    assert "3 of 20 weights" in finding.message
    assert not list(WeightsNotFinite().examine((weight("kernel"), weight("bias"))))


def test_every_page_is_filled() -> None:
    for probe in PROBES:
        for part in (probe.how, probe.why, probe.fix, probe.fine, probe.sources):
            assert part
        for _, _, meaning in probe.thresholds():
            assert meaning
