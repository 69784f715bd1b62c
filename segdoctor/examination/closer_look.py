"""What is looked at once the head is known: pixel order, untracked variables, the last resize,
where the gradient lies at the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from segdoctor.core.error_line import error_line
from segdoctor.core.measured import HeadFacts
from segdoctor.core.model_facts import GraphFacts
from segdoctor.core.probe import NotExaminedError
from segdoctor.core.run import Run
from segdoctor.core.trace import Missing, Trace


def closer_fields(
    run: Run, trace: Trace, head: HeadFacts, ids: Any, void: int | None
) -> dict[str, object]:
    """``bars_as_fed``, ``pixel_order``, ``untracked``, ``resize_convention`` and
    ``output_gradient_facts``, each or why it is missing."""
    from segdoctor.measures.fed_masks import fed_bars
    from segdoctor.measures.output_gradient import output_gradient_facts
    from segdoctor.recorder.pixel_order import pixel_order
    from segdoctor.recorder.resize_convention import resize_convention
    from segdoctor.recorder.untracked import untracked_variables

    assert run.batch is not None
    x, graph = run.batch.x, trace.get("graph")
    gradient, output = trace.get("output_gradient"), trace.get("y_train")
    fields: dict[str, object] = {
        "bars_as_fed": fed_bars(np.asarray(x), np.asarray(ids)),
        "untracked": _told(lambda: untracked_variables(run.model, x)),
        "pixel_order": _told(lambda: pixel_order(run.model, graph))
        if isinstance(graph, GraphFacts)
        else Missing("the graph is not known"),
        "resize_convention": _told(
            lambda: resize_convention(
                run.model, x, np.asarray(ids), void, logits=head.kind == "logits"
            )
        ),
    }
    if isinstance(gradient, Missing) or isinstance(output, Missing):
        fields["output_gradient_facts"] = gradient
    else:
        fields["output_gradient_facts"] = _told(
            lambda: output_gradient_facts(
                np.asarray(gradient), np.asarray(output), np.asarray(ids), head, void
            )
        )
    return fields


def branch_field(run: Run, trace: Trace) -> object:
    """The effect of each branch of a merge, by zeroing it: timed apart from the recording."""
    from segdoctor.recorder.branches import zeroed_branches

    if run.batch is None:
        return Missing("no data was given", "--data")
    gradients = trace.get("gradients")
    known = gradients if isinstance(gradients, tuple) else ()
    x = np.asarray(run.batch.x)[:2]
    return _told(lambda: zeroed_branches(run.model, x, known))


def _told(measure: Callable[[], object]) -> object:
    try:
        return measure()
    except NotExaminedError as why:
        return Missing(str(why))
    except Exception as error:  # noqa: BLE001 - the boundary: layers of the user's own may raise anything
        return Missing(f"it could not be measured: {error_line(error)}")
