"""Treats one run; what was treated once is kept, since a model is slow to rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from segdoctor.core.run import Draws, Run
from segdoctor.measures.labels import label_facts
from segdoctor.trial import cutting
from segdoctor.trial.parts import Interface
from segdoctor.trial.treatments import Tools, treated


class Clinic:
    """``run`` and what it takes to treat it."""

    def __init__(self, run: Run, tools: Tools) -> None:
        self.run = run
        self._tools = tools
        self._treated: dict[frozenset[tuple[str, Any]], Run] = {}

    @property
    def ids(self) -> Any:
        """True ids (B, H, W) of the batch."""
        return self._tools.ids

    @property
    def examples(self) -> tuple[tuple[str, ...], Any]:
        """Names and images of the batch, as they are on disk where that is known."""
        batch, redraw = self.run.batch, self._tools.redraw
        assert batch is not None
        return batch.names, np.asarray(redraw("none").x if redraw else batch.x)

    @property
    def interface(self) -> Interface | None:
        return self._tools.interface

    @property
    def draws(self) -> Draws | None:
        """The run's own batches drawn anew, cut as its batch is."""
        return self._tools.draws

    def treat(self, patch: Mapping[str, Any]) -> Run:
        """As :func:`treated`."""
        key = frozenset(patch.items())
        if key not in self._treated:
            self._treated[key] = treated(self.run, patch, self._tools) if patch else self.run
        return self._treated[key]

    def halve(self, fewest: int = 1, smallest: int = cutting.SMALLEST) -> str:
        """Make the batch smaller for all that is treated from now on; says what was done.

        Raises
        ------
        NotExaminedError
            If it cannot be made smaller.
        """
        cut = cutting.halved(self.run, self.ids, fewest, smallest)
        run, ids = cut.run, cut.ids
        self.run = run
        interface = self.interface
        if interface is not None and run.batch is not None:
            labels = label_facts(run.batch.y, self._tools.classes, self._tools.void)
            labels = replace(labels, kind=interface.labels.kind)
            shape = (len(ids), *interface.head.shape[1:])
            if len(shape) == 4 and interface.head.class_axis in (-1, 3):
                shape = (len(ids), *ids.shape[1:3], shape[3])
            head = replace(interface.head, shape=shape)
            interface = replace(interface, ids=ids, labels=labels, head=head)
        redraw, draws = self._tools.redraw, self._tools.draws
        self._tools = replace(
            self._tools,
            ids=ids,
            interface=interface,
            redraw=redraw and (lambda name: cut.again(redraw(name))),
            draws=draws and replace(draws, draw=lambda: cut.again(draws.draw())),
        )
        self._treated.clear()
        return cut.words
