"""Stage shards: each is read, judged and kept on disk by a Prefect task of its own, beside each other.

They run on the flow's task runner or, with the engine Ray, wherever its cluster has a free processor.
"""

from __future__ import annotations

import sys
from contextvars import copy_context
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, TaskRunContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.compute import Compute
    from tasks.sharding.shard_cache import CachedShard, Job


@task(name="stage_shard", task_run_name="stage {job.shard.item}", cache_policy=NO_CACHE)
def cache_shard(job: Job) -> CachedShard:
    """Stage a shard; raise StoreError when there is no room for it."""
    from tasks.sharding import shard_cache

    return shard_cache.stage(job)


def cache_shards(jobs: Sequence[Job], compute: Compute) -> list[CachedShard]:
    """Stage shards; give what came of them in their order."""
    from tasks.sharding import shard_cache

    shard_cache.sweep(jobs[0].place)
    if compute.engine == "local":
        return cache_shard.map(list(jobs)).result()
    return copy_context().run(_staged_by_ray, [job.from_anywhere() for job in jobs])


def _staged_by_ray(jobs: Sequence[Job]) -> list[CachedShard]:
    """Stage shards on the Ray cluster that the flow has joined."""
    from prefect_ray import RayTaskRunner
    from ray import cloudpickle

    running = FlowRunContext.get()
    if running and running.flow:
        # It is sent along, and a deployment's is loaded from its file as a module that no other process can import.
        cloudpickle.register_pickle_by_value(sys.modules[running.flow.fn.__module__])
    # The step that asks for it isn't sent along with each shard: its arguments may be whole frames.
    TaskRunContext.__var__.set(None)  # type: ignore[arg-type]  # as where there is none
    with RayTaskRunner() as runner:
        staged: list[CachedShard] = runner.map(cache_shard, {"job": jobs}).result()
        return staged
