"""The report of a tuning: what the best recipe brings, and how the trials went."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from artifacts.reports import markdown
from artifacts.reports.markdown import Address, Section, code, inert, table
from artifacts.reports.plots import BLUE, GREY, ORANGE
from schemas.recipe import Recipe
from schemas.tuning import Trial, Tuning

MAX_ROWS = 15


def tuning_report(tuning: Tuning, address: Address) -> str:
    """Write the report; `address` returns the address of a plot."""
    title = "Not better than what you have" if tuning.winner is None else "A better recipe"
    return f"# {title}: {inert(tuning.source)}\n\n{markdown.render(SECTIONS, tuning, address)}\n"


def _outcome(tuning: Tuning, _address: Address) -> str:
    text = f"{inert(tuning.summary)}."
    if tuning.test:
        before, after = tuning.test.start, tuning.test.start + tuning.test.gain
        text += (
            f"\n\nTest part, looked at once, mean of {len(tuning.seeds)} seeds: {before:.2%} with the starting recipe, "
            f"{after:.2%} with the best."
        )
        if tuning.test.interval[0] <= 0:
            text += " The interval includes 0: the difference may be luck."
    if tuning.winner:
        text += f"\n\n`--recipe` reads the file {code(tuning.output)}."
    return text


def _recipe(tuning: Tuning, _address: Address) -> str:
    best = tuning.winner or (tuning.confirmed[1][0] if len(tuning.confirmed) > 1 else tuning.start)
    pairs = ((name, getattr(tuning.start, name), getattr(best, name)) for name in Recipe.model_fields)
    rows = [[name.replace("_", " "), str(old), str(new)] for name, old, new in pairs if old != new]
    return table(["field", "starting recipe", "best recipe"], rows)


def _confirmation(tuning: Tuning, _address: Address) -> str:
    names = ["starting recipe", *(f"finalist {number}" for number in range(1, len(tuning.confirmed)))]
    rows = [
        [
            name + (", the best recipe" if recipe == tuning.winner else ""),
            *(f"{accuracy:.2%}" for accuracy in accuracies),
            f"{sum(accuracies) / len(accuracies):.2%}",
        ]
        for name, (recipe, accuracies) in zip(names, tuning.confirmed, strict=True)
    ]
    header = ["accuracy on held-out rows", *(f"seed {seed}" for seed in tuning.seeds), "mean"]
    text = "Each seed draws other held-out rows from the training part. 0 % is a training that failed."
    return f"{text}\n\n{table(header, rows)}"


def _trials(tuning: Tuning, address: Address) -> str:
    states = [trial.state for trial in tuning.trials]
    counts = (
        f"{states.count('complete')} complete, {states.count('pruned')} ended early, {states.count('failed')} failed."
    )
    failed = [[trial.number, trial.fault] for trial in tuning.trials if trial.fault][:MAX_ROWS]
    faults = f"\n\n{table(['failed trial', 'reason'], failed, left=2)}" if failed else ""
    return f"{counts}\n\n![Accuracy of each trial]({address('tuning_history')}){faults}"


def _importance(tuning: Tuning, address: Address) -> str:
    if not tuning.importance:
        return ""
    return (
        "The share of each field in the differences between trials (fANOVA). It says what mattered among the values "
        f"that were tried, and little after few trials.\n\n![Importance of each field]({address('tuning_importance')})"
    )


def _coordinates(tuning: Tuning, address: Address) -> str:
    if not _complete(tuning) or not _tuned_fields(tuning):
        return ""
    return f"A line for each complete trial.\n\n![Values and accuracy of the trials]({address('tuning_coordinates')})"


def history_plot(tuning: Tuning) -> Figure:
    """Draw the accuracy of each complete trial, and the best one so far."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axes = figure.subplots()
    complete = _complete(tuning)
    numbers, accuracies = [t.number for t in complete], [t.accuracy or 0.0 for t in complete]
    best = [max(accuracies[: end + 1]) for end in range(len(accuracies))]
    axes.plot(numbers, accuracies, "o", color=BLUE, label="trial")
    axes.step(numbers, best, where="post", color=ORANGE, label="best so far")
    for state, color in (("pruned", GREY), ("failed", "black")):
        ended = [trial.number for trial in tuning.trials if trial.state == state]
        if ended:  # at the bottom, whatever the accuracies are
            axes.plot(ended, [0.02] * len(ended), "x", color=color, label=state, transform=axes.get_xaxis_transform())
    axes.set(xlabel="trial", ylabel="held-out accuracy", title="Trials")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def importance_plot(tuning: Tuning) -> Figure | None:
    """Draw the importance of each field."""
    if not tuning.importance:
        return None
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    names = list(reversed(tuning.importance))
    axes.barh([name.replace("_", " ") for name in names], [tuning.importance[name] for name in names], color=BLUE)
    axes.set(title="Importance of the fields")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def coordinates_plot(tuning: Tuning) -> Figure | None:
    """Draw each complete trial as a line over its values, each on a scale of its own, coloured by accuracy."""
    complete, names = _complete(tuning), _tuned_fields(tuning)
    if not complete or not names:
        return None
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots()
    accuracies = [trial.accuracy or 0.0 for trial in complete]
    shades = ScalarMappable(Normalize(min(accuracies), max(accuracies)), "viridis")
    columns = [[float(getattr(trial.recipe, name)) for trial in complete] for name in names]
    heights = [[_share(value, column) for value in column] for column in columns]
    for line, accuracy in sorted(zip(zip(*heights, strict=True), accuracies, strict=True), key=lambda pair: pair[1]):
        axes.plot(range(len(names)), line, color=shades.to_rgba(accuracy), alpha=0.8)  # type: ignore[arg-type]
    ends = [f"{name.replace('_', ' ')}\n{min(c):g} to {max(c):g}" for name, c in zip(names, columns, strict=True)]
    axes.set_xticks(range(len(names)), ends, rotation=30, ha="right")
    axes.set(yticks=[], title="Values of the complete trials, lowest at the bottom")
    figure.colorbar(shades, ax=axes, label="held-out accuracy", format=PercentFormatter(1, decimals=1))
    return figure


def _complete(tuning: Tuning) -> Sequence[Trial]:
    return [trial for trial in tuning.trials if trial.accuracy is not None]


def _tuned_fields(tuning: Tuning) -> list[str]:
    """Return the fields whose values differ between trials."""
    fields = list(Recipe.model_fields)
    return [name for name in fields if len({getattr(trial.recipe, name) for trial in tuning.trials}) > 1]


def _share(value: float, column: Sequence[float]) -> float:
    low, high = min(column), max(column)
    return 0.5 if low == high else (value - low) / (high - low)


SECTIONS = (
    Section("", _outcome),
    Section("Recipe", _recipe),
    Section("Confirmation", _confirmation),
    Section("Trials", _trials, {"tuning_history": history_plot}),
    Section("Importance", _importance, {"tuning_importance": importance_plot}),
    Section("Values", _coordinates, {"tuning_coordinates": coordinates_plot}),
)
