"""Serve the champion over HTTP, with a page to draw digits on, until Ctrl-C; follow promotions.

`make serve` runs it; for flags: .venv/bin/python deployment/serve.py --help
"""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, NoReturn

from cyclopts import App, CycloptsError, Parameter

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from artifacts.store.store import Store  # noqa: E402
from schemas.errors import InputError  # noqa: E402

POLL_SECONDS = 2.0
"""Time between two looks at the store for another champion."""
MAX_CONNECTIONS = 500
TOKEN = "DIGITS_TOKEN"  # noqa: S105, the name of an environment variable

app = App(name="python deployment/serve.py", version_flags=(), exit_on_error=False, print_error=False)


@app.default
def serve(
    *,
    store: str = "store",
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(env_var="PORT")] = 8000,
    inbox: Path | None = None,
    max_picture_pixels: int = 24_000_000,
) -> None:
    """Serve the champion over HTTP, with a page to draw digits on.

    If the environment variable DIGITS_TOKEN is set, requests need it: `Authorization: Bearer …`.

    Args:
        store: Folder of the versions, or an object store's address.
        host: Address to listen on; 0.0.0.0 for all, so that other machines can use the service.
        port: Port to listen on.
        inbox: Folder that corrections are put into; without it, none are taken.
        max_picture_pixels: Maximum number of pixels of a picture.
    """
    versions = Store(store)
    versions.resolve_version()  # before the slow imports
    print("importing libraries, which takes some seconds", file=sys.stderr, flush=True)
    from tasks.inference.start_up import import_tensorflow  # noqa: PLC0415

    import_tensorflow()
    import uvicorn  # noqa: PLC0415

    from tasks.serving.app import Settings, create_app  # noqa: PLC0415
    from tasks.serving.bodies import Limits  # noqa: PLC0415
    from tasks.serving.champion import Champion  # noqa: PLC0415

    champion = Champion(versions)
    limits = Limits(picture_pixels=max_picture_pixels)
    settings = Settings(allowed_hosts(host), inbox, os.environ.get(TOKEN, ""), limits)
    stop = Event()
    Thread(target=champion.follow, args=(POLL_SECONDS, stop), daemon=True).start()
    print(f"version {champion.current.predictor.version} of {store}: http://{host}:{port}, until Ctrl-C", flush=True)
    if "*" in settings.hosts and not settings.token:
        print(f"anybody who reaches this machine can use it; set {TOKEN} to ask for a token", file=sys.stderr)
    uvicorn.run(
        create_app(champion, settings), host=host, port=port, log_level="warning", server_header=False,
        limit_concurrency=MAX_CONNECTIONS,
    )  # fmt: skip
    stop.set()


def allowed_hosts(host: str) -> tuple[str, ...]:
    """Return the names by which browsers may address the service: on loopback, a page of another name may not."""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    return (host, "127.0.0.1", "localhost") if is_local else ("*",)


def fail(code: int, message: str) -> NoReturn:
    """Exit with the message as one line on standard error."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    try:
        app()
    except CycloptsError as error:
        fail(2, str(error))
    except InputError as error:
        fail(1, str(error))
    except KeyboardInterrupt:
        sys.exit(130)
