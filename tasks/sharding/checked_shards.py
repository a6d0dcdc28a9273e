"""Combine cached shards into a checked part, equal to that of one frame with all rows."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from schemas.counts import count
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.rules import Rules
from schemas.shards import ShardManifest
from tasks.sharding import shard_cache
from tasks.sharding.images import ShardedImages
from tasks.sharding.memory import check_memory
from tasks.sharding.shard_cache import CachedShard, ShardCache, ShardJob
from tasks.sharding.shard_writer import ROW_ARRAYS
from tasks.validation.check_rows import CheckedPart
from tasks.validation.repairs import BYTES, find_scale

TURN_SECONDS = 0.0005
"""Time for which a thread may keep Python's lock while others wait for it."""


def of_manifest(manifest: ShardManifest, rules: Rules, cache: ShardCache) -> CheckedPart:
    """Check a sharded part; raise InputError, before any shard is read, if by its footers it has too many rows."""
    check_memory(rules.memory, sum(shard.n_rows or 0 for shard in manifest.shards))
    shards, scales = _cache_shards(manifest, rules, cache)
    good = [shard for shard in shards if not shard.fault]
    arrays = [shard.arrays() for shard in good]
    starts = np.cumsum([0, *(shard.n_input for shard in good)])
    return CheckedPart(
        n_input=int(starts[-1]),
        images=ShardedImages(
            [shard.pixels for shard in good],
            _concatenate((each["labels"] for each in arrays), np.uint8),
            np.arange(sum(shard.n_valid for shard in good), dtype=np.uint32),
        ),
        digests=_concatenate((each["digests"].ravel() for each in arrays), np.uint64).reshape(-1, 2),
        positions=_concatenate(
            (start + each["positions"] for each, start in zip(arrays, starts[:-1], strict=True)), np.int64
        ),
        faults=_faults(arrays, starts),
        read_input=partial(_read_input, good, starts, rules),
        scales=scales,
        notes=tuple(
            f"{note} ({count(n_shards, 'shard')})"
            for note, n_shards in Counter(note for shard in good for note in shard.notes).items()
        ),
        bad_shards=tuple(shard.fault for shard in shards if shard.fault),
        n_unreadable=_count_unreadable(shards),
        origins=tuple(zip((shard.shard.item for shard in good), starts[:-1].tolist(), strict=True)),
    )


def _cache_shards(
    manifest: ShardManifest, rules: Rules, cache: ShardCache
) -> tuple[Sequence[CachedShard], Counter[str]]:
    """Cache all shards; return them, and the numbers of their rows by scale.

    Only all rows show the scale. So shards are cached with the scale that the repairs suggest, and once more if that
    was wrong.
    """
    scale = "from 0 to 1" if "scale" in rules.repair else BYTES
    while True:
        with _short_turns():
            shards = cache.run([ShardJob(shard, cache.storage, rules, scale) for shard in manifest.shards])
        pa.default_memory_pool().release_unused()  # training needs the memory
        scales = sum((Counter(shard.scales) for shard in shards), Counter[str]())
        if find_scale(scales) == scale:
            return shards, scales
        scale = find_scale(scales)


@contextmanager
def _short_turns() -> Iterator[None]:
    """Let a thread that computes digests give Python's lock to one that waits after 0.5 ms, not after 5 ms.

    The other thread needs the lock only between calls of Arrow and NumPy, hundreds of times for a batch.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def _faults(arrays: Sequence[dict[str, NDArray[Any]]], starts: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return the positions of the invalid rows in the part, by reason."""
    faults: dict[str, list[NDArray[np.int64]]] = {}
    for each, start in zip(arrays, starts[:-1], strict=True):
        for reason in [name for name in each if name not in ROW_ARRAYS]:
            faults.setdefault(reason, []).append(start + each[reason])
    return {reason: np.concatenate(positions) for reason, positions in faults.items()}


def _count_unreadable(shards: Sequence[CachedShard]) -> int:
    """Count the rows of bad shards; one without a readable footer counts as the mean of the good shards."""
    n_input = [shard.n_input for shard in shards if not shard.fault]
    mean = math.ceil(fmean(n_input)) if n_input else 1
    return sum(mean if shard.shard.n_rows is None else shard.shard.n_rows for shard in shards if shard.fault)


def _concatenate(arrays: Iterable[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype), *arrays])


def _read_input(
    shards: Sequence[CachedShard], starts: NDArray[np.int64], rules: Rules, positions: NDArray[np.int64]
) -> pd.DataFrame:
    """Read input rows, unchanged, by their ascending positions in the part."""
    numbers = np.searchsorted(starts, positions, side="right") - 1
    frames = [
        frame.set_axis([f"{shards[number].shard.item}:{row}" for row in frame.index])
        for number in np.unique(numbers)
        for frame in shard_cache.read_input(shards[number], positions[numbers == number] - starts[number], rules)
        if len(frame)
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=list(LABELLED_COLUMNS))
