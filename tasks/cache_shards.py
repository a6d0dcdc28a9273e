"""Cache shards: one Prefect task per shard reads it, checks its rows and writes the valid ones to the cache.

The tasks run on the flow's task runner or, with `--engine ray`, on free CPUs of the Ray cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from prefect import Flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, TaskRunContext

from schemas.compute import Compute

if TYPE_CHECKING:
    from tasks.sharding.shard_cache import CachedShard, ShardJob


@task(task_run_name="cache {job.shard.item}", cache_policy=NO_CACHE)
def cache_shard(job: ShardJob) -> CachedShard:
    """Cache a shard; raise StoreError if the cache can't be written."""
    from tasks.sharding import shard_cache

    return shard_cache.cache_shard(job)


def cache_shards(jobs: Sequence[ShardJob], compute: Compute) -> list[CachedShard]:
    """Cache shards; return them in the order of the jobs."""
    from tasks.sharding import shard_cache

    shard_cache.sweep(jobs[0].storage)
    if compute.engine == "local":
        return cache_shard.map(list(jobs)).result()
    return _cache_on_ray([job.absolute() for job in jobs])


def _cache_on_ray(jobs: Sequence[ShardJob]) -> list[CachedShard]:
    """Cache shards on the Ray cluster that the flow has joined."""
    from prefect_ray import RayTaskRunner

    with _picklable_contexts(), RayTaskRunner() as runner:
        return list(runner.map(cache_shard, {"job": jobs}).result())


@contextmanager
def _picklable_contexts() -> Iterator[None]:
    """Replace the contexts of this flow run and task run by copies without the parts that must not be sent to Ray.

    Prefect pickles both contexts for each task. A deployment's flow is a module loaded from a file, which no other
    process can import; the parameters of the calling task are whole frames.
    """
    with ExitStack() as stack:
        flow_run, task_run = FlowRunContext.get(), TaskRunContext.get()
        if flow_run and flow_run.flow:
            stack.enter_context(flow_run.model_copy(update={"flow": Flow(_placeholder_flow, name=flow_run.flow.name)}))
        if task_run:
            stack.enter_context(task_run.model_copy(update={"task": cache_shard, "parameters": {}}))
        yield


def _placeholder_flow() -> None:
    """Replace the flow's function, which the tasks on Ray never call."""
