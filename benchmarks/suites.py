"""Load the suites and their cases from `suites.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """A script of the benchmark with its flags, `run`, unless another case's script measures it, too."""

    title: str
    run: str = ""


@dataclass(frozen=True)
class Suite:
    """Cases that are compared with each other, and the number of rounds in which they are measured."""

    name: str
    group: str
    rounds: int
    cases: dict[str, Case]


def load_suites() -> dict[str, Suite]:
    suites = {}
    for name, fields in tomllib.loads((HERE / "suites.toml").read_text()).items():
        cases = {case: Case(**values) for case, values in fields.pop("cases").items()}
        suites[name] = Suite(name, cases=cases, **fields)
    return suites


SUITES = load_suites()
GROUPS = {
    group: [name for name, suite in SUITES.items() if suite.group == group] for group in ("standard", "long", "large")
}
