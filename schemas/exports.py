"""Exports of a version for other runtimes, and how far their answers may differ from those of `model.keras`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

ExportFormat = Literal["onnx", "litert", "litert-int8", "savedmodel"]
ALL_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MAX_DIFFERENCE = 1e-4
"""Difference of probabilities up to which a float32 export counts as equal; its labels must be the same."""
MAX_LOSS_POINTS = 0.1
"""Percentage points of accuracy that an int8 export may lose."""
MAX_INT8_SIZE = 0.3
"""Size of an int8 export as a share of `model.keras`."""


@dataclass(frozen=True)
class Agreement:
    """Answers of an export beside those of `model.keras`, on all test rows."""

    n_rows: int
    different_labels: int
    max_difference: float
    accuracy: float
    keras_accuracy: float


@dataclass(frozen=True)
class Export:
    """The export of a version in one format, with the contents of `export.json`, or why it failed, in `fault`."""

    version: int
    format: ExportFormat
    path: str
    record: dict[str, Any]
    fault: str = ""

    @property
    def summary(self) -> str:
        if self.fault:
            return f"{self.format} isn't exported: {self.fault}"
        check, same = self.record["agreement"], "the same label"
        labels = f"{check['n_rows'] - check['different_labels']:,} of {check['n_rows']:,} test rows have {same}"
        size = f"{self.record['bytes'] / 1024:,.0f} KiB, {self.record['latency_ms']:.2f} ms an image"
        return f"{self.path}: {labels}, probabilities differ by at most {check['max_difference']:.1g}; {size}"
