"""Plot: draw what the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.stage import stage

if TYPE_CHECKING:
    from schemas.results import Evaluation, Trained


@stage
def plot(trained: Trained, evaluation: Evaluation) -> dict[str, bytes]:
    """Give the report's pictures as PNGs by name."""
    from artifacts import figures

    return {
        "confusion_matrix": figures.png(figures.confusion_heatmap(evaluation.confusion_matrix, evaluation.accuracy)),
        "learning_curve": figures.png(figures.learning_curve(trained.history, augmented=trained.recipe.augments)),
        "mistakes": figures.png(figures.mistake_sheet(evaluation.mistakes)),
    }
