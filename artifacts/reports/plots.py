"""The plots, as matplotlib figures from pure functions; whoever calls them saves them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from artifacts.reports.leaderboard import ROLLED_BACK
from schemas.digits import SIDE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from artifacts.reports.leaderboard import VersionSummary
    from schemas.gate import ChangedPrediction
    from schemas.prediction import Example, Prediction
    from schemas.results import Drift, EpochRecord, Evaluation, Mistake, TrainingResult

DPI = 110
# Okabe and Ito's colours, told apart with any colour vision.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"
COLUMNS = 8


def png(figure: Figure) -> bytes:
    """Draw a figure as a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def training_plots(
    trained: TrainingResult, evaluation: Evaluation, changes: Sequence[ChangedPrediction]
) -> dict[str, bytes]:
    """Draw what the training report shows, as PNGs by name."""
    compared = {"changes": png(change_sheet(changes))} if changes else {}
    return {
        "confusion_matrix": png(confusion_heatmap(evaluation.confusion_matrix, evaluation.accuracy)),
        "learning_curve": png(learning_curve(trained.history, augmented=trained.recipe.augments)),
        "mistakes": png(mistake_sheet(evaluation.mistakes)),
        **compared,
    }


def prediction_plots(prediction: Prediction) -> dict[str, bytes]:
    """Draw what the prediction report shows, as PNGs by name."""
    drawn = {
        "confidence": confidence_histogram(prediction.confidences, prediction.threshold),
        "data": data_sheet(prediction.class_means, prediction.reference_means, prediction.drifts),
    }
    if prediction.least_sure:
        drawn["least_sure"] = example_sheet("Least sure", prediction.least_sure)
    if prediction.least_alike:
        drawn["least_alike"] = example_sheet("Least like the training images", prediction.least_alike)
    if prediction.score:
        drawn["confusion_matrix"] = confusion_heatmap(prediction.score.confusion_matrix, prediction.score.accuracy)
    return {name: png(figure) for name, figure in drawn.items()}


def confusion_heatmap(matrix: NDArray[np.int64], accuracy: float) -> Figure:
    """Draw a confusion matrix, rows true, columns predicted.

    Colour is the share of the true class on a logarithmic scale, so that confusions of a thousandth still show beside
    a diagonal a hundred times as large; every cell has its count, empty ones stay blank.
    """
    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    sns.heatmap(
        np.where(matrix > 0, share, np.nan),
        ax=axes,
        cmap="Blues",
        norm=LogNorm(vmin=3e-4, vmax=1),
        annot=np.where(matrix > 0, matrix.astype(str), ""),
        fmt="",
        linewidths=0.5,
        linecolor="#d9d9d9",
        square=True,
        cbar_kws={"label": "share of the true class (logarithmic)", "format": FuncFormatter(_percent)},
    )
    axes.set(xlabel="predicted", ylabel="true", title=f"Confusion matrix, accuracy {accuracy:.2%}")
    axes.tick_params(rotation=0, length=0)
    return figure


def learning_curve(history: Sequence[EpochRecord], *, augmented: bool) -> Figure:
    """Draw loss and error of each epoch, of the training rows as they were trained on and of those held out."""
    training = "training, augmented" if augmented else "training"
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [record.epoch for record in history]
    _curve(left, epochs, {training: [r.loss for r in history], "held out": [r.validation_loss for r in history]})
    left.set(title="Loss", ylabel="cross-entropy")
    errors: dict[str, list[float] | list[float | None]] = {
        training: [1 - r.accuracy for r in history],
        "held out": [None if r.validation_accuracy is None else 1 - r.validation_accuracy for r in history],
    }
    _curve(right, epochs, errors)
    right.set(title="Error", ylabel="share recognised wrongly")
    right.yaxis.set_major_formatter(FuncFormatter(_percent))
    right.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _curve(axes: Axes, epochs: list[int], curves: Mapping[str, Sequence[float] | Sequence[float | None]]) -> None:
    marker = "o" if len(epochs) == 1 else None
    for (label, values), style in zip(curves.items(), ((BLUE, "--"), (ORANGE, "-")), strict=True):
        if None not in values:
            color, line = style
            axes.plot(epochs, values, color=color, linestyle=line, marker=marker, label=label)  # type: ignore[arg-type]
    axes.set(xlabel="epoch", yscale="log" if _spans_a_logarithm(curves.values()) else "linear")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _spans_a_logarithm(curves: Iterable[Sequence[float] | Sequence[float | None]]) -> bool:
    values = [value for curve in curves for value in curve if value is not None]
    return 0 < min(values) < max(values)


def _percent(share: float, _position: int | None = None) -> str:
    return f"{100 * share:g}%"


def mistake_sheet(mistakes: Sequence[Mistake]) -> Figure:
    """Draw the most confident mistakes as they look, each with its true label, what was said and how sure."""
    captions = [f"{m.label} taken for {m.predicted}\n{m.confidence:.1%} sure" for m in mistakes]
    title = "Most confident mistakes" if mistakes else "No mistakes"
    return picture_sheet(title, [mistake.picture for mistake in mistakes], captions)


def change_sheet(changes: Sequence[ChangedPrediction]) -> Figure:
    """Draw what the candidate gets right and the champion didn't, then what it newly gets wrong."""
    captions = [f"{'fixed' if change.fixed else 'newly made'}\na {change.label}" for change in changes]
    return picture_sheet("Mistakes fixed, and newly made", [change.picture for change in changes], captions)


def history_plot(summaries: Sequence[VersionSummary]) -> Figure:
    """Draw each version's accuracy with its 95 % interval; those promoted are filled, the champion is ringed."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    for one in summaries:
        low, high = one.interval
        color = BLUE if one.promotions else GREY
        axes.plot([one.version] * 2, [low, high], color=color, linewidth=1)
        axes.plot(one.version, one.accuracy, "o", color=color, markerfacecolor=color if one.promotions else "white")
        if one.champion:
            axes.plot(one.version, one.accuracy, "o", markersize=14, markerfacecolor="none", color=ORANGE)
        notes = ["champion"] * one.champion + [ROLLED_BACK] * (ROLLED_BACK in one.promotions)
        axes.annotate(
            "\n".join(notes), (one.version, high), (0, 3), textcoords="offset points", ha="center", fontsize=8
        )
    axes.set(xlabel="version", ylabel="test accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.2%}"))
    axes.grid(visible=True, axis="y", color="#e5e5e5")
    axes.margins(x=0.08, y=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def example_sheet(title: str, examples: Sequence[Example]) -> Figure:
    """Draw images that were predicted on, each with its name, the two likeliest digits and how sure the first is."""
    captions = [f"{_end(e.item)}\n{e.label} or {e.second}, {e.confidence:.0%} sure" for e in examples]
    abstained = sum(example.abstained for example in examples)
    return picture_sheet(
        f"{title} ({abstained} of them abstained from)", [example.picture for example in examples], captions
    )


def _end(text: str, length: int = 18) -> str:
    return text if len(text) <= length else f"…{text[1 - length :]}"


def confidence_histogram(confidences: NDArray[np.int64], threshold: float | None) -> Figure:
    """Draw how many images were answered with which confidence, counted by equal steps from 0 to 1."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots()
    edges = np.linspace(0, 1, len(confidences) + 1)
    axes.stairs(confidences, edges, fill=True, color=BLUE)
    axes.set(xlabel="confidence", ylabel="images", xlim=(0, 1), yscale="symlog", ylim=(0, None))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    if threshold is not None:
        axes.axvline(threshold, color=ORANGE, linestyle="--", label=f"answers from {threshold:.4f} on")
        axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def picture_sheet(title: str, pictures: Sequence[NDArray[np.generic]], captions: Sequence[str]) -> Figure:
    """Draw pictures (28 × 28, 0 to 255, ink dark on white as on paper), each with a caption of two lines."""
    rows = max(1, -(-len(pictures) // COLUMNS))
    height = 0.35 + 1.45 * rows
    figure = Figure(figsize=(9, height))
    # Laid out by hand: to fit 24 titles automatically takes longer than to draw them.
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=1 - 0.75 / height, wspace=0.1, hspace=0.45)
    figure.suptitle(title, fontsize=12, y=1 - 0.08 / height, va="top")
    cells = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axes, picture, caption in zip(cells, pictures, captions, strict=False):
        axes.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(caption, fontsize=8, parse_math=False)  # names are no formulas
    for axes in figure.axes:
        axes.axis("off")
    return figure


def data_sheet(
    means: NDArray[np.float32] | None, reference_means: NDArray[np.float32], drifts: Sequence[Drift]
) -> Figure:
    """Draw each class' mean image, here and in the reference, above how far the data has drifted."""
    height = 2.4 + 0.32 * len(drifts)
    figure = Figure(figsize=(9, height))
    # Ten images in one strip: drawn as one picture, ten times faster than as ten.
    strips = {"reference": reference_means} if means is None else {"here": means, "reference": reference_means}
    for line, (label, images) in enumerate(strips.items()):
        axes = figure.add_axes((0.12, 1 - (0.95 + 0.9 * line) / height, 0.86, 0.85 / height))
        axes.imshow(np.hstack(list(images.reshape(-1, SIDE, SIDE))), cmap="gray_r", vmin=0, vmax=255, aspect="equal")
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(label, rotation=0, ha="right", va="center")
        axes.spines[:].set_visible(False)
    if drifts:
        axes = figure.add_axes((0.24, 0.5 / height, 0.68, max(0.32 * len(drifts) - 0.1, 0.2) / height))
        shares = [drift.value / drift.bound if drift.bound else float(drift.exceeds_threshold) for drift in drifts]
        axes.barh(range(len(drifts)), shares, color=[ORANGE if drift.exceeds_threshold else BLUE for drift in drifts])
        axes.axvline(1, color="#444444", linestyle="--", linewidth=1)
        axes.set_yticks(range(len(drifts)), [f"{drift.part}, {drift.name}" for drift in drifts])
        axes.invert_yaxis()
        axes.set_xlim(0, max(1.2, 1.1 * max(shares)))
        axes.set_xlabel("drift as a share of its bound", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
