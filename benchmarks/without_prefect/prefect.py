"""Stands in for Prefect, so that a flow runs as a plain script: what orchestration adds is beside this.

`PYTHONPATH=benchmarks/without_prefect python flows/train_flow.py` is the same program, line by line, without a server,
states, events or artifacts. Every module of Prefect's that the project imports is this one.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

for _name in (
    "artifacts",
    "context",
    "cache_policies",
    "events",
    "exceptions",
    "flows",
    "logging",
    "runtime",
    "settings",
    "states",
    "task_runners",
):
    sys.modules[f"prefect.{_name}"] = sys.modules[__name__]

logging.basicConfig(format="%(asctime)s | %(levelname)s | %(message)s", level=logging.INFO)

NO_CACHE = None
PREFECT_API_URL = PREFECT_UI_URL = SimpleNamespace(value=lambda: "")
PREFECT_SERVER_ANALYTICS_ENABLED, PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS = "analytics", "timeout"
PREFECT_CLIENT_MAX_RETRIES = "retries"
flow_run = SimpleNamespace(get_name=lambda: "without Prefect", get_id=lambda: "")


class PrefectException(Exception):  # noqa: N818, Prefect's name
    """Never raised here."""


class TaskRunContext:
    """Only named where Ray computes, which asks for a server."""


FlowRunContext = TaskRunContext


def TagsContext(**_tags: object) -> contextlib.AbstractContextManager[None]:  # noqa: N802, Prefect's name
    """Tag nothing."""
    return contextlib.nullcontext()


class State:
    """Only named in annotations."""

    def __class_getitem__(cls, _kind: object) -> type[State]:
        """Take any kind."""
        return cls


def ThreadPoolTaskRunner(**_options: object) -> None:  # noqa: N802, Prefect's name
    """Run nothing beside anything."""


def task(**_options: object) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Leave a function as it is."""
    return lambda function: function


def flow(*, name: str, **_options: object) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Leave a function as it is, but for its name and `fn`, which is the function itself."""

    def named(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, whatever the flow takes and gives
            return function(*args, **kwargs)

        run.fn, run.name = function, name  # type: ignore[attr-defined]
        run.with_options = lambda: run  # type: ignore[attr-defined]
        return run

    return named


def Completed(*, data: object, **_others: object) -> object:  # noqa: N802, Prefect's name
    """Give what a state would hold."""
    return data


def get_run_logger() -> logging.Logger:
    """Give a logger that writes to standard error, as Prefect's does."""
    return logging.getLogger("flow")


@contextlib.contextmanager
def get_client(*, sync_client: bool) -> Iterator[None]:  # noqa: ARG001
    """Start nothing."""
    yield


@contextlib.contextmanager
def tags(*_tags: str) -> Iterator[None]:
    """Mark nothing."""
    yield


@contextlib.contextmanager
def temporary_settings(_settings: object) -> Iterator[None]:
    """Set nothing."""
    yield


def _artifact(*_args: object, **_kwargs: object) -> uuid.UUID:
    return uuid.UUID(int=0)


create_markdown_artifact = create_table_artifact = create_progress_artifact = update_progress_artifact = emit_event = (
    _artifact
)
