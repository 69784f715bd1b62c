"""The labels as fed against what the loss takes and what the model gives: encoding and shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.label_colours import scaled_onehot
from segdoctor.probes.loss_settings import asks_each_channel, need_known_loss, need_own_labels


@dataclass(frozen=True)
class SparseOnehotMismatch(Probe):
    """LBL001: the labels are encoded in the other way than the loss takes them."""

    code = "LBL001"
    how = (
        "The labels as fed are looked at: whole ids, or rows of 0 and 1 that sum to one. The loss "
        "is asked on small arrays which of the two it takes: it raises on the other, or its value "
        "does not depend on whether the prediction is right."
    )
    why = (
        "A sparse loss reads the 0s and 1s of a one-hot label as class ids, a categorical one "
        "multiplies probabilities with ids. Keras mostly raises; a home-made loss broadcasts and "
        "trains on nothing."
    )
    fix = "Ids with a sparse loss, one-hot labels with a categorical one."
    fine = "A loss that takes both; one output channel, where the two are the same."
    sources = "FAULTS label-mismatch; keras.losses"

    def examine(
        self,
        declared: Declared,
        labels: LabelFacts,
        loss_contract: LossContract,
        head: HeadFacts,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        need_known_loss(declared)
        need_own_labels(declared)
        if head.channels == 1:
            return
        if loss_contract.labels == "unknown":
            raise NotExaminedError("the loss's answers do not tell which labels it takes")
        fed = {"binary": "ids"}.get(labels.kind, labels.kind)
        if fed not in ("ids", "onehot") or loss_contract.labels in ("either", fed):
            return
        names = {"ids": "class ids", "onehot": "one-hot labels"}
        takes = loss_contract.labels
        evidence = [
            Evidence("labels as fed", f"{names[fed]} {labels.shape}", names[takes]),
            Evidence("layouts that the loss takes", ", ".join(loss_contract.forms)),
        ]
        if loss_as_run is not None and loss_as_run.raises:
            evidence.append(Evidence("what the loss says of the batch", loss_as_run.raises))
        if takes == "ids":
            code = "y = y.argmax(axis=-1)          # or: keras.losses.CategoricalCrossentropy(…)"
        else:
            code = (
                f"y = keras.utils.to_categorical(ids, {head.channels})\n"
                "# or keep the ids: keras.losses.SparseCategoricalCrossentropy(…)"
            )
        yield self.finding(
            f"The labels are {names[fed]} of shape {labels.shape}, but the loss "
            f"{loss_contract.name!r} takes {names[takes]}.",
            evidence,
            Fix(
                f"Feed {names[takes]}, or take the loss for {names[fed]}.",
                code,
                {"labels.encoding": takes},
            ),
        )


@dataclass(frozen=True)
class LabelShapeMismatch(Probe):
    """LBL002: labels and output cannot be laid over each other."""

    code = "LBL002"
    how = (
        "Compares the shape of the labels with that of the output: (B, H, W), (B, H, W, 1) and "
        "(B, H, W, C) fit an output (B, H, W, C). Other shapes are a fault if the loss fails."
    )
    why = (
        "Pixels and labels must meet one to one. Where shapes do not fit, the loss raises, or "
        "broadcasts and compares pixels with labels of other pixels."
    )
    fix = "Bring the labels to the shape of the output: same batch, same height, same width."
    fine = (
        "A loss that resizes or flattens inside and runs. Another width of one-hot labels is "
        "OUT008."
    )
    sources = "rishizek/tensorflow-deeplab-v3#7; tensorflow/tensorflow#30040"

    def examine(
        self,
        declared: Declared,
        labels: LabelFacts,
        head: HeadFacts,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        if not declared.encoding_declared and declared.source == "folder":
            need_own_labels(declared)
        axis = head.class_axis % len(head.shape)
        pixels = head.shape[:axis] + head.shape[axis + 1 :]
        onehot = labels.kind == "onehot" and head.channels > 1
        shape = labels.shape
        if onehot:
            own = labels.sums_to_one_over
            own = len(shape) - 1 if own is None else own
            shape = shape[:own] + shape[own + 1 :]
        if shape in (pixels, (*pixels, 1)):
            return
        if loss_as_run is not None and not loss_as_run.raises and loss_as_run.finite:
            return
        same = prod(shape) == prod(pixels)
        grid = len(shape) >= 3 and len(pixels) == 3 and shape[1:3] != pixels[1:]
        if same:
            words = "Reshape the labels to the pixels of the output."
            code = f"y = y.reshape({pixels})"
        elif grid:
            words = (
                f"Bring the output to the {shape[1]}×{shape[2]} of the labels (resize the logits), "
                "or the labels to its grid with nearest-neighbour."
            )
            code = f'x = layers.Resizing({shape[1]}, {shape[2]}, interpolation="bilinear")(x)'
        else:
            words = "Feed one label for each pixel of the output."
            code = f"assert y.shape == {pixels}"
        evidence = [
            Evidence("shape of the labels as fed", str(labels.shape), str(head.shape)),
            Evidence("pixels of the labels", prod(shape), prod(pixels), "px"),
        ]
        if loss_as_run is not None and loss_as_run.raises:
            evidence.append(Evidence("what the loss says of the batch", loss_as_run.raises))
        yield self.finding(
            f"Labels of shape {labels.shape} do not fit the output of shape {head.shape}.",
            evidence,
            Fix(words, code),
        )


@dataclass(frozen=True)
class OnehotMalformed(Probe):
    """LBL009: one-hot labels that do not say one class per pixel."""

    code = "LBL009"
    how = (
        "Sums the channels of every one-hot label: 1 for a class (label smoothing included). Rows "
        "of zeros and of 255 are void and left to IGN001 and IGN002. If another axis than the "
        "output's class axis sums to one, the classes stand on the wrong axis."
    )
    why = (
        "Cross-entropy weighs a pixel by the sum of its row: two classes at once count double and "
        "can never both be right under a softmax; on another axis, rows are taken for classes."
    )
    fix = "One 1 per pixel, on the axis on which the output has its classes."
    fine = "Several labels at one pixel with a sigmoid for each class; label smoothing; mixup."
    sources = "FAULTS label-mismatch; tensorflow/tensorflow#28256"

    tolerance: float = field(
        default=0.02, metadata={"doc": "largest |sum - 1| of a row that says one class"}
    )
    share: float = field(
        default=0.001, metadata={"doc": "share of malformed pixels from which it is reported"}
    )

    def examine(
        self,
        declared: Declared,
        labels: LabelFacts,
        head: HeadFacts,
        loss_contract: LossContract | None = None,
    ) -> Iterator[Finding]:
        need_own_labels(declared)
        if labels.kind != "onehot" or scaled_onehot(labels):
            return  # 255 for 1: LBL007
        axis = head.class_axis % len(head.shape)
        own = labels.sums_to_one_over
        if own is not None and own != axis and len(labels.shape) == len(head.shape):
            yield self.finding(
                f"The one-hot labels of shape {labels.shape} have their classes on axis {own}, the "
                f"output of shape {head.shape} on axis {axis}.",
                (Evidence("class axis of the labels", own, axis),),
                Fix(
                    f"Move the classes to axis {axis}.",
                    f"y = np.moveaxis(y, {own}, {axis})",
                    {"labels.encoding": "onehot"},
                ),
            )
            return
        several = head.kind == "sigmoid" or asks_each_channel(loss_contract)
        total = sum(labels.row_sums.values())
        strange = {
            value: count
            for value, count in labels.row_sums.items()
            if value != 0 and abs(value - 1) > self.tolerance
        }
        marked = sum(n for form, n in labels.void_rows.items() if "255" in form)
        bad = sum(strange.values()) - marked
        if several or not total or bad / total < self.share:
            return
        most = max(strange, key=lambda value: strange[value])
        yield self.finding(
            f"The one-hot labels of {bad} pixels ({bad / total:.1%}) do not say one class: their "
            f"channels sum to {most:g}, for example.",
            (
                Evidence("pixels whose channels do not sum to one", bad / total, 0.0, "share"),
                Evidence("most frequent such sum", most, 1.0),
            ),
            Fix(
                "Encode from ids, so that each pixel has exactly one 1.",
                f"y = keras.utils.to_categorical(ids, {head.channels})",
                {"labels.encoding": "onehot"},
            ),
        )
