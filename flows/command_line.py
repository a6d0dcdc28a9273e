"""Run a flow as a script: flags from its signature, one-line errors, exit codes, a temporary Prefect server."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import signal
import sys
from contextvars import copy_context
from functools import wraps
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import httpx
from cyclopts import App, CycloptsError, Parameter
from prefect import Flow, get_client, tags
from prefect.client.base import ServerType
from prefect.context import TagsContext
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS,
    PREFECT_UI_URL,
    temporary_settings,
)
from pydantic import ValidationError

from schemas.errors import InputError, TrainingError, UnavailableError, first_line

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from schemas.prediction import Prediction
    from schemas.results import PublishedVersion

Function = TypeVar("Function", bound="Callable[..., Any]")

BAD_INPUT, BAD_FLAGS, INTERRUPTED, TERMINATED = 1, 2, 130, 143
SERVER_POLL_SECONDS = 0.5
SIGTERM_EXIT_CODES = -signal.SIGTERM, 0
"""Exit codes of a server after SIGTERM: killed by it, or shut down cleanly."""
SETTINGS = {
    # Also in pyproject.toml, but Prefect reads that only in the working directory.
    PREFECT_SERVER_ANALYTICS_ENABLED: False,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120,
    PREFECT_CLIENT_MAX_RETRIES: 7,  # exponential backoff: four minutes for a server that restarts
}


def run(  # noqa: PLR0913, the differences between flows
    flow: Flow[..., Any],
    *,
    check: Callable[..., object],
    summary: Callable[[Any], str],
    preload: Callable[[], None] = lambda: None,
    interrupted: str = "interrupted",
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Run the flow with the command line's flags and exit.

    The exit code is 0 on success, 1 for bad input or a failed training, 2 for bad flags, and 130 or 143 after Ctrl-C or
    SIGTERM.

    Args:
        flow: Its signature defines the flags.
        check: Called with the flow's parameters before a server starts; raises InputError for bad ones.
        summary: Formats the flow's result for the terminal.
        preload: Imports heavy libraries while a temporary server starts.
        interrupted: The message after Ctrl-C or SIGTERM.
        arguments: The command line, sys.argv by default.
    """
    try:
        parameters = parse(flow, arguments)
    except CycloptsError as error:
        fail(BAD_FLAGS, _flag_error(error))
    # SIGTERM's default would end this process without its exit handlers, and leave the temporary server running.
    signal.signal(signal.SIGTERM, lambda _number, _frame: fail(TERMINATED, interrupted))
    try:
        check(**parameters)
        _check_server()
        with temporary_settings(SETTINGS), tags("digits", flow.name), _server(preload, interrupted):
            result = _without_task_tags(flow)(**parameters)
    except (InputError, TrainingError) as error:
        fail(BAD_INPUT, str(error))
    except KeyboardInterrupt:
        fail(INTERRUPTED, interrupted)
    print(summary(result))
    sys.exit(0)


def fill_docstring(**texts: str) -> Callable[[Function], Function]:
    """Fill in a flow's docstring, from which `--help`, the form in the Prefect UI and README.md take their texts."""

    def decorate(function: Function) -> Function:
        function.__doc__ = (function.__doc__ or "").format(**texts)
        return function

    return decorate


def parse(flow: Flow[..., Any], arguments: Sequence[str] | None) -> dict[str, Any]:
    """Return the flow's parameters, defaults included; for `--help`, print it and exit."""
    app = App(
        name=f"python flows/{Path(inspect.getfile(flow.fn)).name}",
        help=inspect.getdoc(flow.fn),
        version_flags=(),
        default_parameter=Parameter(negative=()),
        exit_on_error=False,
        print_error=False,
    )
    app.default(flow.fn)
    function, bound, _ = app.parse_args(arguments)
    if function is not flow.fn:  # the help command
        function(*bound.args, **bound.kwargs)
        sys.exit(0)
    bound.apply_defaults()
    return dict(bound.arguments)


def fail(code: int, message: str) -> NoReturn:
    """Exit with the message as one line on standard error."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def training_summary(published: PublishedVersion) -> str:
    """Format the decision, the metrics, and where to find the report."""
    return (
        f"\n{published.decision_message}\n{published.metrics_message}\n"
        f"report:     {published.folder}/report.md\n"
        f"Prefect UI: {_artifact_page(published.artifact)}"
    )


def prediction_summary(prediction: Prediction) -> str:
    """Format the counts, and where to find the predictions and their report."""
    from artifacts.reports import prediction_report  # noqa: PLC0415, imports pandas

    return (
        f"\n{prediction_report.summary(prediction)}\n"
        f"predictions: {prediction.output}\n"
        f"Prefect UI:  {_artifact_page(prediction.artifact)}"
    )


def _without_task_tags(flow: Flow[..., Any]) -> Flow[..., Any]:
    """Return the flow so that its runs, but not their tasks, have the tags of the `tags` block around it.

    Before a task with tags, Prefect asks the server for concurrency slots; while the server is busy, that takes two
    seconds a try.
    """

    @wraps(flow.fn)
    def function(*arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401, the flow's own types
        with TagsContext(current_tags=set()):  # `tags()` can only add
            return flow.fn(*arguments, **parameters)

    return Flow(function, name=flow.name, flow_run_name=flow.flow_run_name, task_runner=flow.task_runner)


def _artifact_page(artifact: UUID | None) -> str:
    page = f"artifacts/artifact/{artifact}"
    if PREFECT_API_URL.value():
        return f"{PREFECT_UI_URL.value()}/{page}"
    prefect = os.path.relpath(Path(sys.executable).parent / "prefect")
    return f"run `{prefect} server start`, open http://127.0.0.1:4200/{page}"


def _check_server() -> None:
    """Raise UnavailableError if PREFECT_API_URL is set and no Prefect server answers there."""
    url = PREFECT_API_URL.value()
    if not url:
        return
    try:
        with get_client(sync_client=True) as client:
            if fault := client.api_healthcheck():
                raise fault
            if client.server_type is not ServerType.CLOUD:  # it has no such endpoint
                client.api_version()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # ValueError: no JSON, such as without /api
        raise UnavailableError(
            f"PREFECT_API_URL={url}: no Prefect server's API answers there ({first_line(error)}); set it to the "
            "address of a running one, such as http://127.0.0.1:4200/api, with its password, if it has one"
        ) from error


@contextlib.contextmanager
def _server(preload: Callable[[], None], interrupted: str) -> Iterator[None]:
    """Start a temporary Prefect server unless PREFECT_API_URL names one; preload meanwhile, since both take seconds.

    When the temporary server ends before the `with` does, this process ends, too.
    """
    starting = Thread(target=copy_context().run, args=(_start_temporary_server,), daemon=True)
    starting.start()
    preload()
    starting.join()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_not_reported)
    done = Event()
    if server := _temporary_server():
        Thread(target=_exit_with, args=(server, done, interrupted), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        # Prefect would log after our last line that its temporary server ends.
        logging.getLogger("prefect").setLevel(logging.WARNING)


def _start_temporary_server() -> None:
    """Start the temporary server, which ignores Ctrl-C: it has to outlive the epoch that is being trained."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread, inherited by the server
    with get_client(sync_client=True):  # starts it if no other is named
        pass


def _temporary_server() -> subprocess.Popen[bytes] | None:
    """Return the process of Prefect's temporary server, if this process has started one."""
    if PREFECT_API_URL.value():
        return None
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415, takes a second to import

    return SubprocessASGIServer().server_process  # a singleton, which Prefect's clients share


def _exit_with(server: subprocess.Popen[bytes], done: Event, interrupted: str) -> None:
    """Exit when the temporary server ends, such as by a SIGTERM to all: Prefect would retry its requests for minutes.

    Files stay intact, as after a kill.
    """
    while not done.wait(SERVER_POLL_SECONDS):
        code = server.poll()
        if code is not None:
            terminated = code in SIGTERM_EXIT_CODES
            message = interrupted if terminated else f"the temporary Prefect server has ended by itself: {interrupted}"
            print(f"error: {message}", file=sys.stderr, flush=True)
            sys.stdout.flush()
            os._exit(TERMINATED if terminated else BAD_INPUT)


def _is_not_reported(record: logging.LogRecord) -> bool:
    """Filter out tracebacks of errors that the last line reports."""
    return not (record.exc_info and isinstance(record.exc_info[1], (InputError, TrainingError)))


def _flag_error(error: CycloptsError) -> str:
    """Return why a flag was refused, with its name."""
    reason = error.__cause__
    if isinstance(reason, ValidationError):
        return "; ".join(f"{_flag(error, fault['loc'])} {fault['input']}: {fault['msg']}" for fault in reason.errors())
    return str(error)


def _flag(error: CycloptsError, location: Sequence[str | int]) -> str:
    """Return the flag's name: that of a model's field, else the argument's own."""
    if location or error.argument is None:
        return f"--{'-'.join(map(str, location)).replace('_', '-')}"
    return error.argument.name
