"""Serve the champion over HTTP, with a page to draw digits on, until Ctrl-C; follow promotions.

`make serve` runs it; for flags: .venv/bin/python deployment/serve.py --help
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from artifacts.store.store import Store  # noqa: E402
from artifacts.uri import local_path  # noqa: E402
from schemas.errors import InputError  # noqa: E402
from tasks.inbox.folder import Inbox  # noqa: E402

POLL_SECONDS = 2.0
"""Time between two looks at the store for another champion."""
MAX_CONNECTIONS = 500
TOKEN = "DIGITS_TOKEN"  # noqa: S105, the name of an environment variable

command = App(name="python deployment/serve.py", version_flags=(), exit_on_error=False, print_error=False)


@command.default
def serve(  # noqa: PLR0913, each parameter is a flag
    *,
    store: str = "store",
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(env_var="PORT")] = 8000,
    inbox: Path | None = None,
    review: Annotated[bool, Parameter(negative=())] = False,
    max_picture_pixels: int = 24_000_000,
) -> None:
    """Serve the champion over HTTP, with a page to draw digits on.

    If the environment variable DIGITS_TOKEN is set, requests need it: `Authorization: Bearer …`.

    Args:
        store: Folder of the versions, or an object store's address.
        host: Address to listen on; 0.0.0.0 for all, so that other machines can use the service.
        port: Port to listen on.
        inbox: Folder that corrections are put into; without it, none are taken.
        review: Add images that a person should look at to the store's review queue.
        max_picture_pixels: Maximum number of pixels of a picture.
    """
    versions = Store(store)
    check(versions, inbox, review=review)
    with listen(host, port) as listener:
        print("importing libraries, which takes some seconds", file=sys.stderr, flush=True)
        import uvicorn  # noqa: PLC0415

        from tasks.serving.app import Settings, create_app  # noqa: PLC0415
        from tasks.serving.bodies import Limits  # noqa: PLC0415
        from tasks.serving.champion import Champion  # noqa: PLC0415
        from tasks.serving.review import ReviewCollector  # noqa: PLC0415

        champion = Champion(versions)
        collector, token = ReviewCollector(versions) if review else None, os.environ.get(TOKEN, "")
        settings = Settings(allowed_hosts(host), inbox, token, Limits(picture_pixels=max_picture_pixels), collector)
        Thread(target=champion.follow, args=(POLL_SECONDS, Event()), daemon=True).start()
        print(
            f"version {champion.current.predictor.version} of {store}: http://{host}:{port}, until Ctrl-C", flush=True
        )
        if "*" in settings.hosts and not settings.token:
            print(f"anybody who reaches this machine can use it; set {TOKEN} to ask for a token", file=sys.stderr)
        config = uvicorn.Config(
            create_app(champion, settings), log_level="warning", server_header=False, limit_concurrency=MAX_CONNECTIONS
        )
        uvicorn.Server(config).run([listener])


def check(store: Store, inbox: Path | None, *, review: bool) -> None:
    """Raise InputError for a store or an inbox that can't be used."""
    if store.champion() is None:
        raise InputError(f"{store.uri}: there is no champion to serve; train a version, or promote one")
    if review:
        store.check_writable()
    if inbox is not None:
        Inbox(inbox).check(local_path(store.uri))


def listen(host: str, port: int) -> socket.socket:
    """Open the service's socket before the slow imports; raise InputError if that can't be done."""
    try:
        listener = socket.create_server((host, port), backlog=MAX_CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = str(error.strerror).partition(" (")[0] if isinstance(error, OSError) else error
        raise InputError(f"{host}:{port} can't be listened on ({reason}); choose another --port or --host") from error
    # asyncio sets it only where a socket's protocol was named; without it, an answer may wait 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def allowed_hosts(host: str) -> tuple[str, ...]:
    """Return the names by which browsers may address the service: on loopback, a page of another name may not."""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    return (host, "127.0.0.1", "localhost") if is_local else ("*",)


if __name__ == "__main__":
    try:
        command()
    except (CycloptsError, InputError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, InputError) else 2)
    except KeyboardInterrupt:
        sys.exit(130)
