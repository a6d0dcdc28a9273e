"""Read Arrow files of one image per row: Feather, and those that Hugging Face's datasets are saved as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa

from schemas.rules import InputRules
from tasks.sources.files import ARROW, check_expanded, open_regular
from tasks.sources.tables import Batch, Layout, Table, TableReader, find_layout


@contextmanager
def _open(path: Path, rules: InputRules) -> Iterator[Table]:
    with open_regular(path) as file:
        is_stream = file.read(len(ARROW)) != ARROW
        file.seek(0)
        reader = pa.ipc.open_stream(file) if is_stream else pa.ipc.open_file(file)
        batches = reader if is_stream else map(reader.get_batch, range(reader.num_record_batches))
        layout = find_layout(path, reader.schema, rules)
        yield Table(layout, partial(_read, batches, layout), [])


def _read(
    batches: Iterable[pa.RecordBatch], layout: Layout, n_rows: int | None, max_mib: int | None
) -> Iterator[Batch]:
    """Read a file by its own batches, cut to `n_rows` rows."""
    n_read = 0
    for batch in batches:
        batch.validate(full=True)  # reading a damaged one might end the process
        n_read += batch.num_rows
        check_expanded(layout.path, n_read * layout.row_bytes, max_mib)
        length = n_rows or max(batch.num_rows, 1)
        yield from (batch.select(layout.names).slice(start, length) for start in range(0, batch.num_rows, length))


READER = TableReader("Arrow", _open)
read, check, batches = READER.read, READER.check, READER.batches
