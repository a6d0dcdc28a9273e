"""Render `results.md` from the measurements and `results.template.md`, and the README's table, which is a part of it.

In the template `{suite case: expression}` is a value; `{measured suite}` says when and where a suite was measured, and
`{minutes group}` how long a group of suites took. A table's row that begins with `{suite}` or `{suite: case, case}` is
repeated for each case, its other cells being expressions. A row with `at most` or `at least` in its second cell and a
value in its third is a goal.

An expression is a metric, or `metric / case`, its ratio to that of another case in the same round, or `metric - case`,
the difference; a case of another suite is `suite.case`. `metric median` has no range, `metric max` is the highest
value, `metric spread` the lowest over the highest. How a metric is written follows from its name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from results import Results
from suites import GROUPS, HERE, SUITES

TEMPLATE, PAGE, README = HERE / "results.template.md", HERE / "results.md", HERE.parent / "README.md"
UNKNOWN = "—"
MEASURED, MINUTES = re.compile(r"\{measured (\w+)\}"), re.compile(r"\{minutes (\w+)\}")
VALUE = re.compile(r"\{(\w+) ([^:{}]+): ([^{}]+)\}")
ROW = re.compile(r"\| \{(\w+)(?:: ([^{}]+))?\} \| (.+) \|")
GOAL = re.compile(r"\| (.+) \| (at most|at least) (\S+) \| \{(\w+) ([^:{}]+): ([^{}]+)\} \|")
BLOCK = re.compile(r"<!-- generated: results -->\n.*?<!-- end -->", re.DOTALL)
FORMATS = {
    "_bytes_per_second": ("{:.1f}", " GB/s", 1e-9),
    "_per_second": ("{:,.0f}", "", 1),
    "_seconds": ("{:.2f}", " s", 1),
    "seconds": ("{:.3f}", " s", 1),
    "_ms": ("{:.1f}", " ms", 1),
    "_us": ("{:.2f}", " µs", 1),
    "_bytes": ("{:,.0f}", " MiB", 2**-20),
    "_flops": ("{:.0f}", " GFLOP/s", 1e-9),
    "_ratio": ("{:.2f}", " ×", 1),
    "accuracy": ("{:.2f}", " %", 100),
    "_share": ("{:.2f}", " %", 100),
    "": ("{:,.0f}", "", 1),
}
"""Digits, unit and factor of a metric, by the end of its name."""
SUMMARIES: dict[str, Callable[[Sequence[float]], float]] = {
    "median": median,
    "max": max,
    "spread": lambda values: min(values) / max(values),
}


class Spread(NamedTuple):
    """A median with its range; of a ratio of times also that of the shortest ones."""

    median: float
    low: float
    high: float
    best: float | None = None


def spread(values: Sequence[float], best: float | None = None) -> Spread:
    return Spread(median(values), min(values), max(values), best)


def render(results: Results) -> str:
    lines = TEMPLATE.read_text().splitlines()
    return "".join(f"{line}\n" for each in lines for line in render_line(results, each))


def write_pages(results: Results) -> None:
    """Write `results.md`, and its summary into the README."""
    page = render(results)
    PAGE.write_text(page)
    README.write_text(fill(README.read_text(), page))


def fill(readme: str, page: str) -> str:
    """Return the README with the summary of the page."""
    summary = BLOCK.findall(page)[0]
    return BLOCK.sub(lambda _: summary, readme)


def render_line(results: Results, line: str) -> list[str]:
    """Return the lines of the page that a line of the template stands for; none if all of its values are unknown."""
    if row := ROW.fullmatch(line):
        suite, cases, columns = row.groups()
        return table_rows(results, suite, cases.split(", ") if cases else None, columns.split(" | "))
    if goal := GOAL.fullmatch(line):
        return [goal_row(results, *goal.groups())]
    line = MEASURED.sub(lambda found: describe(results, found[1]), line)
    line = MINUTES.sub(lambda found: minutes(results, found[1]), line)
    values = [cell(results, *found.groups()) for found in VALUE.finditer(line)]
    if values and all(value == UNKNOWN for value in values):
        return []
    return [VALUE.sub(lambda _: values.pop(0), line)]


def table_rows(results: Results, suite: str, cases: list[str] | None, columns: list[str]) -> list[str]:
    """Return a row for each case of a suite that was measured, those that aren't in `suites.toml` last."""
    known, measured = SUITES[suite].cases, dict.fromkeys(one["case"] for one in results.select(suite))
    rows = []
    for name in dict.fromkeys([*(name for name in known if name in measured), *measured]):
        if cases is None or name in cases:
            title = known[name].title if name in known else name
            rows.append(f"| {title} | {' | '.join(cell(results, suite, name, each) for each in columns)} |")
    return rows


def goal_row(results: Results, *fields: str) -> str:
    """Return a goal's row with the measured value and whether its median meets the bound."""
    text, sense, bound, suite, case, expression = fields
    head = f"| {text} | {sense} {write(float(bound), expression)}"
    values = compute(results, suite, case, expression)
    if values is None:
        return f"{head} | {UNKNOWN} | not measured |"
    is_met = values.median <= float(bound) if sense == "at most" else values.median >= float(bound)
    return f"{head} | {cell(results, suite, case, expression)} | {'met' if is_met else '**missed**'} |"


def compute(results: Results, suite: str, case: str, expression: str) -> Spread | None:
    """Return the median and range of an expression; None where something in it wasn't measured."""
    metric, _, comparison = expression.partition(" ")
    by_round = results.values(suite, case, metric)
    values = [value for found in by_round.values() for value in found]
    if not values or not comparison:
        return spread(values) if values else None
    if comparison in SUMMARIES:
        return spread([SUMMARIES[comparison](values)])
    operator, _, other = comparison.partition(" ")
    other_suite, _, other_case = other.rpartition(".")
    others = results.values(other_suite or suite, other_case, metric)
    pairs = [(median(by_round[number]), median(others[number])) for number in by_round if number in others]
    if not pairs or math.inf in map(median, zip(*pairs, strict=True)):
        return None
    if operator == "-":
        return spread([one - two for one, two in pairs])
    best = min(one for one, _ in pairs) / min(two for _, two in pairs) if metric.endswith("seconds") else None
    return spread([one / two for one, two in pairs if math.inf not in (one, two)], best)


def cell(results: Results, suite: str, case: str, expression: str) -> str:
    """Write the median of an expression and, unless all values are the same, their range."""
    values = compute(results, suite, case, expression)
    if values is None:
        return UNKNOWN
    middle, low, high = (write(value, expression) for value in values[:3])
    best = "" if values.best is None else f"; best {write(values.best, expression).split()[0]}"
    return middle if values.low == values.high else f"{middle} ({low.split()[0]} to {high.split()[0]}{best})"


def write(value: float, expression: str) -> str:
    """Write a value with the unit of its expression."""
    metric = expression.partition(" ")[0]
    metric = "_ratio" if " / " in expression else "_share" if expression.endswith(" spread") else metric
    pattern, unit, factor = next(form for end, form in FORMATS.items() if metric.endswith(end))
    return "never" if math.isinf(value) else pattern.format(factor * value) + unit


def minutes(results: Results, group: str) -> str:
    """Return how long the measurement of a group took."""
    seconds = sum(one.get("script_seconds", 0) for name in GROUPS[group] for one in results.select(name))
    return f"{seconds / 60:.0f} minutes" if seconds else "an unknown time"


def describe(results: Results, suite: str) -> str:
    """Return when, where and how often a suite was measured, and which cases weren't."""
    runs, cases = results.select(suite), SUITES[suite].cases
    if not runs:
        return f"Not measured; `python benchmarks/bench.py --suite {suite}` does it."
    where = "; ".join(dict.fromkeys(f"{one['date']}: {one['machine']}" for one in runs))
    libraries = dict(sorted(pair for one in runs for pair in one.get("libraries", {}).items()))
    versions = "".join(f", {name} {version}" for name, version in libraries.items())
    n_runs = len({one["seed"] for one in runs})
    measured = {one["case"] for one in runs}
    missing = [case.title for name, case in cases.items() if case.run and name not in measured]
    note = f" Not measured: {'; '.join(missing)}." if measured & {*cases} and missing else ""
    return f"Measured on {where}{versions}; {n_runs} {'run' if n_runs == 1 else 'runs'} of each.{note}"
