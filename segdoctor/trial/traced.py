"""One trace of a net for all trials that differ only in weights, loss, labels or optimizer.

What is frozen, runs in inference mode and comes before everything that trains gives the same
features at every step of a trial on one batch: it is computed once, and only the rest is traced.
"""

from __future__ import annotations

from typing import Any

from segdoctor.core.run import Run
from segdoctor.recorder.forward import Outputs, TracedForward
from segdoctor.recorder.frozen_prefix import split_at_frozen


class TracedNet:
    """``x -> Outputs`` in training mode of a run's model; ``eager``: without a trace."""

    def __init__(self, run: Run, *, eager: bool = False) -> None:
        self.model = run.model
        parts: tuple[Any, Any] | None = None
        if run.flavour in ("keras3", "tf_keras"):  # before them, frozen BN used the batch
            parts = split_at_frozen(run.model)
        self._prefix: Any = parts[0] if parts else None
        rest = parts[1] if parts else run.model
        self.forward = TracedForward(rest, training=True, eager=eager)
        self.rest = rest
        self.whole_steps: dict[int, tuple[Any, Any]] = {}
        """``id`` of a loss → the loss, and the trace of the net with it and the gradient."""
        self._fed: tuple[Any, Any] | None = None

    @property
    def frozen_part(self) -> bool:
        """Whether a frozen part is computed only once."""
        return self._prefix is not None

    def __call__(self, x: Any) -> Outputs:
        return self.forward(self.features(x))

    def features(self, x: Any) -> Any:
        """What the part that trains is fed for the batch ``x``."""
        import tensorflow as tf

        if self._fed is None or self._fed[0] is not x:
            fed = tf.nest.map_structure(tf.convert_to_tensor, x)
            if self._prefix is not None:
                fed = self._prefix(fed, training=False)
                fed = fed[0] if isinstance(fed, list | tuple) and len(fed) == 1 else fed
            self._fed = (x, fed)
        return self._fed[1]
