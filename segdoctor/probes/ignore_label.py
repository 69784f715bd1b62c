"""Void as fed: does it reach the loss, does 255 stand in one-hot rows, is it beyond the classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isclose

from segdoctor.core.catalogue import Severity
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import (
    answered,
    need_known_loss,
    need_own_labels,
    takes_from_logits,
    takes_ignore_class,
    void_label,
)

_USUAL_VOIDS = (255, -1)
_WEIGHT_CODE = (
    "weight = (ids != {void}).astype('float32')          # (B, H, W)\n"
    "y = np.where(ids == {void}, 0, ids)\n"
    "model.fit(x, y, sample_weight=weight)"
)
_ROWS_CODE = (
    "void = (y == 255).any(axis=-1)                      # (B, H, W)\n"
    "y[void] = 0; y[void, 0] = 1                         # any legal row\n"
    "model.fit(x, y, sample_weight=(~void).astype('float32'))"
)


@dataclass(frozen=True)
class VoidReachesLoss(Probe):
    """IGN001: void pixels have a gradient or change the loss."""

    code = "IGN001"
    how = (
        "The gradient of the batch's loss with respect to the output, as fit has it with its "
        "sample weights, must be exactly zero at every void pixel, and the loss must stay what it "
        "is when the prediction there becomes another one."
    )
    why = (
        "Void marks pixels that no one could label, as a rule the ring around every object. What "
        "the network learns there is noise where edges matter most."
    )
    fix = "ignore_class in the loss, or sample weights of 0 at void pixels."
    fine = (
        "Void that is masked, weighted to zero or gathered away. One-hot rows of zeros under "
        "cross-entropy leave the value alone, but TensorFlow's softmax cross-entropy has a "
        "gradient there all the same (it flattens the prediction): a warning."
    )
    sources = "tensorflow/tensorflow#8484; qubvel/segmentation_models#31; MEASURED"

    most_share: float = field(
        default=0.5,
        metadata={
            "doc": "share of the summed gradient that void may have where it leaves the value "
            "of the loss alone, before that too is an error"
        },
    )

    def examine(
        self,
        declared: Declared,
        loss_as_run: LossAsRun,
        loss_contract: LossContract,
        head: HeadFacts,
        labels: LabelFacts | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        if declared.ignore_label is False:
            return
        if declared.ignore_label is None and not loss_as_run.void_pixels:
            raise NotExaminedError("no ignore label is known (--ignore-label 255|none would tell)")
        if labels is not None and labels.kind == "onehot" and head.channels > 1:
            need_own_labels(declared)
        if loss_as_run.raises or loss_as_run.value is None:
            raise NotExaminedError(f"the loss fails on the batch: {loss_as_run.raises}")
        if not loss_as_run.void_pixels:
            raise NotExaminedError("the batch holds no void pixel")
        moved, steepest = loss_as_run.void_moves_value, loss_as_run.void_gradient
        if not moved and not steepest:
            return
        share = loss_as_run.void_gradient_share
        severity: Severity = "error" if moved or share > self.most_share else "warning"
        does = (
            "they have a gradient and change the loss"
            if moved
            else "they leave its value alone, but not its gradient"
        )
        yield self.finding(
            f"{loss_as_run.void_pixels} void pixels of the batch reach the loss: {does}"
            f" ({share:.0%} of all gradient).",
            (
                Evidence("largest |gradient| at a void pixel", steepest, 0.0),
                Evidence("share of the gradient that void has", share, 0.0, "share"),
                Evidence("change of the loss when the prediction at void changes", moved, 0.0),
                Evidence("void pixels", loss_as_run.void_pixels, unit="px", where="the batch"),
            ),
            _void_fix(declared, head, loss_contract, loss_as_run),
            severity,
        )


@dataclass(frozen=True)
class VoidInsideOneHot(Probe):
    """IGN002: rows of 255 in one-hot labels."""

    code = "IGN002"
    how = "Counts the pixels whose one-hot row holds 255, in all channels or in one."
    why = (
        "The loss takes 255 for 255 times the weight of a real pixel: a batch's cross-entropy "
        "becomes 2040 where it was 3.04, and nearly all gradient comes from void."
    )
    fix = "A legal row at void pixels and a sample weight of 0 there."
    fine = "A loss that masks these rows itself: its gradient there is exactly zero."
    sources = "the original question; qubvel/segmentation_models#31; MEASURED"

    def examine(
        self,
        declared: Declared,
        labels: LabelFacts,
        loss_as_run: LossAsRun | None = None,
        loss_contract: LossContract | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        need_own_labels(declared)
        if labels.kind != "onehot":
            return
        rows = {form: n for form, n in labels.void_rows.items() if "255" in form}
        count = sum(rows.values())
        if not count or _masked(loss_as_run, loss_contract) or _blind_to_255(loss_contract):
            return
        form = max(rows, key=lambda name: rows[name])
        evidence = [
            Evidence(
                "pixels with 255 in their one-hot row", count, 0, "px", f"labels as fed ({form})"
            )
        ]
        effect = ""
        if loss_as_run is not None and loss_as_run.value is not None:
            evidence.append(Evidence("loss of the batch", loss_as_run.value))
            if loss_as_run.void_pixels:
                share = loss_as_run.void_gradient_share
                evidence.append(
                    Evidence("share of the gradient that void has", share, 0.0, "share")
                )
                effect = f" They make {share:.0%} of the gradient."
        unknown = loss_contract is not None and bool(loss_contract.raises)
        does = (
            "whether the loss leaves them out cannot be told, for it fails before"
            if unknown
            else "the loss counts such a pixel 255 times and more instead of leaving it out"
        )
        yield self.finding(
            f"255 stands inside the one-hot labels at {count} pixels: {does}.{effect}",
            evidence,
            Fix(
                "Write a legal row at void pixels and weigh them with 0.",
                _ROWS_CODE,
                {"labels.void": "zero weight"},
            ),
            "warning" if unknown else None,
        )


@dataclass(frozen=True)
class VoidOutOfRange(Probe):
    """IGN003: void ids go into a sparse loss that does not leave them out."""

    code = "IGN003"
    how = (
        "Looks for the ignore label (or a lone 255 or -1) among the ids as fed, and asks the loss "
        "on small arrays whether pixels of that label have an exactly zero gradient."
    )
    why = (
        "The id has no channel to look up: TensorFlow raises on a CPU, and on a GPU or with XLA "
        "the loss is NaN from the first batch with void on, and every weight after it. Sample "
        "weights of 0 do not help: 0 × NaN is NaN."
    )
    fix = "ignore_class in the sparse loss, or a legal id at void pixels with a weight of 0."
    fine = "A loss that leaves the label out; a single channel, where no id is looked up."
    sources = "tensorflow/tensorflow#8484, #5932, #57173; divamgupta/image-segmentation-keras#43"

    def examine(
        self,
        declared: Declared,
        labels: LabelFacts,
        loss_contract: LossContract,
        head: HeadFacts,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        if labels.kind == "onehot" or head.channels == 1:
            return
        if loss_contract.raises:
            raise NotExaminedError(f"the loss raises on every question: {loss_contract.raises}")
        if loss_contract.labels not in ("ids", "either"):
            return
        void = self._void(declared, labels, head.channels)
        if void is None or void in loss_contract.ignores:
            return
        fails = loss_as_run is None or bool(loss_as_run.raises) or not loss_as_run.finite
        if not fails:
            return  # the loss bears the id; whether void counts is IGN001
        count = labels.histogram.get(float(void), 0)
        evidence = [
            Evidence(f"pixels with id {void}", count, 0, "px", "labels as fed"),
            Evidence("channels of the output", head.channels, void + 1 if void > 0 else None),
            Evidence("labels that the loss leaves out", str(loss_contract.ignores or "none"), void),
        ]
        if loss_as_run is not None and loss_as_run.raises:
            evidence.append(Evidence("what the loss says of the batch", loss_as_run.raises))
        said = "raises on a CPU and gives NaN on a GPU"
        yield self.finding(
            f"{count} pixels carry the void id {void}, the model has the classes 0 … "
            f"{head.channels - 1}, and the loss is not told to leave {void} out: it {said}.",
            evidence,
            _void_fix(declared, head, loss_contract, loss_as_run, void),
        )

    def _void(self, declared: Declared, labels: LabelFacts, channels: int) -> int | None:
        """The void id that occurs and has no channel."""
        known = void_label(declared)
        told = known is not None and float(known) in labels.histogram
        candidates = (known,) if known is not None and told else _USUAL_VOIDS
        if declared.ignore_label is False:
            return None
        for value in candidates:
            if float(value) in labels.histogram and not 0 <= value < channels:
                return value
        return None


def _masked(as_run: LossAsRun | None, contract: LossContract | None) -> bool:
    """Whether the loss itself leaves rows of 255 out."""
    if as_run is not None and as_run.value is not None and as_run.void_pixels:
        return as_run.void_gradient == 0 and as_run.void_moves_value == 0
    return contract is not None and contract.facts.get("rows_255") == "ignored"


def _blind_to_255(contract: LossContract | None) -> bool:
    """Whether rows of 255 give the value of rows of zeros: the loss sets such labels to zero, and
    what it then does with the prediction there is IGN001."""
    if contract is None:
        return False
    zero, marked = answered(contract, "zero_rows,"), answered(contract, "rows_255,")
    return zero is not None and marked is not None and isclose(zero, marked, rel_tol=1e-5)


def _void_fix(
    declared: Declared,
    head: HeadFacts,
    contract: LossContract,
    as_run: LossAsRun | None,
    void: int | None = None,
) -> Fix:
    """Let the loss leave void out where it can, else weigh void with 0."""
    label = void if void is not None else void_label(declared)
    if label is None or not takes_ignore_class(contract):
        code = _ROWS_CODE
        if label is not None and contract.labels != "onehot":
            code = _WEIGHT_CODE.format(void=label)
        words = "Weigh void pixels with 0, and give them a legal label."
        return Fix(words, code, {"labels.void": "zero weight"})
    twice = takes_from_logits(contract) and contract.prediction == "logits"
    if twice and head.kind == "softmax" and (as_run is None or as_run.rescued):
        # With ignore_class Keras no longer reaches back behind the softmax.
        return Fix(
            f"Tell the loss to leave {label} out; and as the model ends in softmax, "
            "from_logits=False: with ignore_class Keras no longer finds the logits behind it.",
            f"keras.losses.SparseCategoricalCrossentropy(ignore_class={label}, from_logits=False)",
            {"loss.ignore_class": label, "loss.from_logits": False},
        )
    logits = "True" if contract.prediction == "logits" else "False"
    return Fix(
        f"Tell the loss to leave {label} out.",
        f"keras.losses.SparseCategoricalCrossentropy(ignore_class={label}, from_logits={logits})",
        {"loss.ignore_class": label},
    )
