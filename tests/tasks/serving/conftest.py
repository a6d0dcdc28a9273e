"""A service on a real socket, with a function in place of a network."""

import contextlib
import dataclasses
import time
from functools import partial
from threading import Thread

import httpx
import pytest
import uvicorn

from tasks.serving.app import Settings, create_app
from tasks.serving.bodies import Limits
from tasks.serving.champion import ServedVersion

LIMITS = Limits(body_mib=1, picture_pixels=1_000_000, images=1000, requests_per_second=10_000)


class FixedChampion:
    """A champion that never changes."""

    problem = ""

    def __init__(self, predictor):
        self.current = ServedVersion(predictor, {"version": predictor.version}, "2026-01-01T00:00:00+00:00")


@contextlib.contextmanager
def served(champion, settings):
    """Run a service; yield a client of it."""
    server = uvicorn.Server(uvicorn.Config(create_app(champion, settings), port=0, log_level="error"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="package")
def champion(predictor):
    return FixedChampion(predictor)


@pytest.fixture(scope="package")
def inbox(tmp_path_factory):
    return tmp_path_factory.mktemp("inbox")


@pytest.fixture(scope="package")
def serve(champion):
    """Return a context manager that runs a service with other settings and yields a client of it."""
    return partial(served, champion)


@pytest.fixture(scope="package")
def client(serve, inbox):
    """Return a client of a service that takes corrections."""
    with serve(Settings(inbox=inbox, limits=LIMITS)) as client:
        yield client


@pytest.fixture
def strict_client(serve):
    """Return a client of a service that asks for a token and allows three requests per second."""
    settings = Settings(token="secret", limits=dataclasses.replace(LIMITS, requests_per_second=3))  # noqa: S106
    with serve(settings) as client:
        yield client
