"""The rows that validation set aside, kept as they came with the reasons, and drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from artifacts.reports import plots
from schemas.digits import PIXEL_COUNT, SIDE

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from schemas.results import Validation

DRAWN = 48


def write(folder: Path, quarantined: pd.DataFrame, sheet: bytes) -> None:
    """Write `rows.parquet`, which can be mended and given back as a source, and `sheet.png`."""
    quarantined.to_parquet(folder / "rows.parquet", index=False)
    (folder / "sheet.png").write_bytes(sheet)


def sheet(found: Validation) -> bytes:
    """Draw the rows set aside, the first of them if there are many, each with its place and its reasons."""
    first, count = found.quarantined.iloc[:DRAWN], sum(found.n_quarantined.values())
    values = np.nan_to_num(first.iloc[:, -PIXEL_COUNT:].to_numpy(np.float64), nan=0, posinf=255, neginf=0)
    captions = [
        f"{part} {_short(item, 9)}, {_label(label)}\n{_short(reasons, 22)}"
        for part, item, reasons, label in zip(
            first["part"], first["item"], first["reasons"], first["label"], strict=True
        )
    ]
    told = f"the first {DRAWN} of {count:,}" if count > DRAWN else f"{count:,}"
    images = np.clip(values, 0, 255).reshape(-1, SIDE, SIDE)
    return plots.png(plots.picture_sheet(f"Rows set aside: {told}", list(images), captions))


def _label(label: float) -> str:
    return "no label" if np.isnan(label) else f"label {label:g}"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"…{text[1 - length :]}"
