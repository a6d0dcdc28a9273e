"""How much memory a sharded source needs: the arithmetic behind `--memory`."""

from __future__ import annotations

import math

from schemas.errors import InputError

TAKEN = 1024
"""MiB of `--memory` reserved for Python and the libraries; the rest is for batches and blocks."""
KEPT_BYTES = 60
"""Bytes held in memory per row of shards: label, digest, row number, position in an epoch's order. Measured.

Validation takes as much for every input row while it looks for copies.
"""


def check_memory(memory: int, n_rows: int, block_bytes: int = 0) -> None:
    """Raise InputError unless `memory` MiB hold what is kept of `n_rows` rows of shards, and blocks of that size."""
    needed = TAKEN + math.ceil((n_rows * KEPT_BYTES + block_bytes) / 2**20)
    if memory < needed:
        raise InputError(f"--memory {memory}: {n_rows:,} rows need {needed:,} MiB at least")
