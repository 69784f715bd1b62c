"""OPT008: class_weight beside labels that say a class for each pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import HeadFacts, LabelFacts
from segdoctor.core.probe import Probe


@dataclass(frozen=True)
class ClassWeightNotApplied(Probe):
    code = "OPT008"
    how = (
        "class_weight gives one weight to one example, by its one label. The shape of the labels "
        "tells whether there is one."
    )
    why = (
        "For (B, H, W), (B, H, W, 1) and one-hot labels every Keras raises; for flattened ids "
        "(B, H·W) Keras takes them for one-hot and weights each image by the place of its "
        "largest id, in silence."
    )
    fix = "A sample_weight of one weight a pixel."
    fine = "Labels with one class for each image."
    sources = "keras-team/keras#3653, #16674; divamgupta/image-segmentation-keras#298; measured"

    def examine(
        self, class_weight: Mapping[int, float], labels: LabelFacts, head: HeadFacts
    ) -> Iterator[Finding]:
        shape = labels.shape
        pixels = len(shape) >= 3 or (len(shape) == 2 and shape[1] not in (1, head.channels))
        if not class_weight or not pixels:
            return
        silent = len(shape) == 2
        does = (
            "takes each row of ids for one-hot, and weights whole images by the place of the "
            "largest id"
            if silent
            else "raises, for an image has no single class"
        )
        weights = [float(class_weight.get(c, 1.0)) for c in range(head.channels)]
        told = ", ".join(f"{weight:g}" for weight in weights[:8])
        more = ", …" if len(weights) > 8 else ""
        yield self.finding(
            f"class_weight with labels of shape {shape}: Keras {does}. The weights never reach "
            "the pixels.",
            (
                Evidence("shape of the labels", " × ".join(map(str, shape)), "B"),
                Evidence("classes that are weighted", len(class_weight), None, "classes"),
            ),
            Fix(
                "Give every pixel its weight by sample_weight, void pixels 0.",
                f"weights = np.array([{told}{more}], 'float32')\n"
                "sample_weight = np.where(ids == 255, 0, weights[np.minimum(ids, "
                f"{head.channels - 1})])\n"
                "model.fit(x, ids, sample_weight=sample_weight)",
            ),
        )
