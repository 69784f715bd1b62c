"""What a loss couples that it should not: pixels along one axis, classes in one long list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segdoctor.core.asked import LossAtShape
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossContract
from segdoctor.core.probe import Probe
from segdoctor.probes.label_values import says_several
from segdoctor.probes.loss_settings import DICE_CODE, need_answers, need_known_loss, share_saved

_STAND_IN = {"loss.stand_in": True}
_AXIS_CODE = (
    "# classes are axis {axis} of {layout}\n"
    "loss = keras.losses.categorical_crossentropy(y_true, y_pred, axis={axis})\n"
    "overlap = tf.reduce_sum(y_true * y_pred, axis={pixels})   # over the pixels: (B, C)"
)


@dataclass(frozen=True)
class LossMixesPixels(Probe):
    """LOSS005: a sum, mean or softmax over a wrong axis."""

    code = "LOSS005"
    how = (
        "On small arrays the prediction of one pixel is changed, and every other pixel's gradient "
        "is compared with what it was. A pixel may depend on itself, on its neighbourhood, on a "
        "whole image or the batch; never on exactly its row, its column, or the same place in the "
        "other images. Then one class is raised everywhere: a loss that does not move has compared "
        "pixels with pixels, and never classes with classes."
    )
    why = (
        "The axis is wrong: pixels of a row (or the images of a batch) compete, and the classes at "
        "a pixel do not. The loss falls and the masks stay stripes or blobs."
    )
    fix = "Softmax and cross-entropy over the class axis, Dice's sums over all pixel axes."
    fine = (
        "Dice and its kind depend on the whole image or batch; losses of edges and structure on a "
        "neighbourhood; boundary and class weights on the labels."
    )
    sources = "MrGiovanni/ModelsGenesis#8; FAULTS OUT-06, IGN-04"

    def examine(
        self, declared: Declared, loss_contract: LossContract, head: HeadFacts
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        need_answers(loss_contract, "depends_on")
        facts = loss_contract.facts
        if head.channels == 1 and facts.get("asked_as_fed") is False:
            return  # Keras lays labels of another rank out in another way
        axes, where = facts.get("wrong_axes"), str(facts.get("depends_on"))
        uncompared = head.channels > 1 and facts.get("classes_compared") is False
        if not axes and not uncompared:
            return
        if axes:
            what = str(facts.get("mixed_through", "prediction"))
            place = {
                "row": "all other pixels of its row",
                "column": "all other pixels of its column",
                "other images": "the same place in all other images of the batch",
            }.get(where, f"the {where}")
            said = (
                f"A pixel's gradient depends on the {what} at {place}, and at no other pixel: a "
                f"sum, mean or softmax runs over axis {_own_axes(axes, head)} of {_layout(head)}."
            )
            mixed = _own_axes(axes, head)
            evidence = [Evidence("axes that are mixed", mixed, "none, or all of an image")]
        else:
            said = (
                "Raising the score of one class at every pixel leaves the loss as it is: pixels "
                "are normalised against each other, and classes are never compared."
            )
            evidence = [Evidence("a pixel's gradient depends on", where, "its own classes")]
        evidence.append(
            Evidence("classes are compared", not uncompared, True, where="small arrays")
        )
        axis = 1 if _channels_first(head) else -1
        others = tuple(a for a in range(1, len(head.shape)) if a != axis % len(head.shape))
        pixels = others if len(others) > 1 else others[0]
        code = _AXIS_CODE.format(axis=axis, layout=_layout(head), pixels=pixels)
        yield self.finding(
            said, evidence, Fix(f"Use the class axis, axis={axis}.", code, _STAND_IN)
        )


def _channels_first(head: HeadFacts) -> bool:
    return head.class_axis % len(head.shape) == 1 and len(head.shape) > 2


def _layout(head: HeadFacts) -> str:
    if len(head.shape) == 3:
        return "(B, C, H*W)" if _channels_first(head) else "(B, H*W, C)"
    return "(B, C, H, W)" if _channels_first(head) else "(B, H, W, C)"


def _own_axes(axes: object, head: HeadFacts) -> str:
    """Axes of (B, pixels, C) as they are counted in the run's own layout."""
    numbers = [int(axis) for axis in str(axes).split(", ")]
    shift = 1 if _channels_first(head) else 0
    return ", ".join(str(number + shift if number else 0) for number in numbers)


@dataclass(frozen=True)
class LossForgetsClasses(Probe):
    """LOSS006: pixels and classes were laid out as one long list."""

    code = "LOSS006"
    how = (
        "On small arrays the entries of label and prediction are shuffled together over pixels "
        "*and* classes. A loss that gives the same value, and is no mean of per-entry terms, does "
        "not know which entry belongs to which class. Of ids, and behind a softmax of the loss's "
        "own, the gradient tells: one number at all labels and one elsewhere, or all entries of an "
        "image compete. The loss is also traced once: a function "
        "that picks entries by a condition (tf.gather_nd, tf.boolean_mask) and leaves one long "
        "list has dropped the axes."
    )
    why = (
        "One ratio over all pixels and classes is ruled by the largest class: predicting "
        "background everywhere already takes most of the loss away, and what is left hardly "
        "moves. With a softmax over the list all entries of an image share one unit of "
        "probability."
    )
    fix = (
        "Keep (B, H, W, C), mask by multiplication, sum over the pixels for each class, then mean."
    )
    fine = (
        "Binary cross-entropy and squared error are means of terms of single entries; with one "
        "channel, or independent labels, one ratio over everything is a choice. A micro-averaged "
        "Dice without masking is a warning."
    )
    sources = "the original question; qubvel/segmentation_models#31; FAULTS IGN-04"

    def examine(
        self,
        declared: Declared,
        loss_contract: LossContract,
        head: HeadFacts,
        labels: LabelFacts | None = None,
        loss_at_shape: LossAtShape | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        need_answers(loss_contract, "label_sensitive")
        facts = loss_contract.facts
        picked = facts.get("drops_axes_by")
        if head.channels == 1 or not (
            facts.get("forgets_classes") or (picked and facts.get("one_ratio"))
        ):
            return
        if facts.get("wrong_axes") or facts.get("classes_compared") is False:
            return  # LOSS005 names the axis
        if head.kind == "sigmoid" or (labels is not None and says_several(labels)):
            return  # independent labels: nothing excludes anything
        evidence = [
            Evidence("value after the shuffle", "the same", "another", where=loss_contract.name)
        ]
        evidence += _background(loss_at_shape)
        effect = _effect(loss_at_shape)
        if picked:
            said = (
                f"{picked} picks single entries out of (B, H, W, C) and lays them out as one long "
                "list, so the pixel and class axes are gone, and the loss becomes one number over "
                f"all pixels and classes together.{effect}"
            )
            words = "Mask by multiplication, which keeps the shape, and sum for each class."
        elif facts.get("normalises_pixels"):
            said = (
                "The class axis was flattened away, and the loss normalises over the whole list: "
                f"all pixels and classes of an image compete for one unit of probability.{effect}"
            )
            words = "Keep the classes as the last axis: they alone compete at a pixel."
        else:
            said = (
                "The loss is one ratio over all pixels and classes together (micro-averaged): it "
                f"does not know which entry belongs to which class.{effect}"
            )
            words = "Take the ratio for each class, then the mean over the classes."
        mild = not picked and not facts.get("normalises_pixels")
        yield self.finding(
            said,
            evidence,
            Fix(words, DICE_CODE, _STAND_IN),
            "warning" if mild else None,
        )


def _background(asked: LossAtShape | None) -> list[Evidence]:
    saved = share_saved(asked)
    if asked is None or saved is None:
        return []
    name = f"loss of class {asked.background_class} everywhere"
    return [Evidence(name, asked.background, asked.right, where="the batch's labels")]


def _effect(asked: LossAtShape | None) -> str:
    saved = share_saved(asked)
    if asked is None or saved is None or saved < 0.3:
        return ""
    return (
        f" On this batch class {asked.background_class} everywhere already scores "
        f"{asked.background:.3g} (undecided: {asked.undecided:.3g}, perfect: {asked.right:.3g})."
    )
