"""Render `results.md` from the measurements and `results.template.md`.

In the template `{suite case: expression}` is a value; `{measured suite}` says when and where a suite was measured. A
table's row that begins with `{suite}` or `{suite: case, case}` is repeated for each case, its other cells being
expressions. A row with `at most` or `at least` in its second cell and a value in its third is a goal.

An expression is a metric, or `metric / case`, its ratio to that of another case, or `metric - case`, the difference;
`case|case` is the first one that was measured, `metric max` the highest value. How a metric is written follows from its
name.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from results import Results, Spread
from suites import SUITES, Case

TEMPLATE = Path(__file__).with_name("results.template.md")
PAGE = Path(__file__).with_name("results.md")
UNKNOWN = "—"
MEASURED, VALUE = re.compile(r"\{measured (\w+)\}"), re.compile(r"\{(\w+) ([^:{}]+): ([^{}]+)\}")
ROW = re.compile(r"\| \{(\w+)(?:: ([^{}]+))?\} \| (.+) \|")
GOAL = re.compile(r"\| (.+) \| (at most|at least) (\S+) \| \{(\w+) ([^:{}]+): ([^{}]+)\} \|")
FORMATS = {
    "_per_second": ("{:,.0f}", "", 1),
    "_seconds": ("{:.2f}", " s", 1),
    "seconds": ("{:.3f}", " s", 1),
    "_ms": ("{:.1f}", " ms", 1),
    "_us": ("{:.2f}", " µs", 1),
    "_bytes": ("{:,.0f}", " MiB", 2**-20),
    "_mb": ("{:.2f}", " MB", 1),
    "_flops": ("{:.0f}", " GFLOP/s", 1e-9),
    "_ratio": ("{:.2f}", " ×", 1),
    "accuracy": ("{:.2f}", " %", 100),
    "_share": ("{:.2f}", " %", 100),
    "": ("{:,.0f}", "", 1),
}
"""Digits, unit and factor of a metric, by the end of its name."""


def render(results: Results) -> str:
    """Return the page."""
    lines = TEMPLATE.read_text().splitlines()
    return "".join(f"{line}\n" for each in lines for line in render_line(results, each))


def render_line(results: Results, line: str) -> list[str]:
    """Return the lines of the page that a line of the template stands for."""
    if row := ROW.fullmatch(line):
        suite, cases, columns = row.groups()
        return table_rows(results, suite, cases.split(", ") if cases else None, columns.split(" | "))
    if goal := GOAL.fullmatch(line):
        return [goal_row(results, *goal.groups())]
    line = MEASURED.sub(lambda found: describe(results, found[1]), line)
    return [VALUE.sub(lambda found: cell(results, *found.groups()), line)]


def table_rows(results: Results, suite: str, cases: list[str] | None, columns: list[str]) -> list[str]:
    """Return a row for each case of a suite that was measured, those that aren't in `suites.toml` last."""
    known, measured = SUITES[suite].cases, dict.fromkeys(one["case"] for one in results.select(suite))
    rows = []
    for name in dict.fromkeys([*(name for name in known if name in measured), *measured]):
        if cases is None or name in cases:
            case = known.get(name, Case(name, title=name))
            expressions = [column.replace("reference", case.reference) for column in columns]
            rows.append(f"| {case.title} | {' | '.join(cell(results, suite, name, each) for each in expressions)} |")
    return rows


def goal_row(results: Results, *fields: str) -> str:
    """Return a goal's row with the measured value and whether it meets the bound."""
    text, sense, bound, suite, case, expression = fields
    head = f"| {text} | {sense} {write(float(bound), expression)}"
    values = compute(results, suite, case, expression)
    if values is None:
        return f"{head} | {UNKNOWN} | not measured |"
    is_met = values.median <= float(bound) if sense == "at most" else values.median >= float(bound)
    return f"{head} | {write(values.median, expression)} | {'met' if is_met else '**missed**'} |"


def compute(results: Results, suite: str, case: str, expression: str) -> Spread | None:
    """Return the median and range of an expression; None where something in it wasn't measured."""
    metric, _, comparison = expression.partition(" ")
    values = results.spread(suite, case, metric)
    if values is None or not comparison:
        return values
    if comparison == "max":
        return Spread(values.high, values.high, values.high)
    operator, _, others = comparison.partition(" ")
    other = next(filter(None, (results.spread(suite, name, metric) for name in others.split("|"))), None)
    if other is None or math.inf in (values.median, other.median):
        return None
    middle = values.median / other.median if operator == "/" else values.median - other.median
    return Spread(middle, middle, middle)


def cell(results: Results, suite: str, case: str, expression: str) -> str:
    """Write the median of an expression and, unless all values are the same, their range."""
    values = compute(results, suite, case, expression)
    if values is None:
        return UNKNOWN
    middle, low, high = (write(value, expression) for value in values)
    return middle if values.low == values.high else f"{middle} ({low.split()[0]} to {high.split()[0]})"


def write(value: float, expression: str) -> str:
    """Write a value with the unit of its expression."""
    metric = "_ratio" if " / " in expression else expression.partition(" ")[0]
    pattern, unit, factor = next(form for end, form in FORMATS.items() if metric.endswith(end))
    return "never" if math.isinf(value) else pattern.format(factor * value) + unit


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
