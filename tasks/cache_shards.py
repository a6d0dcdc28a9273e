"""Cache shards: Prefect tasks read them, check their rows and write the valid ones to the cache.

The tasks run on the flow's task runner or, with `--engine ray`, on free CPUs of the Ray cluster.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING

from prefect import Flow, task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, TaskRunContext

from schemas.compute import Compute
from tasks.sharding.memory import WORKERS

if TYPE_CHECKING:
    from tasks.sharding.shard_cache import CachedShard, ShardJob


LOCAL_TASKS, RAY_TASKS = 16 * WORKERS, 128
"""Tasks for all shards, at most: one takes Prefect about 60 ms, but many keep all processors busy to the end."""


@task(task_run_name="cache {name}", cache_policy=NO_CACHE)
def cache_group(name: str, jobs: Sequence[ShardJob]) -> list[CachedShard]:  # noqa: ARG001, of the task run
    """Cache shards, one after the other; raise StoreError if the cache can't be written."""
    from tasks.sharding import shard_cache

    return list(map(shard_cache.cache_shard, jobs))


def cache_shards(jobs: Sequence[ShardJob], compute: Compute) -> list[CachedShard]:
    """Cache shards; return them in the order of the jobs."""
    from tasks.sharding import shard_cache

    shard_cache.sweep(jobs[0].storage)
    if compute.engine == "local":
        groups = _group(jobs, LOCAL_TASKS)
        return list(chain(*cache_group.map(list(map(_name, groups)), groups).result()))
    return _cache_on_ray([job.absolute() for job in jobs])


def _group(jobs: Sequence[ShardJob], max_tasks: int) -> list[Sequence[ShardJob]]:
    """Divide the shards among tasks; up to `max_tasks` shards have a task each."""
    size = math.ceil(len(jobs) / max_tasks)
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def _name(jobs: Sequence[ShardJob]) -> str:
    more = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
    return f"{jobs[0].shard.item}{more}"


def _cache_on_ray(jobs: Sequence[ShardJob]) -> list[CachedShard]:
    """Cache shards on the Ray cluster that the flow has joined."""
    from prefect_ray import RayTaskRunner

    groups = _group(jobs, RAY_TASKS)
    with _picklable_contexts(), RayTaskRunner() as runner:
        return list(chain(*runner.map(cache_group, {"name": list(map(_name, groups)), "jobs": groups}).result()))


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
            stack.enter_context(task_run.model_copy(update={"task": cache_group, "parameters": {}}))
        yield


def _placeholder_flow() -> None:
    """Replace the flow's function, which the tasks on Ray never call."""
