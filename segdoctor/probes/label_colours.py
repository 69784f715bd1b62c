"""Labels that are not ids but what a loader made of them: colours, luminances, scaled ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segdoctor.core.data_facts import ScanFacts
from segdoctor.core.data_sums import sums_of
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LabelFacts
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.label_values import (
    AS_FED,
    ON_DISK,
    LabelValues,
    files_with,
    ids_in_words,
    label_values,
)

if TYPE_CHECKING:
    from segdoctor.measures.palettes import Recognised

_READ_IDS = (
    "def read_mask(path):                      # palette PNG: Pillow keeps the ids\n"
    "    with Image.open(path) as mask:\n"
    "        return np.array(mask)              # mode P → 0 … 20 and 255"
)
_PALETTE_WORDS = (
    "Read the palette's indices with Pillow (mode P). tf.io.decode_png, cv2.imread, "
    '.convert("L") and color_mode="grayscale" expand the palette to colours.'
)


@dataclass(frozen=True)
class ColourMapAsLabel(Probe):
    """LBL004: the labels are colours."""

    code = "LBL004"
    how = (
        "Counts the colours of masks stored as RGB, or of labels fed with three channels that are "
        "no one-hot code, and looks each up in Pascal VOC's palette."
    )
    why = (
        "A colour is a name for a class, not a number: 128 of red is no class 128, and three "
        "channels of colour are no one-hot code. Trained on them a network ends near a mean IoU of "
        "0.05 on Pascal VOC."
    )
    fix = "Look each colour up and store its id; or read the ids of the palette PNG."
    fine = "One-hot labels of three classes; grey masks stored as RGB (three equal channels)."
    sources = "tensorflow/tensorflow#28256, #20028; isht7/pytorch-deeplab-resnet#41"

    share: float = field(
        default=0.9,
        metadata={"doc": "share of the coloured pixels that must be the palette's to name it"},
    )

    def examine(
        self,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
    ) -> Iterator[Finding]:
        if labels is None and scan is None:
            raise NotExaminedError("there are no labels (--data or data= would give some)")
        fed_apart = labels is not None and (declared is None or declared.source != "folder")
        if labels is not None and labels.colours and fed_apart:
            whole = max(labels.histogram, default=0.0) > 1
            yield from self._judge(labels.colours, AS_FED, whole, ())
        elif scan is not None and not fed_apart:
            stored = scan.masks if sums_of(scan).coloured else ()
            masks = [mask for mask in stored if mask.colours]
            colours: Counter[str] = Counter()
            for mask in masks:
                colours.update(mask.colours)
            evidence = [
                Evidence("masks stored as colours", len(masks), 0, "masks", scan.folder),
                *(Evidence("a colour mask", m.mode, "P or L", where=m.path) for m in masks[:2]),
            ]
            yield from self._judge(colours, ON_DISK, True, evidence)

    def _judge(
        self,
        colours: Mapping[str, int],
        where: str,
        whole: bool,
        evidence: list[Evidence] | tuple[()],
    ) -> Iterator[Finding]:
        """``whole``: the values go up to 255, so they are colours even if no palette knows them."""
        from segdoctor.measures.palettes import as_colours

        found = as_colours(colours)
        if found is None:
            return
        known = found.share >= self.share
        if not known and not whole:
            return
        ids = sorted(set(found.ids.values()))
        number = len(colours) if "other" not in colours else "more than 256"
        if known:
            what = f"they are Pascal VOC's colours of the ids {ids_in_words([0, *ids])}"
        else:
            what = f"{number} colours, of which Pascal VOC's palette knows {len(ids)}"
        message = (
            f"The {where} are colours (red, green, blue), not class ids: {what}. No loss can learn "
            "classes from colours."
        )
        numbers = (
            Evidence("coloured pixels that are VOC's", found.share, None, "share", where),
            Evidence("different colours", number, where=where),
        )
        code = (
            "colours = {(0, 0, 0): 0, (128, 0, 0): 1, …}    # your class list\n"
            "table = np.full(1 << 24, 255, np.uint8)\n"
            "for (r, g, b), i in colours.items():\n"
            "    table[r << 16 | g << 8 | b] = i\n"
            "y = table[rgb[..., 0].astype(int) << 16 | rgb[..., 1].astype(int) << 8 | rgb[..., 2]]"
        )
        words = "Turn each colour into its class id when the mask is read."
        if known:
            words += " " + _PALETTE_WORDS
        patch = {"labels.decode": "palette"} if known else {}
        yield self.finding(message, (*evidence, *numbers), Fix(words, code, patch))


@dataclass(frozen=True)
class LuminanceAsLabel(Probe):
    """LBL005: a palette mask was decoded to grey, or only its red channel was kept."""

    code = "LBL005"
    how = (
        "Compares the values with the luminances (38, 75, 113, 15, …, void 220) and with the red "
        "channel (64, 128, 192, void 224) of Pascal VOC's palette, and with those of Cityscapes' "
        "and CamVid's."
    )
    why = (
        "tf.io.decode_png(channels=1), cv2.imread and .convert('L') expand the palette to colours "
        "and make them grey: class 1 becomes 38, class 15 becomes 147, void becomes 220. Classes 1 "
        "and 16, 3 and 18 then look the same."
    )
    fix = _PALETTE_WORDS
    fine = "Ids that happen to be luminances (15 and 19 are both) and are within the class list."
    sources = "tensorflow/tensorflow#28256, #41472; DrSleep/tensorflow-deeplab-resnet#98"

    share: float = field(
        default=0.98,
        metadata={"doc": "share of the pixels other than 0 that the palette must explain"},
    )
    distinct: int = field(
        default=2,
        metadata={"doc": "different values other than 0 that must be the palette's"},
    )
    distinct_of_others: int = field(
        default=3,
        metadata={"doc": "the same for the palettes of Cityscapes and CamVid"},
    )

    def examine(
        self,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
    ) -> Iterator[Finding]:
        for values in label_values(labels, scan, declared, head):
            found = self.recognised(values)
            if found is None:
                continue
            others = [value for value in found.ids if value]
            pairs = ", ".join(f"{v:g} is class {found.ids[v]}" for v in sorted(others)[:3])
            files = files_with(scan, others, 2) if values.where == ON_DISK else ()
            message = (
                f"The {values.where} hold {ids_in_words(values.histogram)}: that is the "
                f"{found.what}, not class ids ({pairs})."
            )
            decodable = found.what == "luminance of VOC's palette"
            yield self.finding(
                message,
                (
                    Evidence(
                        f"pixels other than 0 that are the {found.what}",
                        found.share,
                        None,
                        "share",
                        values.where,
                    ),
                    Evidence("different values", len(others), None, "", values.where),
                    *(Evidence("such a mask", path, where=path) for path in files),
                ),
                Fix(
                    _PALETTE_WORDS,
                    _READ_IDS,
                    {"labels.decode": "palette"} if decodable else {},
                ),
            )
            return

    def recognised(self, values: LabelValues) -> Recognised | None:
        """What of the palette the values are, None for anything else."""
        from segdoctor.measures.palettes import (
            VOC_CLASSES,
            as_luminances,
            as_other_palette,
            as_red_channel,
            as_scaled,
        )

        if values.kind not in ("ids", "binary"):
            return None
        classes = values.classes or VOC_CLASSES
        # One red is enough where the classes are as many as VOC has: {0, 128} of a plain batch,
        # and of a batch one luminance: {0, 147}.
        of_voc = values.classes == VOC_CLASSES and 255 not in values.histogram
        if values.two_valued and not of_voc:
            return self._of_two(values, classes)
        scaled = as_scaled(values.histogram, values.classes, values.scale_void)
        few = self.distinct
        for found, distinct in (
            (as_luminances(values.histogram), 1 if of_voc and values.where == AS_FED else few),
            (as_red_channel(values.histogram), 1 if of_voc else few),
            (as_other_palette(values.histogram), self.distinct_of_others),
        ):
            if found is None or found.share < self.share or len(found.ids) < distinct:
                continue
            if max(found.ids) < classes:
                continue
            if scaled is not None and len(found.ids) < classes and classes <= 4:
                continue  # {0, 64, 128, 192} of four classes is a scale
            return found
        return None

    @staticmethod
    def _of_two(values: LabelValues, classes: int) -> Recognised | None:
        """Background and one class: 0 and 192 are red of the palette, 0 and 147 its luminance.
        Half of 255 and 255 itself may as well be a scale."""
        from segdoctor.measures.palettes import as_luminances, as_red_channel

        top = max(values.histogram)
        if top < classes or top in (127, 128, 255) or top == values.void:
            return None
        red = as_red_channel(values.histogram)
        return as_luminances(values.histogram) if red is None and classes <= 2 else red


@dataclass(frozen=True)
class ScaledLabels(Probe):
    """LBL007: ids were multiplied or divided."""

    code = "LBL007"
    how = (
        "Looks for masks (and one-hot rows) of 0 and 255, for multiples of one step of which some "
        "are no legal ids, and for fractions that are whole ids when multiplied by 255 or by the "
        "number of classes."
    )
    why = (
        "A loss takes class ids. 255 in place of 1 makes binary cross-entropy negative and Dice "
        "larger than 1; ids/255 are all class 0 once they are cast to integers."
    )
    fix = "Divide or multiply back, and scale images only."
    fine = (
        "0 and 1 in floating point; 255 that is declared as void beside real classes; even ids "
        "that are all within the class list."
    )
    sources = "milesial/Pytorch-UNet#84; hlamba28/UNET-TGS#8; nicolov/segmentation_keras#33"

    def examine(
        self,
        labels: LabelFacts | None = None,
        scan: ScanFacts | None = None,
        declared: Declared | None = None,
        head: HeadFacts | None = None,
    ) -> Iterator[Finding]:
        from segdoctor.measures.palettes import as_scaled

        if labels is not None and scaled_onehot(labels):
            yield self._onehot(labels.factor or 1.0, labels)
            return
        for values in label_values(labels, scan, declared, head):
            if values.kind not in ("ids", "binary"):
                continue
            found = as_scaled(values.histogram, values.classes, values.scale_void)
            if found is None or LuminanceAsLabel().recognised(values) is not None:
                continue
            factor = found.factor or 1.0
            top = max(found.ids)
            example = f"{top:g} stands for class {found.ids[top]}"
            message = (
                f"The {values.where} hold {ids_in_words(values.histogram)}: that is {found.what}, "
                f"not class ids ({example})."
            )
            divides = factor < 1
            step = 1 / factor if divides else factor
            if divides and step == 255:
                code = "y = (y > 127).astype(np.uint8)      # 0 and 255 → 0 and 1"
            else:
                code = f"y = np.rint(y {'/' if divides else '*'} {step:g}).astype(np.uint8)"
            words = (
                f"{'Divide' if divides else 'Multiply'} the masks by {step:g} to have the class "
                "ids again; void, if there is any, is 255 and stays. Only images are scaled."
            )
            limit = values.classes - 1 if values.classes is not None else None
            yield self.finding(
                message,
                (
                    Evidence("largest value", top, limit, "", values.where),
                    Evidence(f"pixels that {found.what} explains", found.share, None, "share"),
                    Evidence("different values", len(values.histogram), None, "", values.where),
                    *(
                        Evidence("such a mask", path, where=path)
                        for path in (files_with(scan, (top,)) if values.where == ON_DISK else ())
                    ),
                ),
                Fix(words, code, {"labels.scale": factor}),
            )
            return

    def _onehot(self, factor: float, labels: LabelFacts) -> Finding:
        step = f"{factor:g}" if factor > 1 else f"{1 / factor:.0f}"
        does, undo = ("multiplied", "/") if factor > 1 else ("divided", "*")
        return self.finding(
            f"The one-hot labels as fed hold {factor:.3g} in the place of 1: they were {does} by "
            f"{step}, as images are scaled.",
            (Evidence("what stands in the place of 1", factor, 1.0, where=AS_FED),),
            Fix(
                "Scale images only, and labels back.",
                f"y = np.rint(y {undo} {step})",
                {"labels.encoding": "onehot"},
            ),
        )


def scaled_onehot(labels: LabelFacts) -> bool:
    """Whether one-hot labels were scaled as images are: 255 for 1, or 1/255."""
    return labels.factor is not None and any(
        abs(labels.factor / scale - 1) < 0.01 for scale in (255, 1 / 255)
    )
