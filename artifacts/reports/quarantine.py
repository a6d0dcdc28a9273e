"""Write the quarantined rows as a table and as a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from artifacts.reports import plots
from schemas.digits import PIXEL_COUNT, SIDE
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
        f"{row.part} {plots.shorten(row.item, 9)}, {_label(row.label)}\n{plots.shorten(row.reasons, 22)}"
        for row in first[["part", "item", "reasons", "label"]].itertuples()
    ]
    title = f"the first {MAX_DRAWN} of {n_rows:,}" if n_rows > MAX_DRAWN else f"{n_rows:,}"
    images = np.clip(values, 0, 255).reshape(-1, SIDE, SIDE)
    return plots.png(plots.picture_sheet(f"Quarantined rows: {title}", list(images), captions))


def _label(label: float) -> str:
    return "no label" if np.isnan(label) else f"label {label:g}"
