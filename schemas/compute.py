"""Where a run computes: in its own process, or on a Ray cluster."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Compute(BaseModel):
    """Where shards are staged and the network is trained. What is learned doesn't depend on it, but for rounding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["local", "ray"] = Field(
        "local", description="Stage shards and train in this process, or as tasks and workers of Ray."
    )
    ray_address: str | None = Field(
        None, description="host:port of a Ray cluster's head, or auto; without it Ray is started on this machine alone."
    )
    workers: int = Field(1, ge=1, le=1024, description="Ray workers that share each batch of the training.")


LOCAL = Compute()
