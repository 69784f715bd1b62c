"""How good the model is as it was given: IoU per class in inference mode, before any training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from segdoctor.core.measured import HeadFacts
from segdoctor.core.run import Batch, Run
from segdoctor.examination.recording import void_value
from segdoctor.measures.decoding import predicted_ids
from segdoctor.measures.iou import class_iou

SECONDS = 6.0
EXAMPLES = 8
FREE_SIZE = 256


def score_as_loaded(
    model: Any, draw: Callable[[tuple[int, int], int], Batch], head: HeadFacts, run: Run | None
) -> dict[str, Any]:
    """IoU per class over up to eight examples at the model's own size (256 px where it is free),
    as many as six seconds allow.

    Returns
    -------
    dict with ``examples``, ``side``, ``miou`` (mean over the classes present) and ``per_class``;
    {} where the output has another grid than the labels.
    """
    from segdoctor.recorder.forward import TracedForward

    height, width = (int(n or FREE_SIZE) for n in model.input_shape[1:3])
    void = void_value(None if run is None else run.ignore_label)
    batch = draw((height, width), EXAMPLES)
    forward = TracedForward(model, False, eager=True)
    start, predictions = time.monotonic(), []
    for x in np.asarray(batch.x):
        output = np.asarray(forward(x[None]).y_pred)
        shape = (1, *np.asarray(batch.ids).shape[1:])
        if output.size != int(np.prod(shape)) * output.shape[head.class_axis]:
            return {}  # of another grid than the labels: that is MDL008
        predictions.append(predicted_ids(output, shape, kind=head.kind, class_axis=head.class_axis))
        if time.monotonic() - start > SECONDS:
            break
    ids = np.asarray(batch.ids)[: len(predictions)]
    scores = class_iou(np.concatenate(predictions), ids, None if void == -1 else void)
    return {
        "examples": len(predictions),
        "side": height,
        "miou": round(float(np.mean(list(scores.values()))), 4) if scores else None,
        "per_class": {str(label): round(score, 4) for label, score in scores.items()},
    }
