"""The search space: the fields of the recipe that have a range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annotated_types import Ge, Le
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from schemas.recipe import Recipe
from schemas.tuning import Range

DIGITS = 3
"""Significant digits of a number that is tried: nobody wants to read more in a recipe file."""


def search_space(start: Recipe) -> dict[str, BaseDistribution]:
    """Return the distribution of each field that is tuned; the starting recipe's value is always part of it."""
    return {name: _distribution(name, ends, getattr(start, name)) for name, ends in ranges().items()}


def ranges() -> dict[str, Range]:
    """Return the range of each field that has one."""
    details = ((name, detail) for name, field in Recipe.model_fields.items() for detail in field.metadata)
    return {name: detail for name, detail in details if isinstance(detail, Range)}


def to_recipe(start: Recipe, parameters: Mapping[str, Any]) -> Recipe:
    """Return the starting recipe with the parameters of a trial."""
    changed = {name: value for name, value in parameters.items() if value != getattr(start, name)}
    rounded = {name: float(f"{v:.{DIGITS}g}") if isinstance(v, float) else v for name, v in changed.items()}
    return Recipe.model_validate(start.model_dump() | rounded)


def _distribution(name: str, ends: Range, start: float) -> BaseDistribution:
    """Return a field's distribution, within the recipe's bounds; multiples of a value are on a logarithmic scale."""
    low, high = ((end * start if ends.is_factor else end) for end in (ends.low, ends.high))
    for bound in Recipe.model_fields[name].metadata:
        low = max(low, float(bound.ge)) if isinstance(bound, Ge) else low  # type: ignore[arg-type]
        high = min(high, float(bound.le)) if isinstance(bound, Le) else high  # type: ignore[arg-type]
    low, high = min(low, start), max(high, start)
    if Recipe.model_fields[name].annotation is int:
        return IntDistribution(round(low), round(high), log=ends.is_factor)
    return FloatDistribution(low, high, log=ends.is_factor)
