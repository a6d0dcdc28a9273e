"""Read Arrow files of one image per row: Feather, and those that Hugging Face's datasets are saved as."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa

from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.columns import find_layout
from tasks.sources.files import ARROW, check_expanded, open_regular
from tasks.sources.frames import Frames, collect


def read(path: Path, rules: Rules) -> Frames:
    """Read all rows of a file."""
    return collect(_read(path, rules, rules.max_expanded_mib))


def check(path: Path, rules: InputRules) -> None:
    """Raise InputError unless the columns are those of labelled images."""
    with _opened(path) as (schema, _batches):
        find_layout(path, schema, rules).check_labelled(rules)


def batches(path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read a file by its own batches, cut to `n_rows` rows."""
    for frame in _read(path, rules, max_mib=None):
        yield from (frame.iloc[start : start + n_rows] for start in range(0, max(len(frame), 1), n_rows))


def _read(path: Path, rules: InputRules, max_mib: int | None) -> Iterator[pd.DataFrame]:
    with _opened(path) as (schema, read_batches):
        layout = find_layout(path, schema, rules)
        n_rows = 0
        for batch in read_batches:
            check_expanded(path, (n_rows + batch.num_rows) * layout.row_bytes, max_mib)
            yield layout.to_frame(batch.select(layout.names), n_rows, rules)
            n_rows += batch.num_rows
        if not n_rows:
            yield layout.to_frame(schema.empty_table().select(layout.names), 0, rules)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    try:
        with open_regular(path) as file:
            is_stream = file.read(len(ARROW)) != ARROW
            file.seek(0)
            reader = pa.ipc.open_stream(file) if is_stream else pa.ipc.open_file(file)
            batches = reader if is_stream else map(reader.get_batch, range(reader.num_record_batches))
            yield reader.schema, (_validated(batch) for batch in batches)
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        raise InputError(f"{path}: not a readable Arrow file ({first_line(error)})") from error


def _validated(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose offsets and lengths were checked: reading a damaged one might end the process."""
    batch.validate(full=True)
    return batch
