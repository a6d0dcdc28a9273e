"""Open a version: verify it, load its model, make it ready to be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from artifacts.store import Store
from tasks.stage import stage

if TYPE_CHECKING:
    from schemas.prediction import Predictor


@stage(run_name="open version {version}")
def open_version(store: str, version: int) -> Predictor:
    """Give a version that can be asked; raise StoreError when it isn't what it was when it was published."""
    from tasks.training.start_up import import_tensorflow

    import_tensorflow()
    from tasks.prediction import stream

    return stream.predictor(Store(store), version)
