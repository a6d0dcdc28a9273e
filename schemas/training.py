"""Metrics of one epoch of training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """Metrics of an epoch.

    `accuracy` and `loss` are running training metrics: each batch is measured before its update, on augmented images if
    the recipe augments.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
