"""Asserts for a project's own tests: what segdoctor measures, as a test that fails with the number.

Each takes a live model (Keras 3 or tf_keras) and a batch ``(x, y)`` or ``(x, y, sample_weight)``;
loss and optimizer are those that the model was compiled with, unless they are given. They are fast:
only :func:`assert_overfits_one_batch` trains. What could not be examined is a failure and never
passes in silence. Each returns the :class:`~segdoctor.report.report.Report`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from segdoctor.core.catalogue import SEVERITIES, codes_matching
from segdoctor.core.errors import UserError
from segdoctor.core.finding import Finding
from segdoctor.core.run import Trial
from segdoctor.core.trial_facts import AS_IT_IS
from segdoctor.report.report import Report
from segdoctor.report.wording import beside, lines_of, number

_OUTPUT = (
    *("OUT001", "OUT002", "OUT003", "OUT004", "OUT006", "OUT007"),
    *("LBL001", "LBL002", "LOSS001", "LOSS002", "LOSS004", "LOSS007", "LOSS010", "IGN003"),
)
_VOID = ("IGN001", "IGN002", "IGN003")
_LABELS = ("LBL", "OUT008", "IGN002", "IGN003", "IGN004")
_FLOW = ("GRAD001", "GRAD002", "GRAD003", "GRAD004", "GRAD006", "GRAD007", "MDL005", "LOSS003")
_MOST = 3  # findings that are told in full; the others by name

LISTENERS: list[Callable[[Report], None]] = []
"""Called with each report that an assert makes; the pytest plugin keeps them."""


def assert_no_findings(
    model: Any,
    data: Any = None,
    *,
    at: str = "error",
    trial: Trial | str | bool = False,
    **options: Any,
) -> Report:
    """No finding of severity ``at`` (``"error"``, ``"warning"``, ``"info"``) or above.

    Parameters
    ----------
    model : keras.Model, or path of a model file
    data : arrays, data set or folder, as :func:`segdoctor.check` takes them
    trial : default False
        ``"auto"`` or a ``segdoctor.Trial`` trains for a while.
    options : further arguments of :func:`segdoctor.check`, ``select`` and ``ignore`` among them

    Raises
    ------
    AssertionError
        With each finding's text and numbers.
    """
    __tracebackhide__ = True
    if at not in SEVERITIES:
        raise UserError(f"at: expected one of {', '.join(SEVERITIES)}, received {at!r}")
    report = _checked(model, data, trial=trial, **options)
    _fail_with(report, _found(report, SEVERITIES[: SEVERITIES.index(at) + 1]))
    _fail_unless_looked(report, tuple(o.code for o in report.outcomes))
    return report


def assert_loss_ignores_void(
    subject: Any,
    data: Any = None,
    *,
    num_classes: int | None = None,
    ignore_label: int = 255,
    loss: Any = None,
    **options: Any,
) -> Report:
    """Void pixels have no gradient and do not move the loss.

    Parameters
    ----------
    subject : a loss, or a model with ``data`` that hold void
        A loss alone is asked with ``num_classes`` classes on drawn labels, a fifth of them void: as
        ids where it takes ids, else as one-hot rows of zeros.
    """
    __tracebackhide__ = True
    if data is None:
        if num_classes is None:
            raise UserError("assert_loss_ignores_void(loss, num_classes=…): expected the classes")
        subject, data, loss = *_drawn(subject, num_classes, ignore_label), subject
    return _assert_clear(
        subject, data, _VOID, ("IGN001",), ignore_label=ignore_label, loss=loss, **options
    )


def assert_loss_matches_output(model: Any, data: Any, **options: Any) -> Report:
    """The loss takes what the model gives: logits or probabilities, ids or one-hot, one shape."""
    __tracebackhide__ = True
    return _assert_clear(model, data, _OUTPUT, ("OUT001", "OUT002"), **options)


def assert_gradients_flow(model: Any, data: Any, **options: Any) -> Report:
    """Every trainable variable has a finite gradient that neither vanishes nor explodes."""
    __tracebackhide__ = True
    return _assert_clear(model, data, _FLOW, ("GRAD001",), **options)


def assert_labels_fit(model: Any, data: Any, **options: Any) -> Report:
    """The labels are ids or one-hot codes of the model's classes, and void apart from them."""
    __tracebackhide__ = True
    return _assert_clear(model, data, _LABELS, ("LBL003", "LBL002"), **options)


def assert_batch_norm_frozen(
    model: Any, data: Any = None, *, layers: str = "", **options: Any
) -> Report:
    """Each batch normalisation whose name begins with ``layers`` is frozen, and in the mode of
    ``fit`` really normalises with its stored statistics and leaves them alone.

    ``data`` may be left out: noise is fed then. BN that the model does not have is a failure.
    """
    __tracebackhide__ = True
    if data is None:
        data = _noise(model)
    report = _checked(model, data, select=("BN001", "BN011"), **options)
    rows = [
        row
        for row in report.measured.get("batch_norms") or ()
        if str(row["layer"]).rpartition("/")[2].startswith(layers)
        or str(row["layer"]).startswith(layers)
    ]
    if not rows:
        why = (report.measured.get("absent") or {}).get("batch_norms", "none has this name")
        raise AssertionError(f"no batch normalisation was observed: {why}")
    train = [row["layer"] for row in rows if row["trainable"]]
    batch = [row["layer"] for row in rows if row["training_mode"] == "batch"]
    moved = [row["layer"] for row in rows if row["moved"]]
    told = [
        f"{len(bad)} of {len(rows)} batch normalisations {what}: {_named(bad)}"
        for bad, what in (
            (train, "are trainable"),
            (batch, "normalise with the batch's statistics in fit"),
            (moved, "move their stored statistics in fit"),
        )
        if bad
    ]
    if told:
        raise AssertionError("\n".join([*told, *(_text(f) for f in report.findings[:_MOST])]))
    return report


def assert_overfits_one_batch(
    model: Any, data: Any, *, trial: Trial | None = None, **options: Any
) -> Report:
    """The run memorises one batch, in training and in inference mode. This trains, on a copy.

    Raises
    ------
    AssertionError
        With the verdict, its mIoU beside what counts as learnt, and the findings.
    """
    __tracebackhide__ = True
    report = _checked(model, data, trial=trial or "auto", **options)
    as_is = next((run for run in report.trials if run.name == AS_IT_IS), None)
    if as_is is None:
        why = "; ".join(note for note in report.notes if "trial" in note) or report.headline
        raise AssertionError(f"the run was not tried: {why}")
    if as_is.verdict not in ("learns", "slow"):
        told = (
            f"the run does not memorise one batch: {as_is.verdict}; mIoU "
            f"{number(as_is.miou_training)} in training mode and {number(as_is.miou_inference)} in "
            f"inference mode after {as_is.steps} steps, where the grid allows "
            f"{number(as_is.ceiling)} and a constant prediction has {number(as_is.constant)}"
        )
        raise AssertionError("\n".join([told, *_told(_found(report, ("error",)))]))
    return report


def _assert_clear(
    model: Any, data: Any, codes: tuple[str, ...], needed: tuple[str, ...], **options: Any
) -> Report:
    __tracebackhide__ = True
    report = _checked(model, data, select=codes, **options)
    _fail_with(report, _found(report, ("error",)))
    _fail_unless_looked(report, needed)
    return report


def _checked(model: Any, data: Any, *, trial: Any = False, **options: Any) -> Report:
    from segdoctor import api

    report = api.check(model, data, trial=trial, **options)
    for listener in LISTENERS:
        listener(report)
    return report


def _found(report: Report, severities: Iterable[str]) -> list[Finding]:
    wanted = set(severities)
    return [f for f in report.findings if f.severity in wanted and f.because_of is None]


def _fail_with(report: Report, findings: list[Finding]) -> None:
    __tracebackhide__ = True
    if findings:
        raise AssertionError("\n".join(_told(findings)))
    if report.exit_code in (3, 4, 130):
        raise AssertionError(f"the examination did not finish: {report.headline}")


def _fail_unless_looked(report: Report, needed: tuple[str, ...]) -> None:
    """At least one of the codes that carry the assert must have been answered."""
    __tracebackhide__ = True
    codes = codes_matching(needed)
    outcomes = [o for o in report.outcomes if o.code in codes]
    if any(outcome.status in ("clear", "fired") for outcome in outcomes):
        return
    reasons = dict.fromkeys(o.reason for o in outcomes if o.reason)
    raise AssertionError(f"could not be examined: {'; '.join(list(reasons)[:_MOST])}")


def _told(findings: list[Finding]) -> list[str]:
    told = [_text(finding) for finding in findings[:_MOST]]
    if len(findings) > _MOST:
        told.append("and " + ", ".join(f"{f.code} {f.slug}" for f in findings[_MOST:]))
    return told


def _text(finding: Finding) -> str:
    """A finding as the message of a failed test."""
    lines = [f"{finding.code} {finding.slug} ({finding.severity}): {finding.message}"]
    for item in finding.evidence[:4]:
        value, limit = beside(item.value, item.limit, item.unit)
        where = f"  {item.where}" if item.where else ""
        lines.append(f"    {item.name}: {value}{f' (limit {limit})' if limit else ''}{where}")
    if finding.fix is not None:
        lines.append(f"  fix: {finding.fix.words}")
        lines += [f"    {line}" for line in lines_of(finding.fix.code, 8)]
    return "\n".join([*lines, f"  more: segdoctor explain {finding.code}"])


def _named(layers: list[Any]) -> str:
    return ", ".join(str(layer) for layer in layers[:4]) + (", …" if len(layers) > 4 else "")


def _noise(model: Any) -> Any:
    """Standard normal images of the model's own size, and labels of class 0."""
    import numpy as np

    shape = tuple(side or 64 for side in model.input_shape[1:])
    x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    return x, np.zeros((2, *shape[:2]), np.int32)


def _drawn(loss: Any, classes: int, void: int) -> tuple[Any, Any]:
    """A small net whose output the loss takes, and a batch with void in the form that it takes."""
    import numpy as np

    from segdoctor.examination.asking import contract_of

    contract, keras = contract_of(loss, classes)
    if contract.raises:
        raise AssertionError(f"the loss fails on every form of labels: {contract.raises}")
    inputs = keras.Input((8, 8, 4))
    activation = None if contract.prediction == "logits" else "softmax"
    if classes == 1 and activation:
        activation = "sigmoid"
    model = keras.Model(inputs, keras.layers.Conv2D(classes, 1, activation=activation)(inputs))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 8, 8, 4)).astype(np.float32)
    ids = rng.integers(0, max(classes, 2), (2, 8, 8))
    ids[:, ::5] = void
    if contract.labels == "onehot":
        return model, (
            x,
            np.eye(classes, dtype=np.float32)[ids % classes] * (ids != void)[..., None],
        )
    y = ids.astype(np.int32)
    return model, (x, y if "BHW" in contract.forms else y[..., None])
