"""Run a flow from the command line: flags from its signature, one plain line for bad input, a quick start."""

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
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import psutil
from cyclopts import App, CycloptsError, Parameter
from prefect import get_client, tags
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
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from prefect.flows import Flow

    from schemas.prediction import Prediction
    from schemas.results import PublishedVersion

BAD_INPUT, BAD_FLAGS, INTERRUPTED, TERMINATED = 1, 2, 130, 143
POLL_SECONDS = 0.5
SIGTERMED = -signal.SIGTERM, 0
"""How a server ends by SIGTERM: by it, or of its own accord once it has put its things in order."""
SETTINGS = {
    # Not left to pyproject.toml, which Prefect reads only where it is the working directory's.
    PREFECT_SERVER_ANALYTICS_ENABLED: False,
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS: 120,
    PREFECT_CLIENT_MAX_RETRIES: 7,  # each after twice the time: four minutes for a server that is started anew
}


def run(  # noqa: PLR0913, what differs between flows
    flow: Flow[..., Any],
    *,
    check: Callable[..., object],
    tell: Callable[[Any], str],
    preload: Callable[[], None] = lambda: None,
    interrupted: str = "interrupted",
    arguments: Sequence[str] | None = None,
) -> NoReturn:
    """Run the flow with the command line's flags and exit.

    0 when it did its work, 1 with one line for bad input or a training that came to nothing, 2 for bad flags, 130 and
    143 when Ctrl-C or SIGTERM ended it. `check` takes the flow's parameters and refuses bad ones before a server is
    started; `tell` says what came of it; `preload` imports what the flow needs, while a temporary server starts;
    `interrupted` is what a person reads after Ctrl-C.
    """
    try:
        parameters = parse(flow, arguments)
    except CycloptsError as error:
        fail(BAD_FLAGS, _told(error))
    # Exit as Python does, which ends the temporary server too; the signal's own default would leave it running.
    signal.signal(signal.SIGTERM, lambda _number, _frame: fail(TERMINATED, interrupted))
    try:
        check(**parameters)
        _check_server()
        with temporary_settings(SETTINGS), tags("digits", flow.name), _started(preload, interrupted):
            outcome = _with_plain_steps(flow)(**parameters)
    except (InputError, TrainingError) as error:
        fail(BAD_INPUT, str(error))
    except KeyboardInterrupt:
        fail(INTERRUPTED, interrupted)
    print(tell(outcome))
    sys.exit(0)


def parse(flow: Flow[..., Any], arguments: Sequence[str] | None) -> dict[str, Any]:
    """Turn flags into the flow's parameters, defaults included; print the help and exit if it is asked for."""
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
    if function is not flow.fn:  # the help
        function(*bound.args, **bound.kwargs)
        sys.exit(0)
    bound.apply_defaults()
    return dict(bound.arguments)


def fail(code: int, line: str) -> NoReturn:
    """Exit with one plain line on standard error."""
    print(f"error: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)


def published(outcome: PublishedVersion) -> str:
    """Say what was reached and decided, where the report is, and how to open it in the Prefect UI."""
    return (
        f"\n{outcome.decision_message}\n{outcome.metrics_message}\n"
        f"report:     {outcome.folder}/report.md\n"
        f"Prefect UI: {_page(outcome.artifact)}"
    )


def predicted(prediction: Prediction) -> str:
    """Say what was recognised, and where the predictions and the report are."""
    from artifacts.reports import prediction_report  # noqa: PLC0415, pandas comes with it

    return (
        f"\n{prediction_report.summary(prediction)}\n"
        f"predictions: {prediction.output}\n"
        f"Prefect UI:  {_page(prediction.artifact)}"
    )


def _with_plain_steps(flow: Flow[..., Any]) -> Flow[..., Any]:
    """Give a flow whose runs have the tags that are set around it, but whose steps have none.

    For each step with a tag Prefect asks the server whether it may begin, and a server that is busy just then has it
    ask again two seconds later.
    """
    plain = flow.with_options()

    @wraps(flow.fn)
    def run(*arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401, as the flow's
        with TagsContext(current_tags=set()):
            return flow.fn(*arguments, **parameters)

    plain.fn = run
    return plain


def _page(artifact: UUID | None) -> str:
    """Tell where an artifact is to be seen."""
    page = f"artifacts/artifact/{artifact}"
    if PREFECT_API_URL.value():
        return f"{PREFECT_UI_URL.value()}/{page}"
    prefect = os.path.relpath(Path(sys.executable).parent / "prefect")
    return f"run `{prefect} server start`, open http://127.0.0.1:4200/{page}"


def _check_server() -> None:
    """Raise UnavailableError unless the Prefect server that a person has named, if there is one, answers."""
    url = PREFECT_API_URL.value()
    if not url:
        return
    try:
        with get_client(sync_client=True) as client:
            if fault := client.api_healthcheck():
                raise fault
            if client.server_type.name != "CLOUD":  # which has no such page
                client.api_version()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # ValueError is no JSON: a page, as without /api
        raise UnavailableError(
            f"PREFECT_API_URL={url}: no Prefect server's API answers there ({first_line(error)}); an address such as "
            "http://127.0.0.1:4200/api of one that runs is needed, and its password, if it has one"
        ) from error


@contextlib.contextmanager
def _started(preload: Callable[[], None], interrupted: str) -> Iterator[None]:
    """Import the heavy libraries while the temporary Prefect server starts, if there is no other; both take seconds.

    Where that one ends inside the `with`, this process does, too.
    """
    waking = Thread(target=copy_context().run, args=(_wake_server,), daemon=True)
    waking.start()
    preload()
    waking.join()
    for handler in logging.getLogger().handlers:
        handler.addFilter(_worth_reading)
    done = Event()
    for server in _temporary_servers():
        Thread(target=_end_with, args=(server, done, interrupted), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _temporary_servers() -> list[psutil.Process]:
    """Find the temporary Prefect server among this process' children."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # ended by now
            if any("uvicorn" in part for part in child.cmdline()):
                found.append(child)
    return found


def _end_with(server: psutil.Process, done: Event, interrupted: str) -> None:
    """End this process when its temporary server has, by a SIGTERM to all, say: Prefect would ask it for minutes.

    What is on disk is whole, as after a kill.
    """
    while not done.wait(POLL_SECONDS):
        with contextlib.suppress(psutil.TimeoutExpired):
            code = server.wait(0)
            signalled = code in SIGTERMED
            told = interrupted if signalled else f"the temporary Prefect server has ended by itself: {interrupted}"
            print(f"error: {told}", file=sys.stderr, flush=True)
            sys.stdout.flush()
            os._exit(TERMINATED if signalled else BAD_INPUT)


def _wake_server() -> None:
    """Start the temporary server, if there is no other, deaf to Ctrl-C: it has to outlive the epoch under way."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # this thread's, and so that of what it starts
    with get_client(sync_client=True):
        pass


def _worth_reading(record: logging.LogRecord) -> bool:
    """Keep off the terminal what the last line says better: tracebacks of bad input, the temporary server's end."""
    known = record.exc_info and isinstance(record.exc_info[1], (InputError, TrainingError))
    return not known and "temporary server" not in str(record.msg)


def _told(error: CycloptsError) -> str:
    """Give the reason of a refused flag in one line, naming the flag."""
    reason = error.__cause__
    if isinstance(reason, ValidationError):
        return "; ".join(f"{_flag(error, fault['loc'])} {fault['input']}: {fault['msg']}" for fault in reason.errors())
    return str(error)


def _flag(error: CycloptsError, place: Sequence[str | int]) -> str:
    """Name the flag: that of a model's field, else the argument's own."""
    if place or error.argument is None:
        return f"--{'-'.join(map(str, place)).replace('_', '-')}"
    return error.argument.name
