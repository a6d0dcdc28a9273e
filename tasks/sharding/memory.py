"""Compute the memory that a sharded source needs, for `--memory`."""

from __future__ import annotations

import math
import os

from schemas.errors import InputError

TAKEN = 1024
"""MiB of `--memory` reserved for Python and the libraries; the rest is for batches and blocks."""
KEPT_BYTES = 60
"""Bytes held in memory per row of shards: label, digest, row number, position in an epoch's order. Measured.

Validation takes as much for every input row while it looks for copies.
"""
ROW_BYTES = 48_000
"""Bytes that a row may take while it is read and checked: some copies of 785 numbers of 8 bytes."""
WORKERS = min(os.cpu_count() or 1, 8)
"""Shards that are read at a time."""


def batch_rows(memory: int) -> int:
    """Return how many rows each worker may have in memory at a time, of `memory` MiB for all."""
    return max(((memory - TAKEN) << 20) // WORKERS // ROW_BYTES, 1024)


def check_memory(memory: int, n_rows: int, block_bytes: int = 0) -> None:
    """Raise InputError unless `memory` MiB suffice for `n_rows` rows of shards and for blocks of that size."""
    needed = TAKEN + math.ceil((n_rows * KEPT_BYTES + block_bytes) / 2**20)
    if memory < needed:
        raise InputError(f"--memory {memory}: {n_rows:,} rows need {needed:,} MiB at least")
