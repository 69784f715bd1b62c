"""What a caller asks for, as it was given: nothing is opened and nothing is computed here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from segdoctor.core.catalogue import codes_matching

if TYPE_CHECKING:
    from segdoctor.core.run import Trial

Say = Callable[[str, int | None, int | None], None]


def silent(stage: str, done: int | None = None, total: int | None = None) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Script:
    """The script that ``segdoctor.run`` runs, and which of its trainings is examined."""

    name: str
    args: tuple[str, ...] = ()
    module: bool = False
    number: int = 1
    go_on: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of ``segdoctor.check``; see there for their meaning.

    ``output``: which one of a file's model that has several; ``script``: what only a running
    script tells, as fields of the trace; ``said_by``: who gave loss and optimizer;
    ``training``: of a model of several outputs, what is known of all of them;
    ``why_no_loss``: why the loss of the run is not known though the model may be compiled with one.
    """

    model: Any
    data: Any = None
    files: str | None = None
    loss: Any = None
    from_logits: bool | None = None
    optimizer: Any = None
    learning_rate: float | None = None
    metrics: Any = None
    num_classes: int | None = None
    ignore_label: int | bool | None = None
    preprocess: str | None = None
    class_weight: Any = None
    history: Any = None
    callbacks: Any = None
    validation_data: Any = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    freeze: int | str | None = None
    label_map: Any = None
    labels: str | None = None
    resize: str = "fit"
    split: str | None = None
    val_split: str | None = None
    masks: str | None = None
    images: str | None = None
    pairs: str | None = None
    keras: str | None = None
    arch: str | None = None
    objects: str | None = None
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False
    device: str = "auto"
    trial: Trial | None = None
    budget_given: bool = True  # False: it is the usual one of the device
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str = "error"
    out: str | None = None
    seed: int = 0
    output: int = 0
    script: Mapping[str, Any] = field(default_factory=dict)
    training: Any = None
    said_by: str = "user"
    why_no_loss: str = ""
    say: Say = silent
    watcher: Any = None  # told of each stage; in a child process, which hands it on

    def chooser(self) -> Callable[[str], bool]:
        """Whether a code is asked for.

        Raises
        ------
        UserError
            If ``select`` or ``ignore`` names no code.
        """
        wanted = codes_matching(self.select) if self.select else None
        unwanted = codes_matching(self.ignore)
        return lambda code: (wanted is None or code in wanted) and code not in unwanted
