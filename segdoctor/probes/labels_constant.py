"""LBL011: labels in which there is nothing to tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts
from segdoctor.core.probe import Probe
from segdoctor.probes.label_values import AS_FED, files_with, label_values, says_several


@dataclass(frozen=True)
class LabelsConstant(Probe):
    """LBL011: one class only, or nothing but void."""

    code = "LBL011"
    how = (
        "Counts the classes that occur, void aside: in all masks on disk, or in the batch as fed; "
        "there also those of the pixels whose sample weight is not 0."
    )
    why = (
        "Where every pixel has the same class, the loss falls to zero by always saying that class, "
        "and nothing of the image is learnt. Masks that look black in a viewer are often sound "
        "(ids 0 to 20 look black); masks that are all 0 come from a wrong folder or export."
    )
    fix = "Look at the ids themselves (`np.unique`), not at the picture, and export again."
    fine = "A single example of one class among others is normal; so is a class that is rare."
    sources = "milesial/Pytorch-UNet#370; tensorflow/models#9844"

    few_examples: int = field(
        default=2,
        metadata={"doc": "up to so many examples in the batch it is a warning: it may be chance"},
    )

    def examine(
        self,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
    ) -> Iterator[Finding]:
        from segdoctor.measures.palettes import as_scaled

        for values in label_values(labels, scan, declared, head):
            if values.kind == "unclear" or (not values.histogram and values.kind != "onehot"):
                continue
            if values.where == AS_FED and labels is not None and says_several(labels):
                continue  # several classes at a pixel are more than one
            void = values.void_or_usual
            classes = [value for value in values.histogram if value != void]
            scaled = as_scaled(values.histogram, values.classes, values.scale_void)
            if len(classes) > 1 or (scaled is not None and values.kind != "onehot"):
                if values.where == AS_FED and labels is not None and len(classes) > 1:
                    yield from self._weighed(labels, classes)
                continue
            masks = f"{values.masks:,} {'mask' if values.masks == 1 else 'masks'}"
            what = f"class {classes[0]:g} only" if classes else "nothing but void"
            message = (
                f"The {values.where} ({masks}) hold {what}: whatever the network says, there is "
                "nothing to tell apart."
            )
            chance = values.where == AS_FED and values.masks <= self.few_examples
            words = (
                "Check that the masks come from the right folder and still hold their ids after "
                "every step of the pipeline."
            )
            code = "print(np.unique(np.array(Image.open(mask_path)), return_counts=True))"
            yield self.finding(
                message,
                (
                    Evidence("classes that occur", len(classes), 2, "classes", values.where),
                    *(
                        Evidence("such a mask", path, where=path)
                        for path in (
                            () if values.where == AS_FED else files_with(scan, values.histogram)
                        )
                    ),
                ),
                Fix(words, code),
                "warning" if chance else None,
            )
            return

    def _weighed(self, labels: LabelFacts, classes: Sequence[float]) -> Iterator[Finding]:
        """The sample weights leave one class to learn, or none."""
        if labels.weighed is None:
            return
        left = [value for value in labels.weighed if value in classes]
        if len(left) > 1:
            return
        what = (
            f"all but class {left[0]:g} have a sample weight of 0"
            if left
            else "every sample weight is 0, so the loss is 0 whatever the network says"
        )
        yield self.finding(
            f"The labels as fed hold {len(classes)} classes, but {what}: there is nothing to tell "
            "apart.",
            (Evidence("classes whose sample weight is not 0", len(left), 2, "classes", AS_FED),),
            Fix(
                "Give every pixel that is to be learnt a sample weight above 0.",
                "print([np.unique(y[w != 0]) for _, y, w in batches])",
            ),
            "warning" if left and labels.shape[0] <= self.few_examples else None,
        )
