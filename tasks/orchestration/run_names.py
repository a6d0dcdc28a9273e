"""Name a flow run after what distinguishes it, such as its recipe and seed, unless a person has named it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import PurePath

from prefect.runtime import flow_run

from artifacts.store.store import Store
from schemas.address import redact
from schemas.errors import InputError
from schemas.text import printable


def namer(describe: Callable[..., str]) -> Callable[[], str]:
    """Return a `flow_run_name` for a flow: `describe` gets the run's parameters; a name that a person typed stays."""

    def name() -> str:
        current: str = flow_run.name or ""
        return printable(describe(**flow_run.parameters) if is_generated(current) else current)

    return name


def is_generated(name: str) -> bool:
    """Check whether Prefect may have made up a name: `quick-fox`, or in a form `Quick-Fox`, `mu-fox-top`."""
    words = name.split("-")
    return not name or (len(words) in {2, 3} and all(word.isalpha() for word in words))


def changes(fields: Mapping[str, object]) -> str:
    """Format the fields that differ from their defaults: `, epochs 3, seed 1`."""
    return "".join(f", {name.replace('_', ' ')} {_format(value)}" for name, value in fields.items())


def source(path: str) -> str:
    """Return the last part of a source's path or address, without its credentials."""
    return PurePath(redact(path)).name or path


def version(number: int, store: str) -> str:
    """Format a version, or the champion for 0: `version 3`."""
    with contextlib.suppress(InputError):  # the flow reports it
        return f"version {Store(store).resolve_version(number)}"
    return f"version {number}" if number else "the champion"


def _format(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
