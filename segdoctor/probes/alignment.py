"""Masks that do not belong to their images, or lie elsewhere on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.data_facts import AlignmentFacts, PairFit, ScanFacts
from segdoctor.core.fed_facts import FedFacts
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.network_facts import ImageMover
from segdoctor.core.probe import NotExaminedError, Probe
from segdoctor.probes.alignment_words import looked_at, more, way

_TURNS = 6  # that are tried of each mask


@dataclass(frozen=True)
class PairsMisaligned(Probe):
    """DATA004: the outlines of masks do not follow the edges of their images."""

    code = "DATA004"
    how = (
        "Fits the outline of every mask (of up to 300 seeded pairs, and of up to 64 examples as "
        "they are fed) to the edges of every image, "
        "in place and in direction. A pair is named where another mask of the set, or its own mask "
        "turned, fits its image far better than chance and than its own mask does, while that "
        "other mask fits its own image no better; or where many masks fit best at one other place. "
        "And every layer of the model that draws random numbers is called alone in training mode: "
        "one that moves its picture does so while the labels stay."
    )
    why = (
        "Each file is sound, and still the label of a pixel is another picture's: the loss stays "
        "at the level of guessing the frequencies of the classes."
    )
    fix = (
        "Pair by name instead of by position in two lists; shuffle after zipping; give image and "
        "mask the same flip, rotation and crop."
    )
    fine = (
        "Masks of one region, and images whose objects have no edges, cannot be judged: they are "
        "counted and not named. Near-duplicates fit each other's masks equally well."
    )
    sources = (
        "Golbstein/Keras-segmentation-deeplab-v3.1#15; keras-team/keras#12075; "
        "divamgupta/image-segmentation-keras#191; measured on 160 VOC pairs: AUC 0.9995"
    )

    chance: float = field(
        default=0.003,
        metadata={"doc": "probability, over all masks and images tried, that chance fits as well"},
    )
    gap: float = field(
        default=2.0, metadata={"doc": "deviations by which the alternative must fit better"}
    )
    rival: float = field(
        default=0.5,
        metadata={"doc": "deviations by which the other's own mask may fit better at most"},
    )
    sharp: float = field(
        default=4.0,
        metadata={
            "doc": "median best fit of the masks below which no pair can be named (VOC: 9; masks "
            "drawn with few clicks: 3)"
        },
    )
    stranger: float = field(
        default=2.0,
        metadata={"doc": "fit of its own mask up to which it may be another image's"},
    )
    stranger_share: float = field(
        default=0.33, metadata={"doc": "… or up to this share of the masks' median best fit"}
    )
    several: int = field(
        default=3, metadata={"doc": "turned pairs from which on their own fit may be better"}
    )
    fewest_displaced: int = field(
        default=4, metadata={"doc": "pairs that must be displaced to one and the same place"}
    )
    displaced_share: float = field(
        default=0.05, metadata={"doc": "share of the pairs that must be displaced alike"}
    )
    displaced_gain: float = field(
        default=2.0,
        metadata={
            "doc": "deviations by which they must fit better there (VOC masks 12 px aside: 6; "
            "boxes in the place of outlines: 1.4)"
        },
    )
    elsewhere: float = field(
        default=1.0,
        metadata={"doc": "share of them that may fit best just as far away in other directions"},
    )
    set_chance: float = field(
        default=0.05,
        metadata={"doc": "probability above which the whole set fits no better than shuffled"},
    )
    set_fit: float = field(
        default=1.0,
        metadata={"doc": "mean fit below which the set counts as not fitting (160 VOC pairs: 11)"},
    )
    set_pairs: int = field(
        default=20, metadata={"doc": "pairs that the judgement of the whole set needs"}
    )
    shown: int = field(default=10, metadata={"doc": "pairs named in the finding"})

    def examine(
        self,
        scan: ScanFacts | None = None,
        fed: FedFacts | None = None,
        image_movers: tuple[ImageMover, ...] = (),
        unasked_movers: tuple[str, ...] = (),
    ) -> Iterator[Finding]:
        known = [place.alignment for place in (scan, fed) if place and place.alignment]
        found = [self._in_the_model(image_movers)] if image_movers else []
        for facts in known:
            found += self.findings_of(facts)
        if not found and unasked_movers:
            raise NotExaminedError(
                f"a layer of the model may move the image alone: {unasked_movers[0]}"
            )
        if not found and not known:
            raise NotExaminedError("fewer than 8 pairs have an outline to compare")
        yield from found

    def _in_the_model(self, movers: tuple[ImageMover, ...]) -> Finding:
        first = movers[0]
        named = ", ".join(mover.layer for mover in movers[: self.shown])
        return self.finding(
            f"The model turns, shifts or scales the image at random while it trains ({named}), "
            "and the labels stay as they are.",
            [
                Evidence(
                    "layer that moves the image alone", mover.class_name, None, "", mover.layer
                )
                for mover in movers[: self.shown]
            ],
            Fix(
                f"Take {first.layer} out of the model, and move image and labels together in the "
                "pipeline.",
                f"augment = keras.layers.{first.class_name}(…)   # in data.map\n"
                'both = augment({"images": image, "segmentation_masks": mask})',
            ),
        )

    def findings_of(self, facts: AlignmentFacts) -> list[Finding]:
        """The findings of one set of pairs."""
        wrong = self.wrong_pairs(facts)
        turned = self.turned_pairs(facts, {pair.stem for pair in wrong})
        found = []
        if wrong:
            found.append(self._wrong(facts, wrong))
        if turned:
            found.append(self._turned(facts, turned))
        if self._is_displaced(facts):
            found.append(self._displaced(facts))
        if not found and self._nothing_fits(facts):
            found.append(self._unaligned(facts))
        return found

    def wrong_pairs(self, facts: AlignmentFacts) -> list[PairFit]:
        """The pairs that another partner explains, the clearest first."""
        if facts.sharpness < self.sharp:
            return []
        tries = len(facts.pairs) * (len(facts.pairs) - 1)
        named = [
            pair
            for pair in facts.pairs
            if self._a_stranger(facts, pair)
            and not self._turned_instead(pair)
            and (
                self._better(facts, pair, pair.partner_z, pair.partner_own, tries)
                or self._better(facts, pair, pair.claimed_z, pair.claimed_own, tries)
                or self._exchanged(facts, pair, tries / 2)
            )
        ]
        return sorted(named, key=lambda pair: -pair.gap)

    def _a_stranger(self, facts: AlignmentFacts, pair: PairFit) -> bool:
        """Whether the pair's own fit is what a mask of another image has."""
        return pair.own <= max(self.stranger, self.stranger_share * facts.sharpness)

    def _turned_instead(self, pair: PairFit) -> bool:
        """Whether its own mask, turned, fits as well as the best of all the others: one of few
        explains more than one of many."""
        best = max(pair.partner_z, pair.claimed_z)
        return pair.turn_z - pair.own >= self.gap and pair.turn_z >= best - self.rival

    def _better(
        self, facts: AlignmentFacts, pair: PairFit, fit: float, rival: float, tries: int
    ) -> bool:
        from segdoctor.measures.alignment import chance

        return (
            fit - pair.own >= self.gap
            and rival - fit <= self.rival
            and chance(fit, len(facts.pairs), tries) <= self.chance
        )

    def _exchanged(self, facts: AlignmentFacts, pair: PairFit, tries: float) -> bool:
        """Whether two pairs whose masks changed places explain it: the two fits are two
        independent witnesses of one thing, so their sum counts, over the root of two."""
        from segdoctor.measures.alignment import chance

        crossed = (pair.partner_z + pair.claimed_z) / 2**0.5
        straight = (pair.own + pair.partner_own) / 2**0.5
        return (
            pair.partner == pair.claimed_by
            and crossed - straight >= self.gap
            and chance(crossed, len(facts.pairs), tries) <= self.chance
        )

    def turned_pairs(self, facts: AlignmentFacts, wrong: set[str]) -> list[PairFit]:
        """The pairs whose own mask fits once it is turned."""
        from segdoctor.measures.alignment import chance

        if facts.sharpness < self.sharp:
            return []
        tries = _TURNS * len(facts.pairs)
        named = [
            pair
            for pair in facts.pairs
            if pair.stem not in wrong
            and pair.turn_z - pair.own >= self.gap
            and chance(pair.turn_z, len(facts.pairs), tries) <= self.chance
        ]
        if len(named) < max(self.several, self.displaced_share * len(facts.pairs)):
            # A turned mask of a symmetric object fits half: of many it is believed, of one not.
            named = [pair for pair in named if self._a_stranger(facts, pair)]
        return sorted(named, key=lambda pair: pair.own - pair.turn_z)

    def _is_displaced(self, facts: AlignmentFacts) -> bool:
        count = len(facts.displaced)
        # So many at one place by chance: the expected number, and five deviations more.
        expected = facts.displaced_chance * len(facts.pairs)
        return (
            facts.displaced_gain >= self.displaced_gain
            and facts.displaced_elsewhere <= self.elsewhere * count
            and count >= self.fewest_displaced
            and count >= self.displaced_share * len(facts.pairs)
            and count > expected + 5 * max(expected, 0.04) ** 0.5
        )

    def _nothing_fits(self, facts: AlignmentFacts) -> bool:
        poor = facts.chance > self.set_chance or facts.mean < self.set_fit
        return len(facts.pairs) >= self.set_pairs and poor

    def _wrong(self, facts: AlignmentFacts, wrong: list[PairFit]) -> Finding:
        count, first = len(wrong), wrong[0]
        message = (
            f"In {count:,} of {looked_at(facts)} the mask belongs to another image: the mask of "
            f"{first.stem} {self._in_words(first)}{more(count)}."
        )
        evidence = [
            Evidence("pairs that another partner explains", count, 0, "pairs"),
            Evidence("chance that a shuffled set fits as well", facts.chance, None, "probability"),
        ]
        evidence += [
            Evidence(
                f"fit of its own mask; {self._in_words(pair)}",
                round(pair.own, 2),
                round(max(pair.partner_z, pair.claimed_z), 2),
                "deviations",
                pair.mask,
            )
            for pair in wrong[: self.shown]
        ]
        words = (
            "Pair image and mask by name, not by position in two lists, and shuffle after zipping "
            "them; then look at the pairs named here."
        )
        code = (
            "masks = [mask_folder / (p.stem + '.png') for p in image_paths]  # by name\n"
            "data = tf.data.Dataset.from_tensor_slices((image_paths, masks)).shuffle(n)"
        )
        return self.finding(message, evidence, Fix(words, code))

    @staticmethod
    def _in_words(pair: PairFit) -> str:
        if pair.partner_z >= pair.claimed_z:
            return f"does not fit, that of {pair.partner} does"
        return f"fits the image {pair.claimed_by} and not its own"

    def _turned(self, facts: AlignmentFacts, turned: list[PairFit]) -> Finding:
        count, first = len(turned), turned[0]
        hows = sorted({pair.turn for pair in turned})
        message = (
            f"In {count:,} of {looked_at(facts)} the mask fits its image only once it is "
            f"{' or '.join(hows)}: {first.stem}{more(count)}."
        )
        evidence = [Evidence("masks turned against their image", count, 0, "pairs")]
        evidence += [
            Evidence(
                f"fit of the mask as it is; {pair.turn}",
                round(pair.own, 2),
                round(pair.turn_z, 2),
                "deviations",
                pair.mask,
            )
            for pair in turned[: self.shown]
        ]
        words = "Give image and mask one and the same random flip: draw once, apply to both."
        code = (
            "flip = tf.random.uniform(()) < 0.5\n"
            "image = tf.cond(flip, lambda: tf.image.flip_left_right(image), lambda: image)\n"
            "mask = tf.cond(flip, lambda: tf.image.flip_left_right(mask), lambda: mask)"
        )
        return self.finding(message, evidence, Fix(words, code))

    def _displaced(self, facts: AlignmentFacts) -> Finding:
        count = len(facts.displaced)
        message = (
            f"In {count:,} of {looked_at(facts)} the mask lies {way(facts)} of where it fits: "
            f"{facts.displaced[0]}{more(count)}."
        )
        paths = {pair.stem: pair.mask for pair in facts.pairs}
        evidence = [
            Evidence("masks displaced alike", count, 0, "pairs"),
            Evidence("displacement down", round(facts.down, 4), 0.0, "share of the height"),
            Evidence("displacement to the right", round(facts.right, 4), 0.0, "share of the width"),
            *(
                Evidence("a displaced mask", stem, where=paths[stem])
                for stem in facts.displaced[: self.shown]
            ),
        ]
        words = "Crop, pad and resize image and mask by the same numbers; export the masks again."
        code = "both = tf.concat([image, tf.cast(mask, image.dtype)], -1)   # one crop for both"
        return self.finding(message, evidence, Fix(words, code))

    def _unaligned(self, facts: AlignmentFacts) -> Finding:
        message = (
            f"In {looked_at(facts)} the masks' outlines hardly follow the edges of their own "
            f"images better than those of others (p = {facts.chance:.2f}), and no other pairing or "
            "turn does: they are paired with images that are not here, or cropped or stretched "
            "apart, or what they mark has no edges."
        )
        evidence = (
            Evidence("mean fit of the pairs", round(facts.mean, 2), self.set_fit, "deviations"),
            Evidence(
                "chance that a shuffled set fits as well",
                facts.chance,
                self.set_chance,
                "probability",
            ),
        )
        words = "Draw ten masks over their images and look."
        code = "plt.imshow(image); plt.imshow(mask, alpha=0.5)"
        return self.finding(message, evidence, Fix(words, code), "warning")
