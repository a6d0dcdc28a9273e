"""Compare: decide whether the candidate may replace the version in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect import task
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import StoreError
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed

if TYPE_CHECKING:
    from schemas.gate import Decision, GateRules
    from schemas.images import Images
    from schemas.results import Dataset, Evaluation, TrainingResult
    from tasks.scoring.gate import Champion


@task(task_run_name="compare", **RETRIED)
@timed
def compare(  # noqa: PLR0913, what the gate looks at
    trained: TrainingResult, evaluation: Evaluation, dataset: Dataset, store: str, rules: GateRules, force: str | None
) -> Decision:
    """Hold the candidate against the champion on the dataset's test rows; a champion that can't be asked is told of."""
    from tasks.inference import model
    from tasks.scoring import gate

    versions = Store(store)
    number = versions.champion()
    images = dataset.test
    candidate = gate.Candidate(
        right=evaluation.right,
        calibration_error=evaluation.calibration_error,
        model_mib=trained.network.count_params() * 4 / 2**20,
        latency_ms=model.latency_ms(trained.network, images.read(slice(0, 1))),
    )
    champion = None if number is None else _champion(versions, number, images)
    decision = gate.decide(candidate, champion, images.labels, rules, refused_before=versions.refusals(), forced=force)
    verdict = "promote" if decision.promoted else "refuse"
    get_run_logger().info("%s: %s", verdict, decision.reason)
    return decision


def _champion(store: Store, number: int, images: Images) -> Champion:
    """Ask the champion about the same rows."""
    from tasks.inference import model
    from tasks.inference.predictor import predict_in_pieces
    from tasks.scoring.gate import Champion

    try:
        ask = model.load_version(store.verified_dir(number), number)
    except StoreError as error:
        return Champion(number, None, str(error))
    return Champion(number, predict_in_pieces(ask, images).argmax(axis=1) == images.labels)
