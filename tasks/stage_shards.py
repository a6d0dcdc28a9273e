"""Stage shards: each is read, judged and kept on disk by a Prefect task of its own, on the flow's task runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.validation.staging import Job, StagedShard


@task(name="stage_shard", task_run_name="stage {job.shard.item}", cache_policy=NO_CACHE)
def stage_shard(job: Job) -> StagedShard:
    """Stage a shard; raise StoreError when there is no room for it."""
    from tasks.validation import staging

    return staging.stage(job)


def stage_shards(jobs: Sequence[Job]) -> list[StagedShard]:
    """Stage shards beside each other; give what came of them in their order."""
    from tasks.validation import staging

    staging.sweep(jobs[0].folder)
    return stage_shard.map(list(jobs)).result()
