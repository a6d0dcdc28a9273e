"""A sharded source: many files of one layout, none of which has to be in memory whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NamedTuple

WORKERS = min(os.cpu_count() or 1, 8)
"""Shards that are read at a time."""


class Shard(NamedTuple):
    """A file of a sharded source.

    `address` is what opens it, a path or an fsspec address; `item` what its rows are called after. `n_rows` is what a
    Parquet footer says, None where only reading would tell. `fault` tells why it can't be used, if that is known.
    """

    address: str
    item: str
    bytes: int = 0
    n_rows: int | None = None
    fault: str = ""


@dataclass(frozen=True)
class ShardManifest:
    """The shards of a source, in the order of their names, found without reading a pixel."""

    shards: tuple[Shard, ...]

    @property
    def summary(self) -> str:
        """Tell how much it is: rows only where all shards say them."""
        rows = [shard.n_rows for shard in self.shards]
        counted = "" if None in rows else f"{sum(filter(None, rows)):,} rows in "
        size = sum(shard.bytes for shard in self.shards)
        count = "1 shard" if len(self.shards) == 1 else f"{len(self.shards):,} shards"
        return f"{counted}{count} of {size / 2**20:,.1f} MiB"
