"""The search for a better recipe: ranges of its fields, trials, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from schemas.counts import count

if TYPE_CHECKING:
    from uuid import UUID

    from schemas.recipe import Recipe

TrialState = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Range:
    """The values of a recipe's field that are tried; with `is_factor`, multiples of the starting recipe's value.

    A field is tuned if its type is `Annotated[…, Range(…)]`.
    """

    low: float
    high: float
    is_factor: bool = False


@dataclass(frozen=True)
class Trial:
    """A finished trial: its recipe, its accuracy on held-out rows if it wasn't ended early, and why if it failed."""

    number: int
    state: TrialState
    recipe: Recipe
    accuracy: float | None = None
    fault: str = ""


@dataclass(frozen=True)
class Gain:
    """What a recipe brings on the test part, in accuracy: the mean over seeds, with a 95 % interval."""

    n_rows: int
    start: float
    gain: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Tuning:
    """The result of a study.

    `confirmed` has the held-out accuracy of the best recipes for each seed, the starting recipe first. `winner` is None
    if none of them is better. `importance` maps fields to their share in what distinguishes good trials from bad ones.
    """

    source: str
    start: Recipe
    trials: tuple[Trial, ...]
    importance: dict[str, float]
    seeds: tuple[int, ...]
    confirmed: tuple[tuple[Recipe, tuple[float, ...]], ...]
    winner: Recipe | None
    test: Gain | None
    output: str
    artifact: UUID | None = None

    @property
    def outcome(self) -> str:
        """The name of the run's final state in Prefect, which `deployment/automations.yaml` lists."""
        return "NotBetter" if self.winner is None else "Tuned"

    @property
    def held_out_gain(self) -> float:
        """The best recipe's gain in accuracy on held-out rows, on average over the seeds."""
        means = [sum(accuracies) / len(accuracies) for _, accuracies in self.confirmed]
        return max(means[1:], default=means[0]) - means[0]

    @property
    def summary(self) -> str:
        tried = f"{count(len(self.trials), 'trial')} on {self.source}"
        gains = f"{100 * self.held_out_gain:+.2f} points on held-out rows"
        if self.test:
            low, high = (100 * end for end in self.test.interval)
            gains += f", {100 * self.test.gain:+.2f} ({low:+.2f} to {high:+.2f}) on {self.test.n_rows:,} test rows"
        if self.winner is None:
            return f"{tried}: no recipe is better than what you have; the best one: {gains}; nothing was written"
        return f"{tried}: {self.output} has a better recipe: {gains}"
