"""Where a run computes: in its own process, or on a Ray cluster."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Engine = Literal["local", "ray"]


class Compute(BaseModel):
    """Where shards are cached and the network is trained. Results don't depend on it, except for rounding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: Engine = Field("local", description="Train in this process, or as workers of Ray.")
    ray_address: str = Field(
        "", description="host:port of a Ray cluster's head, or auto; if empty, Ray starts on this machine."
    )
    workers: int = Field(1, ge=1, le=1024, description="Ray workers that share each batch of the training.")


LOCAL = Compute()
