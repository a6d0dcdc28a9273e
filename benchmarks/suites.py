"""Load the suites and their cases from `suites.toml`."""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """A script of the benchmark with its flags, `run`; the other fields are explained in `suites.toml`."""

    name: str
    title: str
    run: str = ""
    reference: str = ""

    def command(self, python: str, *flags: str) -> list[str]:
        """Return the command that measures the case."""
        script, *own_flags = shlex.split(self.run)
        return [python, str(HERE / script), *flags, *own_flags]


@dataclass(frozen=True)
class Suite:
    """Cases that are compared with each other, and the number of rounds in which they are measured."""

    name: str
    group: str
    rounds: int
    cases: dict[str, Case]


def load_suites() -> dict[str, Suite]:
    """Load all suites by name."""
    suites = {}
    for name, fields in tomllib.loads((HERE / "suites.toml").read_text()).items():
        cases = {case: Case(case, **values) for case, values in fields.pop("cases").items()}
        suites[name] = Suite(name, cases=cases, **fields)
    return suites


SUITES = load_suites()
GROUPS = {
    group: [name for name, suite in SUITES.items() if suite.group == group] for group in ("standard", "long", "large")
}
