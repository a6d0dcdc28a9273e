"""Read shards with PyArrow alone, then load, stage and validate them as the flow does, and then again."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from mnist import embedded_mnist
from shards import accepted

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Print the seconds of each as JSON, imports left out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where to stage; nothing is there yet")
    options = parser.parse_args()
    shards = sorted(options.shards.glob("*.parquet"))

    def read() -> None:
        for shard in shards:
            pq.read_table(shard)

    def validate() -> None:
        accepted(options.shards, options.work)

    embedded_mnist()  # imports what the others need
    measured = {
        "shards": len(shards),
        "source_bytes": sum(shard.stat().st_size for shard in shards),
        "read_seconds": _seconds(read),
        "first_seconds": _seconds(validate),
        "again_seconds": _seconds(validate),
    }
    print(json.dumps(measured))


def _seconds(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
