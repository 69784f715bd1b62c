"""What was measured of the optimisation beside one step: schedule, sweep, penalties, freezing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScheduleFacts:
    """The learning rate over the planned steps.

    ``by`` says who sets it: ``"optimizer"``, ``"LearningRateScheduler"`` or
    ``"ReduceLROnPlateau"``; ``name`` is the schedule's. ``steps`` and ``rates`` are sample points,
    in order; the last one is the end of the plan. ``improving``: of a plateau's, whether the curve
    still got better before the rate was cut for the last time.
    """

    name: str
    by: str
    planned: int
    steps: tuple[int, ...]
    rates: tuple[float, ...]
    improving: bool = True

    @property
    def peak(self) -> float:
        return max(self.rates)

    def asleep_from(self, share: float) -> int | None:
        """The step from which on the rate stays below ``share`` of its peak; None if it does
        not."""
        limit = share * self.peak
        awake = [step for step, rate in zip(self.steps, self.rates, strict=True) if rate > limit]
        if not awake or awake[-1] == self.steps[-1]:
            return None
        return self.steps[self.steps.index(awake[-1]) + 1]


@dataclass(frozen=True, slots=True)
class SweepFacts:
    """A learning-rate range test on a copy: one step at each rate, from low to high.

    ``losses`` are those of the batch before each step. ``low`` to ``high`` is the range in which
    it fell well; None where it never fell. ``run`` is the rate of the run.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    low: float | None
    high: float | None
    run: float | None
    optimizer: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PenaltyFacts:
    """Regularisation beside the data term on one batch.

    ``ratio`` is the median over the kernels of ``|pull of the penalty| / |pull of the data|``:
    gradients for an L2 loss (``kind`` ``"L2 loss"``), parts of the optimizer's step for its weight
    decay (``"weight decay"``). ``layer`` is where it is largest.
    """

    kind: str
    ratio: float
    largest: float
    layer: str
    loss_penalty: float = 0.0
    loss_data: float = 0.0


@dataclass(frozen=True, slots=True)
class PrecisionFacts:
    """Half precision in the run: ``layers`` compute in it, ``output`` is the type of the output.
    ``scaled``: the optimizer scales the loss (None: not known, a compile decides)."""

    dtype: str
    layers: int
    scaled: bool | None
    output: str


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring layers of one module with the same flag. ``norms`` counts the BN in it."""

    name: str
    trains: bool
    layers: int
    parameters: int
    norms: int


@dataclass(frozen=True, slots=True)
class FreezeFacts:
    """What trains, read back from the model.

    ``asked`` is what the user said (``--freeze``), ``asked_layers`` the number of layers that it
    names. ``layers`` counts the model's own, ``head`` is the last layer with weights and
    ``head_place`` its place among them. ``switch``: the model's own ``trainable`` flag.
    """

    blocks: tuple[Block, ...]
    layers: int
    head: str
    head_place: int
    head_trains: bool = True
    asked: str = ""
    asked_layers: int | None = None
    switch: bool = True


@dataclass(frozen=True, slots=True)
class CompiledBefore:
    """A model that was fitted, against its flags now. ``stepped`` are the weights that the step
    trains, ``flagged`` those that the flags say; as numbers, with an example of each side."""

    stepped: int
    flagged: int
    only_stepped: tuple[str, ...] = ()
    only_flagged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaterFit:
    """Read in a script, behind its first ``fit``: at ``changed`` the ``trainable`` flag is changed,
    and at ``fitted`` the model is fitted again without a compile in between (lines of ``file``)."""

    file: str
    changed: int
    fitted: int
