"""A sharded source: many files of the same layout, which together may exceed the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Shard(NamedTuple):
    """A file of a sharded source.

    `address` is a path or an fsspec address; rows are named after `item`. `n_rows` is None if only reading
    the file would tell. `fault` is the reason why it can't be used, or "".
    """

    address: str
    item: str
    n_bytes: int = 0
    n_rows: int | None = None
    fault: str = ""


@dataclass(frozen=True)
class ShardManifest:
    """The shards of a source, sorted by name, listed without reading pixels."""

    shards: tuple[Shard, ...]

    @property
    def summary(self) -> str:
        counts = [shard.n_rows for shard in self.shards]
        rows = "" if None in counts else f"{sum(filter(None, counts)):,} rows in "
        n_bytes = sum(shard.n_bytes for shard in self.shards)
        shards = "1 shard" if len(self.shards) == 1 else f"{len(self.shards):,} shards"
        return f"{rows}{shards} of {n_bytes / 2**20:,.1f} MiB"
