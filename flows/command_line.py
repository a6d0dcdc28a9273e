"""Run a flow as a script: flags from its signature, one-line errors, exit codes, a temporary Prefect server."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import Any, NoReturn
from uuid import UUID

import httpx
from cyclopts import App, ArgumentCollection, CycloptsError, Parameter, Token, UnusedCliTokensError, convert
from prefect import Flow, get_client, tags
from prefect.client.base import ServerType
from prefect.context import TagsContext
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_UI_URL,
    temporary_settings,
)
from prefect.utilities.callables import parameter_docstrings
from pydantic import ValidationError

from artifacts.files import PROBE_BYTES
from flows import temporary_server
from flows.script import INTERRUPTED, exit_at_once, finish_imports
from schemas.errors import FlagError, InputError, TrainingError, UnavailableError, first_line
from schemas.text import printable

BAD_INPUT, BAD_FLAGS, TERMINATED = 1, 2, 143
SIGTERM_SECONDS = 45
"""Time that a run has to end after SIGTERM."""


def _split_commas(hint: type, tokens: Sequence[Token]) -> Any:  # noqa: ANN401, of that type
    return convert(hint, [token.evolve(value=part) for token in tokens for part in token.value.split(",")])


class _App(App):
    """An app that takes help texts from the flow's docstring, not from its models' source, whose fields have their own.

    Cyclopts would parse the source of Pydantic's base class for each model, in 0.15 s for `train`.
    """

    def assemble_argument_collection(
        self, *, default_parameter: Parameter | None = None, parse_docstring: bool = False
    ) -> ArgumentCollection:
        arguments = super().assemble_argument_collection(default_parameter=default_parameter)
        if parse_docstring:
            texts = parameter_docstrings(self.help)
            for argument in arguments:
                if not argument.keys:  # a parameter of the flow
                    text = Parameter(help=texts.get(argument.field_info.name))
                    argument.parameter = Parameter.combine(argument.parameter, text)
        return arguments


COMMAS = Parameter(converter=_split_commas)
"""For a parameter with several values, which may also be given as one: `--export onnx,litert`."""


def run(
    flow: Flow[..., Any],
    check: Callable[..., object],
    summary: Callable[[Any], str],
    *,
    preload: Callable[[], None] = lambda: None,
    interrupted: str = "interrupted",
) -> NoReturn:
    """Run the flow with the command line's flags, print the summary of its result, and exit.

    Exit code 1 means bad input or a failed training, 2 bad flags, 130 Ctrl-C, and 143 SIGTERM. `check` raises
    InputError for bad parameters before a server starts; `preload` imports heavy libraries while it starts. Without
    this wait, tasks import what they need.
    """
    try:
        parameters = parse(flow)
        check(**parameters)
        _check_server()
        signal.signal(signal.SIGTERM, lambda _number, _frame: _terminate(interrupted))
        _limit_termination(interrupted)
        settings = _start_server(preload, interrupted)
        with temporary_settings(settings), tags("digits"):
            result = _without_task_tags(flow)(**parameters)
    except CycloptsError as error:
        fail(BAD_FLAGS, _flag_error(error))
    except FlagError as error:
        fail(BAD_FLAGS, str(error))
    except (InputError, TrainingError) as error:
        fail(BAD_INPUT, str(error))
    except MemoryError:
        fail(BAD_INPUT, f"out of memory: {interrupted}")
    except KeyboardInterrupt:
        fail(INTERRUPTED, interrupted)
    print("\n".join(map(printable, summary(result).split("\n"))))
    sys.exit(0)


def parse(flow: Flow[..., Any]) -> dict[str, Any]:
    """Return the flow's parameters, defaults included; for `--help`, print it and exit."""
    function, bound, _ = command(flow).parse_args(sys.argv[1:])
    if function is not flow.fn:  # cyclopts' help command
        function(*bound.args, **bound.kwargs)
        sys.exit(0)
    bound.apply_defaults()
    return dict(bound.arguments)


def command(flow: Flow[..., Any]) -> App:
    """Return the flow's command, whose flags are the flow's parameters and the fields of its models."""
    app = _App(
        name=f"python flows/{Path(inspect.getfile(flow.fn)).name}",
        help=inspect.getdoc(flow.fn),
        help_format="plaintext",
        version_flags=(),
        default_parameter=Parameter(negative=(), show_default=_format_default),
        exit_on_error=False,
        print_error=False,
    )
    app.default(flow.fn)
    app["--help"].show = False
    return app


def fail(code: int, message: str) -> NoReturn:
    """Exit with the message as one line on standard error."""
    print(f"error: {printable(' '.join(message.split()))}", file=sys.stderr)
    sys.exit(code)


def _terminate(message: str) -> NoReturn:
    """Exit after SIGTERM; another one must not interrupt the exit handlers, with a traceback."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    fail(TERMINATED, message)


def artifact_page(artifact: UUID | None) -> str:
    """Return the address of an artifact in the Prefect UI; without a server, also how to start one."""
    page = f"artifacts/artifact/{artifact}"
    if PREFECT_API_URL.value():
        return f"{_settings()[PREFECT_UI_URL]}/{page}"
    return f"http://127.0.0.1:4200/v2/{page}, while `make up` runs"


def _settings() -> dict[Any, object]:
    """Return the settings of a run, or of a page's address, which follow PREFECT_API_URL."""
    url = PREFECT_API_URL.value() or None  # an empty variable counts as none
    # Without /v2, links would lead to the older UI. Prefect Cloud's address ends differently.
    ui = f"{url.removesuffix('/api')}/v2" if url and url.endswith("/api") else PREFECT_UI_URL.value()
    return {
        PREFECT_CLIENT_MAX_RETRIES: 7,  # exponential backoff: four minutes for a server that restarts
        PREFECT_API_URL: url,
        PREFECT_UI_URL: ui,
    }


def _without_task_tags(flow: Flow[..., Any]) -> Flow[..., Any]:
    """Return a flow whose runs, but not their tasks, get the tags of the surrounding `tags` block.

    For a task with tags, Prefect requests concurrency slots from the server: two seconds per try if it is busy.
    """

    @wraps(flow.fn)
    def function(*arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401, the flow's own types
        with TagsContext(current_tags=set()):  # `tags()` can only add
            return flow.fn(*arguments, **parameters)

    return Flow(function, name=flow.name, flow_run_name=flow.flow_run_name, task_runner=flow.task_runner)


def _check_server() -> None:
    """Raise InputError for a server that doesn't answer or is too old, or if none can be started."""
    url = PREFECT_API_URL.value()
    if not url:
        _check_prefect_home()
        return
    try:
        with get_client(sync_client=True) as client:
            if fault := client.api_healthcheck():
                raise fault
            if client.server_type is not ServerType.CLOUD:  # which has no such endpoint
                _check_version(client.api_version(), client.client_version(), url)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:  # ValueError: no JSON, as without /api
        raise UnavailableError(f"PREFECT_API_URL={url}: {_server_fault(error)}") from error


def _server_fault(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes.UNAUTHORIZED:
        file = PREFECT_HOME.value() / "make-up-password"
        return f"wrong or no password; set PREFECT_API_AUTH_STRING; that of `make up` is in {file}"
    return (
        f"no Prefect server's API answers there ({first_line(error)}); set it to the address of a running one, "
        "such as http://127.0.0.1:4200/api"
    )


def _check_version(server: str, client: str, url: str) -> None:
    """Raise InputError for a server of an older minor release, which rejects requests of newer clients."""
    server_release, client_release = ([int(part) for part in version.split(".")[:2]] for version in (server, client))
    if server_release < client_release:
        raise InputError(f"PREFECT_API_URL={url}: that server runs Prefect {server}; update it to {client} or newer")


def _check_prefect_home() -> None:
    home: Path = PREFECT_HOME.value()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=home) as file:
            file.write(os.urandom(PROBE_BYTES))  # on a full disk, an empty file can be created
    except OSError as error:
        raise InputError(
            f"PREFECT_HOME={home}: can't be written ({error.strerror}); set it to another folder, or free some space"
        ) from error


def _start_server(preload: Callable[[], None], interrupted: str) -> dict[Any, object]:
    """Start a temporary server unless one is named, and preload meanwhile; return the settings of a run."""
    settings = _settings()
    if not PREFECT_API_URL.value():
        server = temporary_server.start()
        message = "starting a temporary Prefect server and importing libraries, which takes some seconds"
        print(message, file=sys.stderr, flush=True)
        preload()
        temporary_server.await_ready(server)
        temporary_server.exit_with(server, interrupted)
        settings |= {
            PREFECT_API_URL: server.url,
            PREFECT_API_AUTH_STRING: server.password,
            PREFECT_UI_URL: "",  # no page shows a run of a server that ends with it
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # likewise; a run waits up to a second for its last heartbeat
        }
    finish_imports()
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: not hasattr(record, "is_reported"))  # the last line reports these errors
    return settings


def _limit_termination(message: str) -> Thread:
    """Exit some time after SIGTERM, whatever the main thread waits for, such as a server that is gone.

    The interpreter writes a signal's number to the pipe at once, but calls Python's handler only between two
    operations of the main thread, and Prefect's handler before ours.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def wait() -> None:
        while signal.SIGTERM not in os.read(reader, 1):
            pass
        time.sleep(SIGTERM_SECONDS)
        exit_at_once(TERMINATED, message)

    thread = Thread(target=wait, daemon=True)
    thread.start()
    return thread


def _format_default(default: object) -> str | None:
    if default is None or default is False or default in ("", ()):
        return None
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _flag_error(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"unexpected argument {error.unused_tokens[0]}; quote a pattern: 'scans/*.png'"
    reason = error.__cause__
    if not isinstance(reason, ValidationError):
        return str(error)
    return "; ".join(f"{_flag(error, fault['loc'])} {fault['input']}: {fault['msg']}" for fault in reason.errors())


def _flag(error: CycloptsError, location: Sequence[str | int]) -> str:
    """Return the flag of a model's field or, without a location, of the argument."""
    names = [part for part in location if isinstance(part, str)]  # others are positions in a list
    if names or error.argument is None:
        return f"--{'-'.join(names).replace('_', '-')}"
    return error.argument.name
