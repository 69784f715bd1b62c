"""Inputs that were scaled once too often, or whose colours stand in another order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdoctor.core.finding import Evidence, Finding, Fix
from segdoctor.core.input_facts import ChannelOrder, InputFront
from segdoctor.core.measured import Declared
from segdoctor.core.probe import NotExaminedError, Probe

_CHOSEN = "segdoctor chose the input range itself (--preprocess says how yours is)"


@dataclass(frozen=True)
class NormalisedTwice(Probe):
    """DATA008: preprocessing applied twice."""

    code = "DATA008"
    how = (
        "Sends constant images through the model up to its first layer with weights: what it does "
        "to its input there (x / 127.5 - 1 in a Rescaling layer, for example) is beside the range "
        "that is fed. Fed images that span next to nothing, or lie where only the second of two "
        "normalisations brings them, were scaled twice in the pipeline."
    )
    why = (
        "x / 127.5 - 1 of what is already in [-1, 1] is between -1.008 and -0.992: every picture "
        "is the same grey, and nothing is to be learnt from it."
    )
    fix = (
        "Scale once: in the pipeline or in the model. Keras' EfficientNet and ConvNeXt take 0-255."
    )
    fine = (
        "A model that scales its input and is fed 0 to 255; one that is fed scaled images and does "
        "not scale; dark images."
    )
    sources = "tensorflow/tensorflow#48412, #42506, #44745; qubvel/segmentation_models#263"

    shrinks: float = field(
        default=0.1, metadata={"doc": "scale of the model's own scaling from which on it shrinks"}
    )
    scaled: float = field(
        default=10.0, metadata={"doc": "span of images that are no longer in 0 … 255"}
    )
    centres: float = field(
        default=-0.5, metadata={"doc": "where 0 arrives in a model that takes a mean off its input"}
    )
    centred: float = field(
        default=0.25, metadata={"doc": "share of the span below 0 of images without their mean"}
    )
    narrow: float = field(
        default=0.05, metadata={"doc": "span of all images below which they are next to constant"}
    )
    even: float = field(
        default=0.02, metadata={"doc": "deviation over span that pictures have at least"}
    )

    def examine(self, input_front: InputFront, declared: Declared) -> Iterator[Finding]:
        if not declared.range_declared:
            raise NotExaminedError(_CHOSEN)
        front, span = input_front, input_front.high - input_front.low
        if not span > 0:
            raise NotExaminedError("the images as fed are all of one value")
        said = self._by_the_model(front, span) or self._in_the_pipeline(front, span)
        if not said:
            return
        evidence = [
            Evidence("least value as fed", round(front.low, 5)),
            Evidence("largest value as fed", round(front.high, 5)),
        ]
        if front.scale is not None and front.offset is not None:
            arrives = sorted(front.scale * end + front.offset for end in (front.low, front.high))
            evidence += [
                Evidence("scale of the model's own first layers", front.scale, where=front.layer),
                Evidence("least value that arrives", round(arrives[0], 5), where=front.layer),
                Evidence("largest value that arrives", round(arrives[1], 5), where=front.layer),
            ]
        yield self.finding(
            f"The images are normalised twice: {said}.",
            evidence,
            Fix(
                "Scale the images once, either in the pipeline or in the model.",
                "x = x.astype('float32')        # 0 … 255, where the model scales\n"
                "# or drop the model's Rescaling / Normalization layer",
                {"data.preprocess": "none"} if self._by_the_model(front, span) else {},
            ),
        )

    def _by_the_model(self, front: InputFront, span: float) -> str:
        if front.scale is None or front.offset is None:
            return ""
        fed = f"images in [{front.low:.3g}, {front.high:.3g}] are fed"
        does = f"x · {front.scale:.3g} {'+' if front.offset >= 0 else '-'} {abs(front.offset):.3g}"
        if 0 < abs(front.scale) <= self.shrinks and span <= self.scaled:
            return f"{fed}, and the model scales them again ({does})"
        if front.offset <= self.centres and -front.low >= self.centred * span:
            return f"{fed}, whose mean is off already, and the model takes it off again ({does})"
        return ""

    def _in_the_pipeline(self, front: InputFront, span: float) -> str:
        fed = f"as fed they span [{front.low:.5g}, {front.high:.5g}]"
        widened = front.scale is not None and abs(front.scale) >= 1 / self.shrinks
        if span < self.narrow and front.deviation >= self.even * span and not widened:
            return f"{fed}, {span:.2g} in all, which is what a second scaling leaves"
        if front.low < -131 and front.high < 151 and front.mean < -60:
            return f"{fed}: ImageNet's mean was taken off twice"
        if -12 < front.low < -6 and front.high < 10.5 and front.deviation > 3 and front.mean < -0.5:
            return f"{fed}: ImageNet's mean and deviation were applied twice"
        return ""


@dataclass(frozen=True)
class ChannelsSwapped(Probe):
    """DATA009: BGR for RGB, or the other way round."""

    code = "DATA009"
    how = (
        "Sends up to 16 images to the first batch normalisation, as they are fed and with red and "
        "blue exchanged, and compares both with its moving means: kernels that answer to a colour "
        "tell which order the weights were trained with."
    )
    why = (
        "OpenCV reads blue first. Skin becomes blue and the sky orange: weights of RGB images lose "
        "some points of IoU (.81 → .77 in a person net), and a frozen backbone cannot adapt."
    )
    fix = "cv2.cvtColor(image, cv2.COLOR_BGR2RGB), or x[..., ::-1]."
    fine = "Weights that were trained from scratch on the same order, whichever it is; grey images."
    sources = "cv2.imread; keras.applications.imagenet_utils (caffe mode is BGR)"

    better: float = field(default=3.0, metadata={"doc": "by which the other order must fit better"})
    least: float = field(
        default=0.12, metadata={"doc": "shift of the means as fed below which nothing is wrong"}
    )
    fewest: int = field(default=4, metadata={"doc": "images that it needs"})

    def examine(self, channel_order: ChannelOrder, declared: Declared) -> Iterator[Finding]:
        if not declared.range_declared and declared.source != "folder":
            raise NotExaminedError(_CHOSEN)
        if declared.source == "folder" and not declared.range_declared:
            raise NotExaminedError("segdoctor read the images itself, as RGB")
        order = channel_order
        if order.images < self.fewest:
            raise NotExaminedError(f"{order.images} images are too few to tell the order by")
        if order.as_fed < self.least or order.as_fed < self.better * order.exchanged:
            return
        yield self.finding(
            "Red and blue are exchanged: with the other order the images fit the weights "
            f"{order.as_fed / max(order.exchanged, 1e-9):.1f} times better.",
            (
                Evidence(
                    "shift of the first BN's means, as fed",
                    round(order.as_fed, 3),
                    self.least,
                    "deviations²",
                    order.layer,
                ),
                Evidence(
                    "the same with red and blue exchanged",
                    round(order.exchanged, 3),
                    None,
                    "deviations²",
                    order.layer,
                ),
            ),
            Fix(
                "Turn the channels round when the images are read.",
                "image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)",
            ),
        )
