"""Write the quarantined rows as a table and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from artifacts.reports import plots
from schemas.digits import PIXEL_COUNT, SIDE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from schemas.results import Validation

MAX_DRAWN = 48


def write(folder: Path, quarantined: pd.DataFrame, sheet: bytes) -> None:
    """Write `rows.parquet`, which can be corrected and used as a source, and `sheet.png`."""
    quarantined.to_parquet(folder / "rows.parquet", index=False)
    (folder / "sheet.png").write_bytes(sheet)


def sheet(validation: Validation) -> bytes:
    """Draw up to 48 quarantined rows, each with its part, item, label and reasons."""
    first, n_rows = validation.quarantined.iloc[:MAX_DRAWN], sum(validation.n_quarantined.values())
    values = np.nan_to_num(first.iloc[:, -PIXEL_COUNT:].to_numpy(np.float64), nan=0, posinf=255, neginf=0)
    captions = [
        f"{part} {_shorten(item, 9)}, {_label(label)}\n{_shorten(reasons, 22)}"
        for part, item, reasons, label in zip(
            first["part"], first["item"], first["reasons"], first["label"], strict=True
        )
    ]
    title = f"the first {MAX_DRAWN} of {n_rows:,}" if n_rows > MAX_DRAWN else f"{n_rows:,}"
    images = np.clip(values, 0, 255).reshape(-1, SIDE, SIDE)
    return plots.png(plots.picture_sheet(f"Quarantined rows: {title}", list(images), captions))


def _label(label: float) -> str:
    return "no label" if np.isnan(label) else f"label {label:g}"


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"…{text[1 - length :]}"
