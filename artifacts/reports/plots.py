"""Plots of the reports: pure functions that return matplotlib figures."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from artifacts.reports.leaderboard import ROLLED_BACK, VersionSummary
from artifacts.reports.markdown import Section
from schemas.digits import PIXEL_COUNT, SIDE
from schemas.gate import Comparison
from schemas.prediction import Example
from schemas.results import Mistake
from schemas.text import printable
from schemas.training import EpochRecord
from schemas.validation import Drift, Part, Validation

if TYPE_CHECKING:  # the history of a store is drawn without pandas
    import pandas as pd

    from schemas.images import Images

DPI = 110
# Okabe and Ito's palette, which is safe for colour-blind readers.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"
COLUMNS, MAX_QUARANTINED = 8, 48
COLUMN_WIDTH, LINE_HEIGHT = SIDE + 3, SIDE + 13
"""Pixels of a picture in a sheet, with the space beside it and for its caption; a picture takes an inch."""

LIGHT_INK = 700
"""Brightness that would be drawn in black where colours lie on the ink: the brightest ink, 255, is a light grey."""
SMOOTHING, TINY = 0.8, 1e-30
"""Pixels over which an overlay is averaged, and a weight that is above none."""


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # characters that the font doesn't have become boxes
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def draw(sections: Iterable[Section], *arguments: object) -> dict[str, bytes]:
    """Draw the plots of a report's sections as PNGs by name; `arguments` are passed to each plot's function."""
    plots = [item for section in sections for item in section.plots.items()]
    return {name: png(figure) for name, plot in plots if (figure := plot(*arguments)) is not None}


def confusion_heatmap(matrix: NDArray[np.int64], accuracy: float) -> Figure:
    """Draw a confusion matrix, rows true, columns predicted.

    The colour is the share of the true class on a logarithmic scale: a confusion of one in a thousand stays visible
    beside the diagonal. Every cell shows its count; empty cells stay blank.
    """
    figure = Figure(figsize=(7.2, 6.2), layout="constrained")
    axes = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    _heatmap(
        axes,
        np.where(matrix > 0, share, np.nan),
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


def _heatmap(axes: Axes, values: NDArray[np.floating], **options: Any) -> None:  # noqa: ANN401, as of seaborn's
    import seaborn as sns  # noqa: PLC0415, takes most of a second, and few plots need it

    sns.heatmap(values, ax=axes, cmap="Blues", **options)


def robustness_heatmap(accuracies: Mapping[str, Mapping[str, float]]) -> Figure | None:
    """Draw the accuracy of each network (row) under each corruption (column)."""
    if not accuracies:
        return None
    values = np.array([list(by_corruption.values()) for by_corruption in accuracies.values()])
    figure = Figure(figsize=(9, 1.5 + 0.4 * len(accuracies)), layout="constrained")
    axes = figure.subplots()
    _heatmap(
        axes,
        values,
        vmin=0,
        vmax=1,
        cbar=False,
        annot=100 * values,
        fmt=".0f",
        xticklabels=list(next(iter(accuracies.values()))),
        yticklabels=list(accuracies),
    )
    axes.set_title("Accuracy by corruption, percent", fontsize=10)
    axes.tick_params(axis="x", rotation=40, length=0)
    axes.tick_params(axis="y", rotation=0, length=0)
    return figure


def learning_curve(history: Sequence[EpochRecord], *, augmented: bool) -> Figure:
    """Draw loss and error rate of each epoch, on the training rows and on the held-out rows."""
    training = "training, augmented" if augmented else "training"
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = [record.epoch for record in history]
    _plot_curves(left, epochs, {training: [r.loss for r in history], "held out": [r.validation_loss for r in history]})
    left.set(title="Loss", ylabel="cross-entropy")
    held_out_errors = [None if r.validation_accuracy is None else 1 - r.validation_accuracy for r in history]
    _plot_curves(right, epochs, {training: [1 - r.accuracy for r in history], "held out": held_out_errors})
    right.set(title="Error rate", ylabel="share of misclassified rows")
    right.yaxis.set_major_formatter(FuncFormatter(_percent))
    right.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _plot_curves(axes: Axes, epochs: list[int], curves: Mapping[str, Sequence[float | None]]) -> None:
    marker = "o" if len(epochs) == 1 else None
    for (label, values), (color, line) in zip(curves.items(), ((BLUE, "--"), (ORANGE, "-")), strict=True):
        if None not in values:
            axes.plot(epochs, values, color=color, linestyle=line, marker=marker, label=label)  # type: ignore[arg-type]
    shown = [value for values in curves.values() for value in values if value is not None]
    axes.set(xlabel="epoch", yscale="log" if 0 < min(shown) < max(shown) else "linear")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, color="#e5e5e5")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def _percent(share: float, _position: int | None = None) -> str:
    return f"{100 * share:g}%"


def mistake_sheet(mistakes: Sequence[Mistake], images: Images, saliency: NDArray[np.float32] | None = None) -> Figure:
    """Draw the most confident mistakes in a dataset's test images, with true label, predicted label and confidence.

    `saliency` says how much each pixel speaks for the predicted digit and against the true one: it is drawn in colour.
    """
    captions = [f"{m.label} predicted as {m.predicted}\n{m.confidence:.1%} confidence" for m in mistakes]
    title = "Most confident mistakes" if mistakes else "No mistakes"
    pictures = _pictures([mistake.row for mistake in mistakes], images)
    if saliency is None or not mistakes:
        return picture_sheet(title, pictures, captions)
    title = f"{title}: orange ink speaks for the predicted digit, blue ink for the true one"
    return picture_sheet(title, pictures, captions, list(map(_overlay, saliency, pictures)))


def _overlay(saliency: NDArray[np.float32], picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the colours of an image's ink, 28 × 28 × 4: the more it matters, the more opaque."""
    smooth = gaussian_filter(saliency, SMOOTHING)
    colours = np.where((smooth > 0)[..., None], to_rgb(ORANGE), to_rgb(BLUE))
    weight = np.sqrt(np.abs(smooth) / max(float(np.abs(smooth).max()), TINY)) * (picture / 255)
    return np.concatenate([colours, weight[..., None]], axis=-1, dtype=np.float32)


def change_sheet(comparison: Comparison | None, images: Images) -> Figure | None:
    """Draw test images that only the candidate gets right, then those that only the champion gets right, if any."""
    if comparison is None:
        return None
    fixed_rows, broken_rows = comparison.fixed_rows, comparison.broken_rows
    rows = [*fixed_rows, *broken_rows]
    changes = ["fixed"] * len(fixed_rows) + ["newly made"] * len(broken_rows)
    captions = [f"{change}\na {images.labels[row]}" for change, row in zip(changes, rows, strict=True)]
    return picture_sheet("Mistakes fixed, and newly made", _pictures(rows, images), captions) if rows else None


def suspect_sheet(suspects: pd.DataFrame, parts: Mapping[Part, Images]) -> Figure | None:
    """Draw images whose labels may be wrong, each with its place, its label and the proposed one; None without any."""
    rows = suspects.to_dict("records")
    captions = [
        f"{row['part']} {_shorten(row['item'], 12)}\nlabel {row['label']}, or {row['proposed']}?" for row in rows
    ]
    pictures = [_pictures([row["row"]], parts[row["part"]])[0] for row in rows]
    return picture_sheet("Labels that may be wrong", pictures, captions) if rows else None


def review_sheet(entries: pd.DataFrame) -> Figure | None:
    """Draw the first images of the review queue, each with its label, if it has one, and the proposed one."""
    rows = entries.to_dict("records")
    captions = [
        f"predicted {row['proposed']}" if row["label"] < 0 else f"label {row['label']}, or {row['proposed']}?"
        for row in rows
    ]
    pictures = [np.frombuffer(row["pixels"], np.uint8).reshape(SIDE, SIDE) for row in rows]
    return picture_sheet("Worth a look", pictures, captions) if rows else None


def _pictures(rows: Sequence[int], images: Images) -> list[NDArray[np.uint8]]:
    return list(images.read(np.array(rows, np.intp)).reshape(-1, SIDE, SIDE))


def history_plot(summaries: Sequence[VersionSummary]) -> Figure:
    """Draw each version's accuracy with its 95 % interval; those promoted are filled, the champion is ringed."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots()
    for summary in summaries:
        low, high = summary.interval
        color = BLUE if summary.promotions else GREY
        axes.plot([summary.version] * 2, [low, high], color=color, linewidth=1)
        fill = color if summary.promotions else "white"
        axes.plot(summary.version, summary.accuracy, "o", color=color, markerfacecolor=fill)
        if summary.is_champion:
            axes.plot(summary.version, summary.accuracy, "o", markersize=14, markerfacecolor="none", color=ORANGE)
        notes = ["champion"] * summary.is_champion + [ROLLED_BACK] * (ROLLED_BACK in summary.promotions)
        text = "\n".join(notes)
        axes.annotate(text, (summary.version, high), (0, 3), textcoords="offset points", ha="center", fontsize=8)
    axes.set(xlabel="version", ylabel="test accuracy")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.2%}"))
    axes.grid(visible=True, axis="y", color="#e5e5e5")
    axes.margins(x=0.08, y=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def example_sheet(title: str, examples: Sequence[Example]) -> Figure | None:
    """Draw images, if any, with name, predicted digit, its confidence, and the second most probable digit."""
    if not examples:
        return None
    captions = [f"{_shorten(e.item, 15)}\n{e.label} ({e.confidence:.0%}) or {e.second}" for e in examples]
    n_abstained = sum(example.abstained for example in examples)
    return picture_sheet(f"{title} ({n_abstained} abstained from)", [example.picture for example in examples], captions)


def _shorten(text: str, length: int) -> str:
    text = printable(text)
    return text if len(text) <= length else f"…{text[1 - length :]}"


def confidence_histogram(confidences: NDArray[np.int64], threshold: float | None) -> Figure:
    """Draw the counts of images by confidence, in equal bins from 0 to 1."""
    figure = Figure(figsize=(9, 2.6), layout="constrained")
    axes = figure.subplots()
    edges = np.linspace(0, 1, len(confidences) + 1)
    axes.stairs(confidences, edges, fill=True, color=BLUE)
    axes.set(xlabel="confidence", ylabel="images", xlim=(0, 1), yscale="symlog", ylim=(0, None))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    if threshold is not None:
        axes.axvline(threshold, color=ORANGE, linestyle="--", label=f"abstains below {threshold:.4f}")
        axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def picture_sheet(
    title: str,
    pictures: Sequence[NDArray[np.generic]],
    captions: Sequence[str],
    overlays: Sequence[NDArray[np.float32]] = (),
) -> Figure:
    """Draw images (28 × 28, 0 to 255) as dark ink on white, each with a caption of up to two lines.

    With `overlays` (28 × 28 × 4, colour and opacity), the ink is light, so that their colours show.
    """
    n_lines = max(1, -(-len(pictures) // COLUMNS))
    # One image and one axes with texts are drawn three times faster than an axes for each picture.
    mosaic = np.zeros((n_lines * LINE_HEIGHT, COLUMNS * COLUMN_WIDTH), np.float32)
    colours = np.zeros((*mosaic.shape, 4), np.float32)
    height = 0.35 + len(mosaic) / SIDE
    figure = Figure(figsize=(9, height))
    figure.suptitle(title, fontsize=12, y=1 - 0.08 / height, va="top")
    axes = figure.add_axes((0.015, (0.35 - 0.75) / height, mosaic.shape[1] / SIDE / 9, len(mosaic) / SIDE / height))
    axes.axis("off")
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        top, left = LINE_HEIGHT * (number // COLUMNS), COLUMN_WIDTH * (number % COLUMNS)
        mosaic[top : top + SIDE, left : left + SIDE] = picture
        if overlays:
            colours[top : top + SIDE, left : left + SIDE] = overlays[number]
        # A file name may contain $.
        axes.text(left + SIDE / 2, top - 3, caption, fontsize=8, ha="center", parse_math=False)
    extent = (0, mosaic.shape[1], len(mosaic), 0)
    axes.imshow(mosaic, cmap="gray_r", vmin=0, vmax=LIGHT_INK if overlays else 255, extent=extent)
    if overlays:
        axes.imshow(colours, extent=extent)
    return figure


def quarantine_sheet(validation: Validation) -> Figure:
    """Draw up to 48 quarantined rows, each with its part, item, label and reasons."""
    first, n_rows = validation.quarantined.iloc[:MAX_QUARANTINED], sum(validation.n_quarantined.values())
    pixels = np.nan_to_num(first.iloc[:, -PIXEL_COUNT:].to_numpy(np.float64), nan=0, posinf=255, neginf=0)
    captions = [
        f"{part} {_shorten(item, 9)}, {'no label' if np.isnan(label) else f'label {label:g}'}\n{_shorten(reasons, 22)}"
        for part, item, reasons, label in first[["part", "item", "reasons", "label"]].to_numpy()
    ]
    title = f"the first {MAX_QUARANTINED} of {n_rows:,}" if n_rows > MAX_QUARANTINED else f"{n_rows:,}"
    return picture_sheet(f"Quarantined rows: {title}", list(np.clip(pixels, 0, 255).reshape(-1, SIDE, SIDE)), captions)


def data_sheet(
    means: NDArray[np.float32] | None, reference_means: NDArray[np.float32], drifts: Sequence[Drift]
) -> Figure:
    """Draw each class' mean image, in this data and in the reference, above a bar chart of the drift."""
    height = 2.4 + 0.32 * len(drifts)
    figure = Figure(figsize=(9, height))
    # One strip of ten images is drawn ten times faster than ten images.
    strips = {"reference": reference_means} if means is None else {"this data": means, "reference": reference_means}
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
        axes.set_xlabel("drift divided by its threshold", fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
