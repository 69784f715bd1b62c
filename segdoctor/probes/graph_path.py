"""MDL005, MDL008, MDL009, MDL010: what stands between the weights and the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.probe import Probe

if TYPE_CHECKING:
    from segdoctor.core.measured import Declared, GradientFacts, HeadFacts, LabelFacts, LossAsRun
    from segdoctor.core.network_facts import CutOperation, PixelOrder, Untracked

_ON_PURPOSE = ("StopGradient", "PreventGradient")


@dataclass(frozen=True)
class NoGradientOperation(Probe):
    code = "MDL005"
    how = (
        "Where weights have no gradient, the forward pass is traced and walked back from the "
        "output to the operation through which none goes. Of a file, the line of layers that "
        "leads to the output is read."
    )
    why = "argmax, round and casts to integer are flat: nothing before them ever changes."
    fix = "Let the model give scores; make class ids of them after training."
    fine = "argmax in a metric, in a second output, or in a branch beside the path."
    sources = "FAULTS OUT-08; measured"

    fewest: int = field(default=1, metadata={"doc": "operations that cut every path"})

    def examine(
        self,
        graph: GraphFacts,
        gradient_cut: tuple[CutOperation, ...] | None = None,
        gradients: tuple[GradientFacts, ...] | None = None,
    ) -> Iterator[Finding]:
        from segdoctor.measures.head_layers import no_gradient_layers

        if gradients is None:
            found = [(layer.class_name, layer.name) for layer in no_gradient_layers(graph)]
        else:
            cut = gradient_cut or ()
            found = [
                (op.operation, op.layer or op.name)
                for op in cut
                if op.operation and op.operation not in _ON_PURPOSE
            ]
        if len(found) < self.fewest:
            return
        operation, layer = found[0]
        yield self.finding(
            f"{operation} in {layer} stands on the way to the output, and no gradient goes "
            "through it: nothing before it can learn.",
            [Evidence("operation without a gradient", op, where=where) for op, where in found],
            Fix(
                f"Take {operation} out of the model: the loss needs the scores. Make ids of them "
                "where you look at the result.",
                "ids = np.argmax(model.predict(x), axis=-1)    # after training, outside the model",
            ),
        )


@dataclass(frozen=True)
class OutputSizeDiffers(Probe):
    code = "MDL008"
    how = "The height and width of the output on the batch beside those of the labels."
    why = "Pixels meet labels of other places, or the loss raises."
    fix = "Resize the logits to the size of the labels, inside the model."
    fine = "A loss that brings one to the grid of the other itself, and runs."
    sources = "FAULTS LAB-18, ARCH-03; rishizek/tensorflow-deeplab-v3#7"

    def examine(
        self,
        head: HeadFacts,
        labels: LabelFacts,
        declared: Declared,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        axis = head.class_axis % len(head.shape)
        grid = tuple(size for place, size in enumerate(head.shape) if place not in (0, axis))
        wanted = labels.shape[1:3]
        if len(labels.shape) < 3 or labels.kind == "unclear" or len(grid) not in (1, 2):
            return
        if len(grid) == 1 and grid[0] in (prod(wanted), wanted[0]):
            return
        if labels.kind == "onehot" and labels.sums_to_one_over not in (None, len(labels.shape) - 1):
            return
        if len(grid) == 1 or grid in (wanted, wanted[::-1]):
            return  # the other way round they are turned: LBL002
        if loss_as_run is not None and not loss_as_run.raises:
            return
        ratio = wanted[0] / max(grid[0], 1)
        folder = declared.source == "folder"
        own = " (the masks at the size of the input)" if folder else ""
        yield self.finding(
            f"The output is {grid[0]}×{grid[1]} and the labels are {wanted[0]}×{wanted[1]}{own}: "
            f"a factor of {ratio:g}.",
            (
                Evidence("output", f"{grid[0]}×{grid[1]}", f"{wanted[0]}×{wanted[1]}", "px"),
                Evidence("labels over output", round(ratio, 3), 1),
            ),
            Fix(
                "Resize the logits to the size of the labels as the last layer of the model; "
                "shrinking the labels instead loses small objects.",
                f"x = layers.Resizing({wanted[0]}, {wanted[1]}, interpolation='bilinear')(x)",
                {"head.resize": f"{wanted[0]}x{wanted[1]}"},
            ),
        )


@dataclass(frozen=True)
class PixelOrderScrambled(Probe):
    code = "MDL009"
    how = (
        "The layers behind the scores are cut off, and sixteen single marks (one pixel, one "
        "class) are sent through them: each must come out at its pixel and in its class."
    )
    why = (
        "Reshape((C, H·W)) on channels-last scores cuts the row of one pixel's classes into "
        "neighbouring pixels: shapes fit, the loss runs, and every label meets another place."
    )
    fix = "Reshape((H·W, C)) keeps the order; no Permute is needed."
    fine = "Reshape((H·W, C)), and channels-first nets that permute the class axis to the end."
    sources = "FAULTS OUT-07; measured"

    share: float = field(
        default=0.9, metadata={"doc": "share of the marks that must keep pixel and class"}
    )

    def examine(self, pixel_order: PixelOrder | None) -> Iterator[Finding]:
        if pixel_order is None:
            return
        marks = pixel_order.marks
        least = min(pixel_order.place_right, pixel_order.class_right)
        if least >= self.share * marks:
            return
        names = ", ".join(pixel_order.layers[:4])
        yield self.finding(
            f"The layers behind the scores ({names}) mix pixels and classes: of {marks} single "
            f"marks {pixel_order.place_right} came out at their own pixel and "
            f"{pixel_order.class_right} in their own class.",
            (
                Evidence(
                    "marks at their own pixel",
                    pixel_order.place_right,
                    marks,
                    "marks",
                    pixel_order.layers[0] if pixel_order.layers else "",
                ),
                Evidence("marks in their own class", pixel_order.class_right, marks, "marks"),
            ),
            Fix(
                "Scores (H, W, C) become a list of pixels by Reshape((H*W, C)), and stay as they "
                "are if the loss takes (B, H, W, C).",
                "x = layers.Reshape((height * width, classes))(x)    # and no Permute",
                {"head.tail": "remove"},
            ),
        )


@dataclass(frozen=True)
class UntrackedVariables(Probe):
    code = "MDL010"
    how = (
        "A gradient tape around every Lambda and every layer that is not Keras' own sees the "
        "variables that it uses on one example; those that model.weights lacks are untracked."
    )
    why = "The optimizer never sees them, saving leaves them out: they keep their first values."
    fix = "Make them in build() with add_weight, or keep layers as attributes of a layer."
    fine = "Variables that are not trainable (a counter, a table)."
    sources = "FAULTS OPT-16, SAVE-05; measured on Keras 3.15.1"

    fewest: int = field(default=1, metadata={"doc": "variables"})

    def examine(self, untracked: tuple[Untracked, ...]) -> Iterator[Finding]:
        if len(untracked) < self.fewest:
            return
        first = untracked[0]
        entries = sum(prod(variable.shape) for variable in untracked)
        yield self.finding(
            f"{len(untracked)} trainable variables ({entries:,} numbers) are used and not known "
            f"to the model, among them {first.variable} in {first.layer}: they never train and "
            "are not saved.",
            [
                Evidence("untracked variable", variable.variable, where=variable.layer)
                for variable in untracked[:5]
            ],
            Fix(
                "Put them into a layer of your own.",
                "class Scale(keras.layers.Layer):\n"
                "    def build(self, shape):\n"
                '        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")\n'
                "    def call(self, x):\n"
                "        return x * self.scale",
            ),
        )
