"""Where a run computes: in its own process, or on a Ray cluster."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Compute(BaseModel):
    """Where shards are cached and the network is trained. Results don't depend on it, except for rounding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Literal["local", "ray"] = Field(
        "local", description="Cache shards and train in this process, or as tasks and workers of Ray."
    )
    ray_address: str | None = Field(
        None,
        description="host:port of a Ray cluster's head, or auto; without it, Ray starts on this machine alone.",
    )
    workers: int = Field(1, ge=1, le=1024, description="Ray workers that share each batch of the training.")


LOCAL = Compute()
