"""What is wrong with a stream of batches, though each batch alone may be sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.fed_facts import AgainstFiles
from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.probe import Probe
from segdoctor.core.stream_facts import BatchScale, StreamFacts

_SHUFFLED_BY_FIT = ("arrays", "PyDataset")


@dataclass(frozen=True)
class NotShuffled(Probe):
    """DATA012: every epoch has the same order, or the same slice."""

    code = "DATA012"
    how = (
        "Takes the first batches twice, and compares the examples of both passes and batches. "
        "Holds neighbours among the first 64 examples against random orders: do they share their "
        "class, or their picture (frames of a film, tiles of one image)?"
    )
    why = (
        "The same batches in the same order in every epoch make the steps follow the order of the "
        "files (all of one class, all of one film) and the batch statistics with it."
    )
    fix = "Shuffle before batching, with a buffer as large as the data set, anew in every epoch."
    fine = "Arrays and PyDatasets: `fit` shuffles those. A set of one or two batches."
    sources = "tf.data.Dataset.shuffle(reshuffle_each_iteration=True)"

    fewest: int = field(default=2, metadata={"doc": "batches that must be seen in the same order"})

    def examine(self, stream: StreamFacts) -> Iterator[Finding]:
        if stream.batches < self.fewest or (stream.length or 9) <= self.fewest:
            return
        code = "data = data.shuffle(1000, reshuffle_each_iteration=True).batch(8)"
        words = "Shuffle the examples anew in every epoch, before they are batched."
        if stream.alike == stream.batches - 1:
            message = (
                f"The first {stream.batches} batches hold the same examples: the stream repeats "
                "one slice."
            )
            yield self.finding(
                message,
                (Evidence("batches that hold nothing new", stream.alike, 0, "batches"),),
                Fix("Let every batch take the next examples.", code),
            )
        elif stream.same_order and stream.kind not in _SHUFFLED_BY_FIT:
            message = (
                f"A second pass gave the same {stream.examples} examples in the same order: the "
                f"{stream.kind} does not shuffle."
            )
            yield self.finding(
                message,
                (Evidence("examples in the same place in both passes", stream.examples, 0),),
                Fix(words, code),
            )
        elif stream.sorted_by and stream.kind not in _SHUFFLED_BY_FIT:
            shared = (
                "hold the same class"
                if stream.sorted_by == "class"
                else "show nearly the same picture"
            )
            yield self.finding(
                f"The {stream.kind} hands out its examples in an order: neighbours {shared} far "
                "more often than in any of 2,000 random orders.",
                (Evidence("what neighbours share", stream.sorted_by, "nothing"),),
                Fix(words, code),
            )


@dataclass(frozen=True)
class NormalisationPerBatch(Probe):
    """DATA014: the scale of the input depends on what is in the batch."""

    code = "DATA014"
    how = (
        "Compares the first batches: ranges that differ by a large factor, exact mean 0 and "
        "deviation 1 over each batch while its images differ, steps between neighbouring values "
        "that differ while the range is the same, and pictures that come again in another scale "
        "while all batches have one range."
    )
    why = (
        "`x / x.max()` makes a dark batch bright: the same picture has other values beside other "
        "pictures, and at prediction again others."
    )
    fix = "Scale by numbers that are fixed: x / 127.5 - 1."
    fine = "Standardising each image by itself; fixed scales, whose batches differ a little."
    sources = "FAULTS LAB-13 (zhixuhao/unet data.adjustData)"

    factor: float = field(
        default=20.0, metadata={"doc": "by which the ranges of two batches must differ"}
    )
    exact: float = field(
        default=1e-3, metadata={"doc": "from 0 and 1, for mean and deviation to be made so"}
    )
    apart: float = field(
        default=0.02, metadata={"doc": "deviation of the images' means that fixed scaling leaves"}
    )
    steps: float = field(
        default=1.02, metadata={"doc": "ratio of the smallest steps of two batches"}
    )

    def examine(self, stream: StreamFacts) -> Iterator[Finding]:
        scales = stream.scales
        if len(scales) < 2:
            return
        reason, evidence = self._reason(scales)
        if not reason and stream.rescaled and self._one_range(scales):
            reason = "all batches have one range, and the same picture another scale in each"
            evidence = Evidence("change of one picture's scale", round(stream.rescaled, 4), 0.0)
        if not reason:
            return
        words = "Scale every image by the same fixed numbers, whatever else is in the batch."
        yield self.finding(
            f"The scale of the input depends on the batch: {reason}.",
            (evidence,),
            Fix(words, "x = x.astype('float32') / 127.5 - 1"),
        )

    def _one_range(self, scales: tuple[BatchScale, ...]) -> bool:
        lows, highs = [s.low for s in scales], [s.high for s in scales]
        span = max(highs) - min(lows)
        return max(max(lows) - min(lows), max(highs) - min(highs)) <= self.exact * span

    def _reason(self, scales: tuple[BatchScale, ...]) -> tuple[str, Evidence]:
        heights = [max(abs(scale.low), abs(scale.high)) for scale in scales]
        ratio = max(heights) / max(min(heights), 1e-9)
        shown = Evidence("largest value of a batch over another's", round(ratio, 2), self.factor)
        if ratio >= self.factor and min(heights) > 0:
            return f"one reaches {max(heights):g}, another {min(heights):g}", shown
        off = max(max(abs(scale.mean), abs(scale.deviation - 1)) for scale in scales)
        if off <= self.exact and max(scale.means_apart for scale in scales) > self.apart:
            told = Evidence("distance from mean 0 and deviation 1", off, self.exact)
            return "each batch has mean 0 and deviation 1, and its images have not", told
        steps = [scale.step for scale in scales]
        same = max(heights) - min(heights) <= self.exact * max(heights)
        if min(steps) > 0 and same and max(steps) / min(steps) > self.steps:
            told = Evidence("smallest steps, ratio", round(max(steps) / min(steps), 3), self.steps)
            return f"all reach {max(heights):g}, in steps of {min(steps):g} to {max(steps):g}", told
        return "", shown


@dataclass(frozen=True)
class BufferReused(Probe):
    """DATA015: a batch that was handed out is written into afterwards."""

    code = "DATA015"
    how = "Holds the first batches without copying, and compares each with a copy made at once."
    why = (
        "Keras queues batches: what is written into a queued one turns up as another example, or "
        "as its image beside another's label."
    )
    fix = "Hand out new arrays, or copies."
    fine = "Buffers that are used again once they were copied."
    sources = "Golbstein/Keras-segmentation-deeplab-v3.1 utils.SegmentationGenerator; keras#8647"

    def examine(self, stream: StreamFacts) -> Iterator[Finding]:
        if not stream.overwritten:
            return
        parts = " and ".join(stream.overwritten)
        message = (
            f"Taking the next batch changed {parts} of the one before: the {stream.kind} hands out "
            "one buffer and writes into it afterwards."
        )
        yield self.finding(
            message,
            (Evidence("arrays that changed after they were handed out", parts, "none"),),
            Fix("Hand out a copy of the buffer.", "yield x.copy(), y.copy()"),
        )


@dataclass(frozen=True)
class PairChanges(Probe):
    """DATA016: the same image comes with another label, or its label with the image turned."""

    code = "DATA016"
    how = (
        "Looks among the first batches of two passes for an image that comes again (value for "
        "value, or as a small picture, so that noise and colours do not hide it) with another "
        "label, and for one that is turned in another way than its label. Where the files are "
        "known (files=), image and label must be turned alike against them."
    )
    why = "One of the two was shuffled or flipped without the other: the labels are noise."
    fix = "Shuffle after zipping, and give image and mask the same random numbers."
    fine = "Augmentation of both alike; noise and colour changes of the image alone."
    sources = "keras-team/keras#12075; divamgupta/image-segmentation-keras#191, #115"

    def examine(
        self, stream: StreamFacts | None = None, against_files: AgainstFiles | None = None
    ) -> Iterator[Finding]:
        if stream is not None:
            yield from self._in_passes(stream)
        if against_files is not None and against_files.turned_apart:
            apart = against_files.turned_apart
            yield self.finding(
                f"In {len(apart):,} of {len(against_files.files):,} examples whose file is known "
                f"image and label are turned in different ways: {apart[0]}.",
                (Evidence("examples turned apart", len(apart), 0, "examples"),),
                Fix("Flip image and mask by one draw.", "seed = rng.make_seeds()[:, 0]"),
            )

    def _in_passes(self, stream: StreamFacts) -> Iterator[Finding]:
        if stream.other_label:
            message = (
                f"{stream.other_label:,} of {stream.again:,} images that were drawn again came "
                "with another label: images and labels are shuffled or changed apart."
            )
            yield self.finding(
                message,
                (Evidence("images with two labels", stream.other_label, 0, "images"),),
                Fix(
                    "Zip images and masks first, then shuffle.",
                    "data = tf.data.Dataset.zip((images, masks)).shuffle(n)",
                ),
            )
        if stream.turned_apart and not stream.turned_image:
            yield self.finding(
                f"{stream.turned_apart:,} images came again turned in another way than their "
                "labels: one of the two is flipped without the other.",
                (Evidence("images turned apart from their label", stream.turned_apart, 0),),
                Fix("Flip image and mask by one draw.", "seed = rng.make_seeds()[:, 0]"),
            )
        if stream.turned_image:
            message = (
                f"{stream.turned_image:,} labels came again, the same, beside their image turned: "
                "the image is flipped and its label is not."
            )
            yield self.finding(
                message,
                (Evidence("labels beside a turned image", stream.turned_image, 0, "labels"),),
                Fix(
                    "Flip image and mask by one draw.",
                    "seed = rng.make_seeds()[:, 0]\n"
                    "image = tf.image.stateless_random_flip_left_right(image, seed)\n"
                    "mask = tf.image.stateless_random_flip_left_right(mask, seed)",
                ),
            )
