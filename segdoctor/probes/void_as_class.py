"""Void of the masks that the labels as fed hold as a class: folded, as one more, in padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from segdoctor.core.asked import VoidTrail
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.measured import Declared, HeadFacts, LossAsRun, LossContract
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.loss_settings import need_own_labels

_KEEP = (
    "y = np.array(mask)                            # keep 255 up to the loss\n"
    "loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255, …)"
)


def _need_truth(declared: Declared, trail: VoidTrail) -> None:
    need_own_labels(declared)
    if not trail.truth_known:
        raise NotExaminedError(
            "only the labels as fed are known, not the masks that they were made of (--data DIR)"
        )
    if not trail.pixels:
        raise NotExaminedError("the masks of the batch hold no void pixel")


def _classes(forms: Mapping[str, int]) -> dict[int, int]:
    """Class → void pixels that carry it."""
    return {int(f.split()[1]): n for f, n in forms.items() if f.startswith("class ")}


def _learnt(trail: VoidTrail, contract: LossContract | None, label: int) -> bool:
    """Whether pixels of this class count: neither weighted to zero nor left out by the loss."""
    ignored = contract is not None and label in contract.ignores
    return trail.weightless < trail.pixels and not ignored


@dataclass(frozen=True)
class VoidFoldedIntoClass(Probe):
    """IGN004: a clip, a cast or a default made void a real class."""

    code = "IGN004"
    how = (
        "At the pixels that are void in the masks, the labels as fed are read: they hold a class "
        "of the class list, and neither the loss nor sample weights leave it out."
    )
    why = (
        "The ring of void around every object then teaches a class that is not there: background "
        "(255 → 0), the last class (np.clip to 0 … 20), or whatever a cast wraps to. Edges are "
        "learnt wrong."
    )
    fix = "Keep 255 as it is up to the loss, and let the loss leave it out."
    fine = "Void with a sample weight of 0, whatever class it carries."
    sources = "bonlime/keras-deeplab-v3-plus#120; tensorflow/models#3739; FAULTS IGN-06, IGN-07"

    share: float = field(
        default=0.5, metadata={"doc": "share of the void pixels that must carry classes"}
    )

    def examine(
        self,
        declared: Declared,
        void_trail: VoidTrail,
        loss_contract: LossContract | None = None,
        loss_as_run: LossAsRun | None = None,
    ) -> Iterator[Finding]:
        _need_truth(declared, void_trail)
        folded = {k: n for k, n in _classes(void_trail.as_fed).items() if k < void_trail.classes}
        count = sum(folded.values())
        if count < self.share * void_trail.pixels:
            return
        most = max(folded, key=lambda label: folded[label])
        if not _learnt(void_trail, loss_contract, most):
            return
        how = {
            0: "mask[mask == 255] = 0, or a fill value of 0",
            void_trail.classes - 1: f"np.clip(mask, 0, {void_trail.classes - 1})",
        }.get(most, "a cast or a modulo")
        yield self.finding(
            f"{count} pixels that are void ({void_trail.label}) in the masks are fed as class "
            f"{most}: void was folded into a real class ({how} does that).",
            (
                Evidence(f"void pixels fed as class {most}", folded[most], 0, "px"),
                Evidence("void pixels of the batch", void_trail.pixels, unit="px"),
                *_gradient(loss_as_run),
            ),
            Fix("Keep the void id, and leave it out in the loss.", _KEEP, {"loss.stand_in": True}),
        )


@dataclass(frozen=True)
class VoidAsExtraClass(Probe):
    """IGN005: void is learnt as a class of its own."""

    code = "IGN005"
    how = (
        "At the pixels that are void in the masks, the labels as fed hold the id just behind the "
        "class list, and the head has a channel for it."
    )
    why = (
        "The network learns where people were unsure: a thin ring that looks like everything. It "
        "costs accuracy at the edges, and a prediction of void is never right."
    )
    fix = "As many channels as real classes, and void left out in the loss."
    fine = "An extra class that the loss leaves out (ignore_class) or weights with 0."
    sources = "tensorflow/models#3730, #9844; FAULTS IGN-08"

    def examine(
        self,
        declared: Declared,
        void_trail: VoidTrail,
        head: HeadFacts,
        loss_contract: LossContract | None = None,
    ) -> Iterator[Finding]:
        _need_truth(declared, void_trail)
        extra = {
            label: count
            for label, count in _classes(void_trail.as_fed).items()
            if void_trail.classes <= label < head.channels
        }
        if not extra:
            return
        label = max(extra, key=lambda value: extra[value])
        if not _learnt(void_trail, loss_contract, label):
            return
        yield self.finding(
            f"Void ({void_trail.label}) is fed as class {label}, one more than the "
            f"{void_trail.classes} classes, and the head has a channel for it: it is learnt.",
            (
                Evidence(f"void pixels fed as class {label}", extra[label], 0, "px"),
                Evidence("output channels", head.channels, void_trail.classes),
            ),
            Fix(
                f"Leave class {label} out in the loss, or keep 255 and drop the channel.",
                f"loss = keras.losses.SparseCategoricalCrossentropy(ignore_class={label}, …)",
                {"loss.ignore_class": label},
            ),
        )


@dataclass(frozen=True)
class PaddingLabelledAsClass(Probe):
    """IGN006: what was padded or rotated in has a class."""

    code = "IGN006"
    how = (
        "Rows and columns of one colour at the border of an image are padding. Where the masks "
        "say void there, and the labels as fed say a class while void elsewhere is kept, the fill "
        "value of the mask is wrong."
    )
    why = (
        "The network learns that grey bars are background, or class 0, and every padded image "
        "weighs the classes anew."
    )
    fix = "Fill masks with the ignore label: constant_values=255, fill_value=255."
    fine = "A real background that is of one colour: its masks do not say void."
    sources = "FAULTS IGN-06; keras.layers.RandomRotation(fill_value)"

    share: float = field(
        default=0.5, metadata={"doc": "share of the padded pixels that must carry classes"}
    )

    def examine(
        self,
        declared: Declared,
        void_trail: VoidTrail,
        loss_contract: LossContract | None = None,
    ) -> Iterator[Finding]:
        _need_truth(declared, void_trail)
        padded = sum(void_trail.padding_as_fed.values())
        inside = _classes(void_trail.padding_as_fed)
        count = sum(inside.values())
        everywhere = sum(_classes(void_trail.as_fed).values())
        if not padded or count < self.share * padded or everywhere > 2 * count:
            return  # folded everywhere is IGN004
        if void_trail.pixels > padded and everywhere == void_trail.pixels:
            return
        label = max(inside, key=lambda value: inside[value])
        if not _learnt(void_trail, loss_contract, label):
            return
        yield self.finding(
            f"{count} padded pixels (a border of one colour) are fed as class {label}; in the "
            f"masks they are void ({void_trail.label}).",
            (
                Evidence(f"padded pixels fed as class {label}", inside[label], 0, "px"),
                Evidence("padded pixels", padded, unit="px"),
            ),
            Fix(
                "Pad the masks with the ignore label.",
                f"mask = np.pad(mask, widths, constant_values={void_trail.label})",
                {"loss.stand_in": True},
            ),
        )


def _gradient(as_run: LossAsRun | None) -> tuple[Evidence, ...]:
    if as_run is None or as_run.value is None or not as_run.void_pixels:
        return ()
    share = as_run.void_gradient_share
    return (Evidence("share of the gradient that void has", share, 0.0, "share"),)
