"""Thresholds of the alarms about a store."""

from pydantic import BaseModel, ConfigDict, Field


class WatchRules(BaseModel):
    """Thresholds of the alarms that a training emits, checked in `tasks/watching/alarms.py`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_champion_days: float = Field(
        30, gt=0, description="Age of the champion in days above which an alarm is emitted."
    )
    min_free_mib: int = Field(1024, ge=0, description="MiB free on the store's disk below which an alarm is emitted.")


DEFAULT_WATCH = WatchRules()
