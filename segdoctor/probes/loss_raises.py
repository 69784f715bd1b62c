"""The loss fails: on the batch, inside a graph, on another legal batch; and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segdoctor.core.asked import LossAtShape
from segdoctor.core.finding import Evidence, Finding, Fix, Plain
from segdoctor.core.measured import Declared, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import DICE_CODE, need_known_loss

_STAND_IN = {"loss.stand_in": True}
_RIGHT = "loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)"


@dataclass(frozen=True)
class LossRaises(Probe):
    """LOSS001: the loss fails on the batch."""

    code = "LOSS001"
    how = (
        "The loss is computed on the real batch and the model's real output, as fit does, and on "
        "small arrays with one class only and with saturated predictions. It is traced as well, "
        "with the size of the batch and without it."
    )
    why = "Training cannot start, or stops at the first batch of this kind."
    fix = "Repair the cause that the error names; check the loss on one batch before fit."
    fine = "A loss that refuses small arrays, but takes the real batch."
    sources = "the original question's Dice (axis=1 after tf.gather_nd)"

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract | None = None,
        loss_as_run: LossAsRun | None = None,
        loss_at_shape: LossAtShape | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        if loss_as_run is not None:
            error, where = loss_as_run.raises, "the batch"
        elif loss_contract is not None:
            error, where = loss_contract.raises, "small arrays of every layout"
        else:
            raise NotExaminedError("neither the loss nor a batch is at hand (--data would tell)")
        facts = loss_contract.facts if loss_contract is not None else {}
        if facts.get("metric_object"):
            return  # that it is no loss at all is LOSS010
        if not error:
            error, where = _elsewhere(facts, loss_at_shape)
        if not error and facts.get("raises_at_any_batch"):
            yield self._of_one_size(str(facts["raises_at_any_batch"]))
        if not error:
            return
        in_graph = facts.get("raises_in_graph") == error and not (
            loss_as_run is not None and loss_as_run.raises
        )
        cause, words, code = _cause(error, in_graph, str(facts.get("drops_axes_by") or ""))
        yield self.finding(
            f"The loss fails on {where}: {error.rstrip('. ')}.{cause}",
            (Evidence("error", error, where=where),),
            Fix(words, code, _STAND_IN),
        )

    def _of_one_size(self, error: str) -> Finding:
        where = "a batch whose size is left open"
        return self.finding(
            f"The loss fails on {where}: {error.rstrip('. ')}. It asks y_pred.shape for the batch "
            "size, which fit leaves open for batches of a generator or of tf.data without "
            "drop_remainder, and for arrays whose last batch is smaller.",
            (Evidence("error", error, where=where),),
            Fix(
                "Reduce over whole arrays, or ask tf.shape.",
                "batch = tf.shape(y_pred)[0]   # a number at run time; y_pred.shape[0] is None",
                _STAND_IN,
            ),
            "warning",
        )


def _elsewhere(facts: Mapping[str, Plain], at_shape: LossAtShape | None) -> tuple[str, str]:
    """``(error, where)`` of a loss that bears the batch: in a graph, on other legal batches."""
    in_graph, rare = facts.get("raises_in_graph"), facts.get("raises_at")
    if in_graph:
        return str(in_graph), "the batch inside a graph, which is how fit runs it"
    if rare:
        where, _, error = str(rare).partition(": ")
        return error, f"a legal small batch ({where})"
    if at_shape is not None and at_shape.raises:
        where, _, error = at_shape.raises.partition(": ")
        return error, f"the batch's labels with another prediction ({where})"
    return "", ""


def _cause(error: str, in_graph: bool, picked: str) -> tuple[str, str, str]:
    """What is behind an error text: a sentence, the remedy in words and in code.

    ``in_graph``: it fails only there; ``picked``: what laid the entries out as one list before.
    """
    low = error.lower()
    if "no answer within" in low:
        return (
            " fit would stand still at its first batch: a loop that waits for what never comes, or "
            "Python code that goes through the pixels one by one.",
            "Write it with TensorFlow's or Keras' operations on whole arrays.",
            _RIGHT,
        )
    axis = any(word in low for word in ("reduction", "axis", "dimension", "rank"))
    if axis and picked:
        return (
            f" {picked} picks single entries out of (B, H, W, C) and lays them out as one long "
            "list, so the axes that the formula sums over are gone; without an axis it would run, "
            "but as one number over all pixels and classes together, which background rules.",
            "Leave the shape as it is, mask by multiplication, and sum over the pixels.",
            DICE_CODE,
        )
    if in_graph:
        return (
            " It works only eagerly: fit traces the loss once with tensors that hold no numbers "
            "yet, so .numpy(), float() and Python's if cannot look at them.",
            "Write it with TensorFlow's or Keras' operations alone (tf.where in the place of if).",
            "weight = tf.where(tf.reduce_sum(y_true) > 0, 1.0, 0.0)\n"
            "# to look into it meanwhile: model.compile(…, run_eagerly=True)",
        )
    if axis and ("1 dimension" in low or "rank 1" in low or "out of bounds" in low):
        return (
            " An earlier step (a reshape, or a selection) laid (B, H, W, C) out as one long list: "
            "the axes that the formula sums over are gone. Summing without an axis would run, and "
            "make one number of all pixels and classes.",
            "Leave the shape as it is, mask by multiplication, and sum over the pixels.",
            DICE_CODE,
        )
    if "label value" in low or "valid range" in low:
        return (
            " An id has no channel: void, or a class beyond the head.",
            "Leave void out (ignore_class), and map the ids to the classes of the head.",
            _RIGHT,
        )
    return (
        "",
        "Repair the loss, or take one of Keras'.",
        _RIGHT,
    )
