"""Moving statistics of batch normalisation, measured anew on the data, for a model file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segdoctor.core.data_facts import ScanFacts
from segdoctor.examination.opening import custom_objects_of, need_tensorflow
from segdoctor.examination.request import Request
from segdoctor.sources.model_file.opened import OpenedModel

BATCHES, EXAMPLES = 8, 4
_FREE_SIDE = 256  # of a model that takes any size


def recalibrated(
    request: Request, opened: OpenedModel, scan: ScanFacts, preprocess: str
) -> dict[str, Any]:
    """Place in the file → moving mean or variance, over up to 32 examples of the folder.

    Raises
    ------
    ModelFileError
        If the model cannot be rebuilt without running code of the file.
    """
    need_tensorflow()
    from segdoctor.recorder.layers import batch_norm_layers
    from segdoctor.recorder.recalibrate import recalibrate
    from segdoctor.sources.model_file.copy_weights import plan_weights
    from segdoctor.sources.model_file.rebuild import rebuild

    model, _ = rebuild(opened, custom_objects=custom_objects_of(request))
    layers = [layer for _, layer in batch_norm_layers(model)]
    recalibrate(model, _images(request, model, scan, preprocess), layers)
    wanted = {id(v) for layer in layers for v in (layer.moving_mean, layer.moving_variance)}
    plan = plan_weights(model, opened.stored, opened.facts.weights)
    return {weight.path: np.asarray(v).copy() for v, weight in plan if id(v) in wanted}


def _images(request: Request, model: Any, scan: ScanFacts, preprocess: str) -> Iterator[Any]:
    from segdoctor.sources.voc import make_batch

    _, height, width, channels = model.input_shape
    side = (request.trial.crop if request.trial else None) or _FREE_SIDE
    pairs = sum(bool(pair.image and pair.mask) for pair in scan.trained_on)
    batches = max(1, min(BATCHES, pairs // EXAMPLES))
    for draw in range(batches):
        request.say("measuring batch normalisation anew", draw, batches)
        yield make_batch(
            scan,
            size=(height or side, width or side),
            count=EXAMPLES,
            num_classes=2,
            channels=channels or 3,
            preprocess=preprocess,
            ignore_label=255,  # padded, not stretched
            seed=request.seed,
            draw=draw,
        ).x
