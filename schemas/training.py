"""Metrics of one epoch of training, and its precision."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""The numbers with which the hidden layers compute in training; weights and predictions are always `float32`."""


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

    @property
    def summary(self) -> str:
        text = f"loss {self.loss:.4f}, accuracy {self.accuracy:.2%}"
        if self.validation_accuracy is None:
            return text
        return f"{text}; held out: loss {self.validation_loss:.4f}, accuracy {self.validation_accuracy:.2%}"
