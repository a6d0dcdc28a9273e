"""Divide the memory of `--memory` among the buffers of a sharded source."""

from __future__ import annotations

import math
import os

from schemas.errors import InputError

RESERVED_MIB = 1024
"""MiB of `--memory` reserved for Python and the libraries; the rest is for batches and blocks."""
BYTES_PER_ROW = 60
"""Bytes that each row keeps in memory: label, digest, row number, position in an epoch's order. Measured.

While validation looks for copies, it uses as much for each input row.
"""
BYTES_PER_ROW_READ = 48_000
"""Bytes that a row may use while it is read and checked: some copies of 785 numbers of 8 bytes."""
WORKERS = min(os.cpu_count() or 1, 8)
"""Shards that are read in parallel."""


def batch_rows(memory: int) -> int:
    """Return how many rows each worker may have in memory at a time if all workers have `memory` MiB."""
    return max(((memory - RESERVED_MIB) << 20) // WORKERS // BYTES_PER_ROW_READ, 1024)


def check_memory(memory: int, n_rows: int, block_bytes: int = 0) -> None:
    """Raise InputError unless `memory` MiB are enough for `n_rows` rows of shards and for the blocks."""
    needed = RESERVED_MIB + math.ceil((n_rows * BYTES_PER_ROW + block_bytes) / 2**20)
    if memory < needed:
        raise InputError(f"--memory {memory}: {n_rows:,} rows need {needed:,} MiB at least")
