"""Label and prediction broadcast against each other without a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.asked import LossAtShape
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import need_known_loss, need_own_labels


@dataclass(frozen=True)
class SilentBroadcast(Probe):
    """LOSS007: shapes that do not fit are stretched, and every pixel meets foreign labels."""

    code = "LOSS007"
    how = (
        "Every label of the batch is replaced by another class, under the same undecided "
        "prediction. Where labels are understood, the gradient of the two channels concerned moves "
        "apart at that pixel; where they are stretched over an axis, it does not."
    )
    why = (
        "NumPy's rules stretch an axis of length one, and missing leading axes: ids of "
        "(B, H, W, 1) against (B, H, W, C) count for all classes alike, (B, H, W) against "
        "(B, H, W, 1) meets "
        "other rows where B is 1 or equals H. No error, a loss that falls, and nothing is learnt."
    )
    fix = "Bring both to one shape first, and assert it in the loss."
    fine = "Masks and weights of one channel that are meant to be stretched over the classes."
    sources = "tensorflow/tensorflow#30040, #35490; FAULTS LAB-11"

    least_agreement: float = field(
        default=0.5,
        metadata={
            "doc": "mean agreement between the change of the labels and that of the gradient, of "
            "at most 1, below which labels count as not understood"
        },
    )

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract,
        labels: LabelFacts,
        head: HeadFacts,
        loss_at_shape: LossAtShape,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        need_own_labels(declared)
        if loss_as_run is not None and loss_as_run.raises:
            return  # nothing is silent here
        facts = loss_contract.facts
        if facts.get("has_gradient") is False or not facts.get("label_sensitive", True):
            return  # deaf to labels of any shape: LOSS002, LOSS003
        found = loss_at_shape.agreement
        if found is None:
            raise NotExaminedError("the gradient on the batch's labels could not be compared")
        if abs(found) >= self.least_agreement:
            return
        takes = ", ".join(_FORMS.get(form, form) for form in loss_contract.forms)
        code = (
            "y_true = tf.cast(y_true, y_pred.dtype)\n"
            "tf.debugging.assert_equal(tf.shape(y_true), tf.shape(y_pred))"
        )
        yield self.finding(
            f"Labels of shape {labels.shape} and an output of shape {head.shape} are stretched "
            "over each other inside the loss: other labels at the pixels do not move the gradient "
            f"where they should (agreement {found:.2f} of 1).",
            (
                Evidence("agreement of gradient and labels", abs(found), self.least_agreement),
                Evidence("shape of the labels as fed", str(labels.shape), str(head.shape)),
                Evidence("layouts that the loss understands", takes or "none of those asked"),
            ),
            Fix("Give both the same shape, and check it.", code, self._patch(loss_contract)),
        )

    def _patch(self, contract: LossContract) -> dict[str, str | bool]:
        if contract.labels in ("ids", "onehot"):
            return {"labels.encoding": contract.labels}
        return {"loss.stand_in": True}


_FORMS = {"BHWC": "one-hot (B, H, W, C)", "BHW": "ids (B, H, W)", "BHW1": "ids (B, H, W, 1)"}
