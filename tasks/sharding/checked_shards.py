"""Put staged shards together to a judged part, as if all rows had come in one frame."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from schemas.images import ShardedImages
from schemas.pixel_frame import LABELLED_COLUMNS
from tasks.sharding import shard_cache
from tasks.sharding.memory import check_memory
from tasks.sharding.shard_cache import Job, batch_rows
from tasks.validation.check_rows import CheckedPart
from tasks.validation.repairs import is_unit_scale, needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.rules import Rules
    from schemas.shards import ShardManifest
    from tasks.sharding.shard_cache import CachedShard, ShardCache

Number = TypeVar("Number", bound=np.generic)


def of_manifest(manifest: ShardManifest, rules: Rules, where: ShardCache) -> CheckedPart:
    """Judge a part that is shards; raise InputError before any is read if the rows that footers say are too many."""
    check_memory(rules.memory, sum(shard.n_rows or 0 for shard in manifest.shards))
    shards, unit_scale = _staged(manifest, rules, where)
    fit = [shard for shard in shards if not shard.fault]
    starts = np.cumsum([0, *(shard.n_input for shard in fit)])
    faults: dict[str, list[NDArray[np.int64]]] = {}
    for shard, start in zip(fit, starts, strict=False):
        for reason, positions in shard.faults().items():
            faults.setdefault(reason, []).append(start + positions)
    return CheckedPart(
        n_input=int(starts[-1]),
        images=ShardedImages(
            [shard.pixels for shard in fit],
            _joined(fit, "labels", np.uint8),
            np.arange(sum(s.n_valid for s in fit), dtype=np.uint32),
        ),
        digests=_joined(fit, "digests", np.uint64).reshape(-1, 2),
        positions=np.concatenate(
            [
                np.empty(0, np.int64),
                *(start + shard.array("positions") for shard, start in zip(fit, starts, strict=False)),
            ]
        ),
        faults={reason: np.concatenate(found) for reason, found in faults.items()},
        read_input=_Reread(fit, starts, batch_rows(rules.memory)),
        unit_scale=unit_scale,
        bad_shards=tuple(shard.fault for shard in shards if shard.fault),
        n_unreadable=_lost(shards),
    )


def _lost(shards: Sequence[CachedShard]) -> int:
    """Count the rows of shards that can't be used: what a footer says or, where none can be read, as others have."""
    came = [shard.n_input for shard in shards if not shard.fault]
    usual = math.ceil(fmean(came)) if came else 1
    return sum(usual if shard.shard.n_rows is None else shard.shard.n_rows for shard in shards if shard.fault)


def _staged(manifest: ShardManifest, rules: Rules, where: ShardCache) -> tuple[Sequence[CachedShard], bool]:
    """Stage all shards by the scale that they have as a whole.

    What that is only the highest of all pixels tells. So it is guessed from what repairs were asked for, and shards are
    staged once more where the guess was wrong.
    """
    repairs, scaled = rules.repair, False
    while True:
        jobs = [Job(shard, where.place, repairs, scaled, batch_rows(rules.memory)) for shard in manifest.shards]
        shards = where.run(jobs)
        pa.default_memory_pool().release_unused()  # what reading took is the training's now
        right = needed(max(shard.highest for shard in shards), rules.repair)
        unit_scale = is_unit_scale(max(shard.mended for shard in shards))
        if right != repairs:
            repairs = right
        elif unit_scale != scaled:
            scaled = unit_scale
        else:
            return shards, unit_scale


def _joined(shards: Sequence[CachedShard], name: str, kind: type[Number]) -> NDArray[Number]:
    arrays = [shard.array(name).ravel().astype(kind, copy=False) for shard in shards]
    return np.concatenate([np.empty(0, kind), *arrays])


class _Reread:
    """Gives rows as they came, by their positions in the part, from the shards that they are in."""

    def __init__(self, shards: Sequence[CachedShard], starts: NDArray[np.int64], batch: int) -> None:
        self._shards, self._starts, self._batch = shards, starts, batch

    def __call__(self, positions: NDArray[np.int64]) -> pd.DataFrame:
        of_shard = np.searchsorted(self._starts, positions, side="right") - 1
        pieces = [
            frame.set_axis([f"{staged.shard.item}:{row}" for row in frame.index])
            for number, staged in enumerate(self._shards)
            if (of_shard == number).any()
            for frame in shard_cache.as_came(staged, positions[of_shard == number] - self._starts[number], self._batch)
            if len(frame)
        ]
        return pd.concat(pieces) if pieces else pd.DataFrame(columns=list(LABELLED_COLUMNS))
