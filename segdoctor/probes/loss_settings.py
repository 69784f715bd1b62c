"""What the probes of loss, head and void have in common: stock losses, answers, the stand-in."""

from __future__ import annotations

from segdoctor.core.asked import LossAtShape
from segdoctor.core.finding import Evidence, Plain
from segdoctor.core.measured import Declared, LossContract
from segdoctor.core.probe import NotExaminedError

_TAKES_FROM_LOGITS = {
    *("binarycrossentropy", "bce", "binaryfocalcrossentropy", "crossentropy"),
    *("categoricalcrossentropy", "categoricalfocalcrossentropy", "sparsecategoricalcrossentropy"),
}
DICE_CODE = (
    "def dice_loss(y_true, y_pred):    # (B, H, W, C), void rows are 255\n"
    "    legal = tf.reduce_all(y_true <= 1, axis=-1, keepdims=True)\n"
    "    valid = tf.cast(legal, y_pred.dtype)    # masked: the shape stays\n"
    "    y_true, y_pred = valid * y_true, valid * y_pred\n"
    "    overlap = tf.reduce_sum(y_true * y_pred, axis=(0, 1, 2))   # (C,)\n"
    "    total = tf.reduce_sum(y_true + y_pred, axis=(0, 1, 2))     # (C,)\n"
    "    return 1 - tf.reduce_mean((2 * overlap + 1) / (total + 1))"
)
"""A Dice loss that keeps the axes, with void masked."""

_SPARSE = frozenset({"sparsecategoricalcrossentropy"})


def need_known_loss(declared: Declared) -> None:
    """
    Raises
    ------
    NotExaminedError
        The loss is segdoctor's own stand-in, so nothing can be said of the run's.
    """
    if declared.loss_stand_in:
        why = declared.why_no_loss or "the file has no compile settings"
        raise NotExaminedError(
            f"{why}, and a right loss stands in (loss=, or --loss … "
            "--from-logits/--probabilities, would tell)"
        )


def need_answers(contract: LossContract, fact: str) -> None:
    """
    Raises
    ------
    NotExaminedError
        The loss was not asked for ``fact``: it refused all questions, or took too long.
    """
    if fact in contract.facts:
        return
    if contract.raises:
        raise NotExaminedError(f"the loss refuses the questions: {contract.raises}")
    missed = contract.facts.get("unasked")
    if missed:
        raise NotExaminedError(
            f"the loss takes so long that {missed} questions could not be asked of it"
        )
    raise NotExaminedError("the loss gave no comparable values on small arrays")


def need_own_labels(declared: Declared) -> None:
    """
    Raises
    ------
    NotExaminedError
        segdoctor itself encoded the labels, as the loss takes them.
    """
    if not declared.encoding_declared:
        raise NotExaminedError(
            "segdoctor itself encoded the labels as the loss takes them "
            "(--labels ids|onehot|onehot-zero|onehot-255 would tell how your pipeline does)"
        )


def takes_from_logits(contract: LossContract) -> bool:
    """Whether the loss is one of Keras' own that have the argument ``from_logits``."""
    return _bare(contract.name) in _TAKES_FROM_LOGITS and not contract.facts.get("home_made")


def takes_ignore_class(contract: LossContract) -> bool:
    """Whether the loss is Keras' own with the argument ``ignore_class``."""
    return _bare(contract.name) in _SPARSE and not contract.facts.get("home_made")


def _bare(name: str) -> str:
    return name.rpartition(">")[2].replace("_", "").lower()


def answered(contract: LossContract, question: str) -> float | None:
    """The value that the loss gave to the question that begins so, None if it gave none."""
    for answer in contract.answers:
        if answer.question.startswith(question) and answer.value is not None:
            return answer.value
    return None


def fact(contract: LossContract, name: str, says: str, limit: Plain = None) -> Evidence:
    """One fact of the contract as evidence."""
    return Evidence(says, contract.facts.get(name), limit, where=contract.name)


def asks_each_channel(contract: LossContract | None) -> bool:
    """Whether the loss asks a yes/no question of each channel: several labels at a pixel are
    legal."""
    if contract is None:
        return False
    facts = contract.facts
    sigmoid = contract.prediction == "logits" and facts.get("channels_compete") is False
    return sigmoid or bool(facts.get("yes_no_per_channel"))


def share_saved(asked: LossAtShape | None) -> float | None:
    """Share of what can be gained over an undecided prediction that background alone gains."""
    if asked is None or None in (asked.undecided, asked.right, asked.background):
        return None
    assert asked.undecided is not None
    assert asked.right is not None
    assert asked.background is not None
    whole = asked.undecided - asked.right
    return (asked.undecided - asked.background) / whole if whole > 0 else None


def void_label(declared: Declared) -> int | None:
    """The ignore label where there is one that is known."""
    label = declared.ignore_label
    return None if label is None or isinstance(label, bool) else label
