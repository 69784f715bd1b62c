"""What is said of a run before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declared:
    """What the user or the run says of itself. ``ignore_label``: an int, False (there is none)
    or None (unknown); ``ignore_declared_by`` says who declared it (``"loss"``, ``"sample_weight"``,
    ``"layout"``, ``"user"``)."""

    num_classes: int | None = None
    num_classes_declared: bool = False
    ignore_label: int | bool | None = None
    ignore_declared_by: str = ""
    flavour: str = "keras3"
    epochs: int | None = None
    steps_per_epoch: int | None = None
    batch_size: int | None = None
    replicas: int = 1  # copies of the model among which a batch is shared out
    source: str = "arrays"  # where the batch came from: "folder", "arrays", "dataset"
    encoding_declared: bool = True  # False: segdoctor itself encoded the labels for the loss
    range_declared: bool = True  # False: segdoctor itself chose the input range
    loss_stand_in: bool = False  # True: no loss is known, a right one for the head stands in
    why_no_loss: str = ""  # then: why none is known
