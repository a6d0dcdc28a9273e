"""Read a file or a folder of the inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from schemas.errors import InputError
from schemas.pixel_frame import labelled_column_fault
from tasks.sources import formats

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.rules import Rules
    from tasks.sources.frames import Frames

ALLOWED = "an .npz, .csv, .csv.gz or .parquet file, or a folder with IDX files or with pictures in 0 to 9 is allowed"


def read_file(path: Path, rules: Rules) -> pd.DataFrame:
    """Read all rows of a file, its test part behind its training part.

    Raises:
        InputError: The file can't be read, is shards, or doesn't have a pixel frame's columns.
    """
    found = formats.find(str(path), ALLOWED)
    if found is formats.SHARDS:
        raise InputError(f"{path.name}: shards; {ALLOWED}")
    frames: Frames = found.read(path, rules)
    parts: dict[str, pd.DataFrame] = {part: frame for part, frame in frames._asdict().items() if frame is not None}
    for frame in parts.values():
        fault = labelled_column_fault(frame)
        if fault:
            raise InputError(f"{path.name}: {fault}; label, pixel0 … pixel783 are needed")
    if frames.test is None:
        return frames.train
    return pd.concat([frame.set_axis([f"{part} {item}" for item in frame.index]) for part, frame in parts.items()])
