"""What training records of each epoch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """Metrics of an epoch; `accuracy` and `loss` are means over its augmented rows, each before the step it was for."""

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
