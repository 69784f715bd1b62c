"""The catalogue of findings: every code with its slug, default severity and cause.

A released code keeps its meaning for ever. Faults are named here, never cures. This module is
plain data and loads nothing, so that ``segdoctor list`` and ``explain`` answer at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from segdoctor.core.errors import UserError

Severity = Literal["error", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")

FAMILIES: dict[str, str] = {
    "MDL": "the model file and graph",
    "BN": "batch normalisation",
    "OUT": "head activation against loss",
    "LOSS": "the loss as a black box",
    "IGN": "the void / ignore label",
    "LBL": "label encoding",
    "DATA": "the data set",
    "GRAD": "gradient flow",
    "OPT": "optimisation",
    "MET": "the metric as a black box",
    "HIST": "the training history",
    "TRIAL": "the overfit trial",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue."""

    code: str
    slug: str
    severity: Severity
    cause: str

    @property
    def family(self) -> str:
        return self.code.rstrip("0123456789")


# fmt: off
_ROWS: tuple[tuple[str, str, Severity, str], ...] = (
    ("MDL001", "code-in-model-file", "warning", "the file carries code that loading would run (Lambda bytecode, unknown modules); it was not run"),
    ("MDL002", "layer-not-loadable", "error", "a custom layer or function that the file names is not at hand"),
    ("MDL003", "weights-never-loaded", "error", "weights of a backbone said to be pretrained are statistically at their initial distribution"),
    ("MDL004", "weights-not-finite", "error", "NaN or Inf in the weights"),
    ("MDL005", "no-gradient-operation", "error", "an operation with no gradient (argmax, round, cast to integer, one_hot) on the path to the output"),
    ("MDL006", "stride-and-rates-disagree", "warning", "output stride, atrous rates and input size do not fit each other"),
    ("MDL007", "resize-convention-differs", "warning", "bilinear resizing with another corner convention than the weights were trained with"),
    ("MDL008", "output-size-differs", "error", "the output grid is not the label grid"),
    ("MDL009", "pixel-order-scrambled", "error", "a reshape or permute mixes classes and pixels between the features and the output"),
    ("MDL010", "untracked-variables", "error", "variables inside Lambda or plain attributes that the optimizer never sees"),
    ("MDL011", "linear-stack", "warning", "convolutions without a nonlinearity between them where the design has one"),
    ("BN001", "frozen-bn-uses-batch-statistics", "error", "a frozen BatchNormalization still normalises with batch statistics (training=True wired in or passed; files and scripts of Keras ≤ 2.1.2, which also went on updating them, and 2.1.3–2.3.1, which stopped updating but still used batch statistics)"),
    ("BN002", "bn-batch-too-small", "warning", "trainable BN sees too few examples per replica for its statistics"),
    ("BN003", "train-inference-gap", "error", "the same batch gives very different outputs in training and in inference mode, beyond the lag of the moving averages"),
    ("BN004", "moving-statistics-at-default", "error", "moving mean 0 / variance 1 beside trained kernels: never loaded, never updated"),
    ("BN005", "moving-statistics-stale", "error", "moving statistics do not describe the data that flows now (other input range, other domain)"),
    ("BN006", "trainable-bn-forced-inference", "warning", "training=False wired into a trainable BN"),
    ("BN007", "momentum-too-slow", "warning", "the moving averages cannot catch up within the planned steps"),
    ("BN008", "degenerate-bn", "error", "variance near 0, gamma 0 or non-finite"),
    ("BN009", "freeze-splits-a-block", "warning", "the freeze boundary separates a BN from its convolution, or cuts a module in two"),
    ("BN010", "trainable-changed-after-compile", "error", "trainable was changed after compile, so the step that runs is not the one described"),
    ("BN011", "wired-mode-overridden", "error", "the graph wires a mode into a trainable part (base(x, training=False), the transfer-learning recipe), and the Keras that runs it overrides it: Keras 3's fit passes training=True through to every layer"),
    ("OUT001", "softmax-on-softmax-loss", "error", "softmax/sigmoid output into a loss that applies it again (from_logits=True). Where the activation is the very last operation, Keras 3 reaches back to the logits and only warns: that is *info*; any layer behind it (resize, reshape, another model) makes it real"),
    ("OUT002", "logits-into-probability-loss", "error", "the model ends in logits and the loss expects probabilities"),
    ("OUT003", "activation-applied-twice", "error", "softmax/sigmoid twice within the graph"),
    ("OUT004", "softmax-over-one-channel", "error", "always 1, no gradient"),
    ("OUT005", "sigmoid-with-categorical-loss", "warning", "independent sigmoids with an exclusive-class loss, or softmax with a binary loss"),
    ("OUT006", "softmax-over-wrong-axis", "error", "normalised over rows, columns or pixels and not over classes"),
    ("OUT007", "bounded-or-rectified-logits", "error", "ReLU, tanh or clipping on the logits"),
    ("OUT008", "channels-differ-from-classes", "error", "number of output channels is not the number of classes"),
    ("LOSS001", "loss-raises", "error", "the loss fails on a legal batch"),
    ("LOSS002", "perfect-prediction-not-best", "error", "the loss is least where the arg max of the prediction is not the label"),
    ("LOSS003", "loss-has-no-gradient", "error", "the gradient with respect to the prediction is None or zero everywhere"),
    ("LOSS004", "loss-not-finite", "error", "NaN/Inf on a legal batch (a class absent, a saturated prediction, an all-void crop)"),
    ("LOSS005", "loss-mixes-pixels", "error", "a wrong axis: a pixel's term depends on a whole row, column or another image, where no locality explains it"),
    ("LOSS006", "loss-forgets-classes", "error", "the class axis was flattened away: shuffling entries jointly across pixels and classes leaves the loss as it is (a micro-averaged Dice: warning)"),
    ("LOSS007", "silent-broadcast", "error", "label and prediction broadcast against each other"),
    ("LOSS008", "gradient-scale-extreme", "warning", "the reduction makes gradients larger or smaller by orders of magnitude"),
    ("LOSS009", "dominated-by-one-class", "warning", "nearly all gradient comes from one class, background as a rule"),
    ("LOSS010", "metric-used-as-loss", "error", "a stateful metric, or a score that rises with quality minimised as it is, stands in the place of the loss"),
    ("IGN001", "void-reaches-loss", "error", "void pixels change the loss or have a gradient"),
    ("IGN002", "void-inside-one-hot", "error", "255 stands in one-hot channels"),
    ("IGN003", "void-out-of-range", "error", "a sparse loss without ignore_class is fed ids beyond the classes"),
    ("IGN004", "void-folded-into-class", "error", "void was clipped, wrapped or cast into a real class"),
    ("IGN005", "void-as-extra-class", "warning", "void is learnt as one more class"),
    ("IGN006", "padding-labelled-as-class", "error", "padded or rotated-in regions carry a real class"),
    ("IGN007", "void-lost", "warning", "the masks on disk have void and the batch has none, or a published set whose masks have void shows none"),
    ("IGN008", "void-reaches-metric", "warning", "void pixels change the metric"),
    ("IGN009", "ignore-label-undeclared", "warning", "the masks hold a value that no one declared"),
    ("IGN010", "void-dilutes-loss", "warning", "void is masked to zero but still counted in the mean, so the loss depends on how much void a crop has"),
    ("LBL001", "sparse-onehot-mismatch", "error", "one-hot labels into a sparse loss, or ids into a categorical one"),
    ("LBL002", "label-shape-mismatch", "error", "label and output shapes do not fit"),
    ("LBL003", "label-out-of-range", "error", "ids outside 0 … classes-1 (void aside)"),
    ("LBL004", "colour-map-as-label", "error", "RGB colours of the palette are used as labels"),
    ("LBL005", "luminance-as-label", "error", "a palette mask was decoded to grey: luminances stand for ids"),
    ("LBL006", "interpolated-labels", "error", "ids were resized with a smoothing filter"),
    ("LBL007", "scaled-labels", "error", "ids were divided or multiplied (0/255 masks, ids/255)"),
    ("LBL008", "off-by-one-labels", "error", "ids are shifted by one against the class list"),
    ("LBL009", "onehot-malformed", "error", "channels do not sum to one, or stand on the wrong axis"),
    ("LBL010", "label-precision-lost", "warning", "the type cannot hold the ids"),
    ("LBL011", "labels-constant", "error", "the batch holds one class only, or nothing but void"),
    ("LBL012", "lossy-masks", "error", "masks went through JPEG or another lossy step: ids that no one drew"),
    ("DATA001", "pair-missing", "error", "an image without a mask or a mask without an image"),
    ("DATA002", "file-unreadable", "error", "truncated, empty, not an image, no permission"),
    ("DATA003", "pair-size-differs", "error", "image and mask differ in size"),
    ("DATA004", "image-and-mask-misaligned", "error", "mask edges do not follow image edges: shuffled apart, or transformed apart"),
    ("DATA005", "splits-overlap", "error", "the same example in training and validation"),
    ("DATA006", "validation-list-used-for-training", "error", "the training list is a published validation list (VOC 2012 val, 1449)"),
    ("DATA007", "input-range-differs", "error", "inputs are not in the range that the backbone was trained on"),
    ("DATA008", "normalised-twice", "error", "preprocessing applied twice, in the pipeline and in the model"),
    ("DATA009", "channels-swapped", "warning", "BGR for RGB"),
    ("DATA010", "input-degenerate", "error", "constant, NaN or repeated images"),
    ("DATA011", "class-missing-or-rare", "warning", "classes that never or hardly occur"),
    ("DATA012", "not-shuffled", "warning", "the order is sorted, or every epoch repeats one slice"),
    ("DATA013", "orientation-ignored", "warning", "EXIF orientation turns the image and not the mask"),
    ("DATA014", "normalisation-per-batch", "warning", "the input scale depends on the content of the batch"),
    ("DATA015", "batch-buffer-reused", "error", "a generator hands out the same buffer and writes into it afterwards"),
    ("DATA016", "pair-changes-between-draws", "error", "the same example drawn again comes with another label, or the label's image with other content, beyond what one augmentation of both explains"),
    ("GRAD001", "no-gradient-path", "error", "trainable variables with gradient None"),
    ("GRAD002", "gradient-vanishes", "error", "gradient norms fall by orders of magnitude towards the input"),
    ("GRAD003", "gradient-explodes", "error", "gradient norms grow by orders of magnitude, or clipping eats them"),
    ("GRAD004", "gradient-not-finite", "error", "NaN/Inf; the first operation that makes it is named"),
    ("GRAD005", "dead-units", "warning", "channels that are zero for the whole batch"),
    ("GRAD006", "output-saturated", "error", "the head is saturated, so the loss's gradient is ~0"),
    ("GRAD007", "nothing-to-train", "error", "the head is frozen, or no variable is trainable"),
    ("OPT001", "update-too-small", "error", "the optimizer's real step is negligible beside the weights (Adadelta at 1e-3 and below)"),
    ("OPT002", "update-too-large", "error", "the step is as large as the weights, or the loss leaves the batch's basin"),
    ("OPT003", "learning-rate-outside-range", "warning", "the sweep puts the useful range elsewhere"),
    ("OPT004", "regularisation-dominates", "warning", "weight decay or L2 outweighs the data term"),
    ("OPT005", "schedule-ends-too-early", "warning", "the schedule is at ~0 before the planned steps are done"),
    ("OPT006", "mixed-precision-underflow", "error", "half precision without loss scaling"),
    ("OPT007", "too-few-steps", "warning", "epochs × steps, or early stopping, end training far below what such a fine-tuning needs"),
    ("OPT008", "class-weight-not-applied", "error", "class_weight is ignored, refused or misread for dense labels"),
    ("OPT009", "freeze-not-as-described", "error", "the layers that train are not those that the freeze was meant to leave (index past the head, a no-op trainable switch)"),
    ("MET001", "metric-not-one-when-perfect", "error", "the metric does not reach its best on a perfect prediction"),
    ("MET002", "metric-fed-unarranged", "error", "the metric needs argmax ids and is fed probabilities or one-hot, or the other way round"),
    ("MET003", "accuracy-hides-collapse", "warning", "predicting background alone already scores high"),
    ("MET004", "metric-averaged-wrongly", "warning", "IoU averaged per batch, over absent classes, or NaN without a class"),
    ("HIST001", "plateau-from-start", "warning", "the loss never left its first level"),
    ("HIST002", "oscillation", "warning", "the loss swings without a trend"),
    ("HIST003", "early-stop-too-early", "warning", "the patience is shorter than the noise"),
    ("HIST004", "not-finite-at-epoch", "error", "NaN/Inf from an epoch on"),
    ("HIST005", "monitor-direction-wrong", "error", "a callback minimises what should rise (mode='auto' on an IoU)"),
    ("HIST006", "monitor-absent", "error", "a callback watches a key that training never reports"),
    ("HIST007", "learned-the-prior-only", "warning", "loss equals the entropy of the class frequencies, accuracy the share of background, mIoU the constant predictor's: nothing of the image was learnt"),
    ("TRIAL001", "cannot-overfit-one-batch", "error", "the run as it is cannot memorise one batch"),
    ("TRIAL002", "learns-in-training-mode-only", "error", "memorised in training mode, lost in inference mode even with recalibrated statistics"),
    ("TRIAL003", "collapses-to-one-class", "error", "every pixel becomes one class"),
    ("TRIAL004", "model-is-to-blame", "error", "only exchanging the model made the run learn"),
    ("TRIAL005", "data-is-to-blame", "error", "only exchanging the data made the run learn"),
    ("TRIAL006", "loss-is-to-blame", "error", "only exchanging the loss made the run learn"),
    ("TRIAL007", "optimizer-is-to-blame", "error", "only exchanging the optimizer made the run learn"),
)
# fmt: on

CATALOGUE: dict[str, Entry] = {row[0]: Entry(*row) for row in _ROWS}


def codes_matching(patterns: tuple[str, ...]) -> frozenset[str]:
    """Codes named by ``patterns``: a code (``BN001``), a family (``BN``) or a slug.

    Raises
    ------
    UserError
        If a pattern names nothing; the message says what was expected.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        wanted = pattern.strip()
        hits = {
            entry.code
            for entry in CATALOGUE.values()
            if wanted.upper() in (entry.code, entry.family) or wanted.lower() == entry.slug
        }
        if not hits:
            raise UserError(
                f"unknown code {pattern!r}: expected a code such as BN001, a family such as "
                f"{', '.join(FAMILIES)}, or a slug; `segdoctor list` shows them all"
            )
        chosen |= hits
    return frozenset(chosen)
