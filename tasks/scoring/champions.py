"""Let a candidate, the champion and the best champion so far answer the test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from artifacts.store import version_files
from artifacts.store.records import State
from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.results import Dataset, Evaluation, TrainingResult
from tasks.scoring import gate
from tasks.scoring.gate import Candidate, Champion

if TYPE_CHECKING:
    from tasks.inference.predictor import Predict


def answer(
    trained: TrainingResult, evaluation: Evaluation, dataset: Dataset, store: Store, state: State
) -> tuple[Candidate, Champion | None, Champion | None]:
    """Return the candidate, the champion and the best champion so far with their answers; None if there is none."""
    from tasks.inference.answers import right_answers
    from tasks.inference.predictor import predict_in_pieces, predictor
    from tasks.scoring.corruptions import answer_corrupted

    measurements = gate.measure(trained, evaluation, dataset.test)
    if state.champion is None:
        return Candidate(evaluation.right, measurements, robustness=evaluation.robustness), None, None
    numbers = list(dict.fromkeys((state.champion, state.best_champion or state.champion)))
    loaded = [_load(store, number) for number in numbers]
    predictors = [predict for predict, _, _ in loaded if predict]
    if dataset.n_folds:  # the candidate's answers are out-of-fold
        labels, ours = dataset.test.labels, evaluation.right
        theirs = [predict_in_pieces(predict, dataset.test).argmax(axis=1) == labels for predict in predictors]
    else:
        ours, *theirs = right_answers([predictor(trained.network), *predictors], dataset.test)
    champions = [
        Champion(number, theirs.pop(0) if predict else None, np.isin(dataset.test_digests, digests), fault)
        for number, (predict, digests, fault) in zip(numbers, loaded, strict=True)
    ]
    if evaluation.robustness and champions[0].right is not None:
        champions[0] = champions[0]._replace(robustness=answer_corrupted(predictors[0], dataset.test))
    known = loaded[0][1]  # empty if an earlier release made the version: then no row counts as new
    n_new = int((~np.isin(dataset.train_digests, known)).sum()) if len(known) else 0
    candidate = Candidate(ours, measurements, n_new, len(dataset.train_digests), evaluation.robustness)
    return candidate, champions[0], champions[-1]


def _load(store: Store, version: int) -> tuple[Predict | None, NDArray[np.uint64], str]:
    """Return a version's network, the digests of its training rows, and why it can't be loaded, or ""."""
    from tasks.inference import loader

    try:
        folder = store.verified_dir(version)
        return loader.load_version(folder, version), version_files.read_training_rows(folder), ""
    except StoreError as error:
        return None, np.empty(0, np.uint64), str(error)
