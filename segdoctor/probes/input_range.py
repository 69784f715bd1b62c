"""DATA007: the inputs are not in the range that the weights were trained with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, InputRange
from segdoctor.core.probe import NotExaminedError, Probe

RANGES = {
    "tf": ("[-1, 1]", "x = x / 127.5 - 1.0"),
    "unit": ("[0, 1]", "x = x / 255.0"),
    "none": ("[0, 255]", "x = x.astype('float32')  # no scaling"),
    "torch": ("ImageNet mean 0, deviation 1", "x = (x / 255.0 - mean) / std  # ImageNet's, RGB"),
    "caffe": ("BGR minus ImageNet's mean", "x = x[..., ::-1] - (103.939, 116.779, 123.68)"),
}


@dataclass(frozen=True)
class InputRangeDiffers(Probe):
    code = "DATA007"
    how = (
        "The batch's images are brought into each usual range, and each is sent to the first batch "
        "normalisation. Its moving mean and variance were gathered from the inputs of its "
        "training; the range they describe best is the one it was trained with."
    )
    why = (
        "A frozen or pretrained backbone sees numbers it never saw: [0, 255] instead of [-1, 1] "
        "took a trained person net from an IoU of .81 to .35."
    )
    fix = "Scale the images as the weights' own preprocessing does, for training and prediction."
    fine = (
        "An untrained net learns with any sane range. A Rescaling layer at the front of the model "
        "is part of it: the measurement passes through it."
    )
    sources = "bonlime/keras-deeplab-v3-plus#3, #8, #120; qubvel/segmentation_models#105"

    wrong: float = field(
        default=3.0, metadata={"doc": "gap of the range as fed from which it is an error"}
    )
    doubtful: float = field(
        default=0.9, metadata={"doc": "gap of the range as fed from which it is a warning"}
    )
    better: float = field(
        default=0.5, metadata={"doc": "the best range's gap, as a share of the one as fed"}
    )

    def examine(self, input_range: InputRange, declared: Declared) -> Iterator[Finding]:
        if not declared.range_declared:
            raise NotExaminedError(
                "segdoctor chose the input range itself (--preprocess says how yours is)"
            )
        if input_range.fed not in input_range.gaps:
            raise NotExaminedError("the batch's values are in none of the usual ranges")
        fed = input_range.gaps[input_range.fed]
        best = min(input_range.gaps, key=lambda name: input_range.gaps[name])
        gap = input_range.gaps[best]
        if fed < self.doubtful or gap > self.better * fed:
            return
        said, code = RANGES.get(best, (best, ""))
        yield self.finding(
            f"The images are fed in [{input_range.minimum:.3g}, {input_range.maximum:.3g}], but "
            f"the weights were trained with {said}.",
            (
                Evidence(
                    "gap between the first BN's moving statistics and the images as fed",
                    round(fed, 2),
                    round(gap, 2),
                    where=f"{input_range.layer} (the limit is what {said} gives)",
                ),
            ),
            Fix(f"Scale the images to {said} before the model.", code, {"data.preprocess": best}),
            severity="error" if fed >= self.wrong else "warning",
        )
