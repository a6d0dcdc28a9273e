"""The Ray cluster that a run is to compute on: what keeps it from that is told before anything starts."""

import importlib.util
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from schemas.compute import LOCAL, Compute
from schemas.errors import InputError, UnavailableError
from tasks.orchestration import ray_cluster
from tasks.orchestration.ray_cluster import check_engine, cluster


@pytest.fixture
def served(monkeypatch):
    """Name a Prefect server, whether it runs or not."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        yield


def test_this_process_needs_nothing():
    check_engine(LOCAL)
    with cluster(LOCAL):
        pass


@pytest.mark.parametrize(
    ("compute", "told"),
    [
        (Compute(workers=2), "--workers needs --engine ray"),
        (Compute(ray_address="auto"), "--ray-address needs --engine ray"),
        (Compute(engine="ray", ray_address="ray://head:10001"), "host:port or auto"),
    ],
)
def test_what_contradicts_itself_is_refused(served, compute, told):
    with pytest.raises(InputError, match=told):
        check_engine(compute)


def test_without_the_extra_it_is_told_what_to_install(served, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "ray" in name else name)
    with pytest.raises(InputError, match=r"pip install --require-hashes --requirement requirements-ray\.txt"):
        check_engine(Compute(engine="ray"))


def test_without_a_server_that_runs_it_is_told_how_to_have_one():
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(InputError, match="PREFECT_API_URL"):
        check_engine(Compute(engine="ray"))


def test_an_address_where_nobody_listens_may_be_tried_again(served):
    compute = Compute(engine="ray", ray_address="127.0.0.1:1")
    check_engine(compute)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1: no Ray cluster answers there"), cluster(compute):
        pass


def test_a_server_that_answers_otherwise_is_told_from_ray(served):
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{other.server_port}"
        with (
            pytest.raises(UnavailableError, match=rf"--ray-address {address}: no Ray cluster answers there \(\S"),
            cluster(Compute(engine="ray", ray_address=address)),
        ):
            pass
        other.shutdown()


def test_a_server_that_never_answers_is_told_from_ray(served, monkeypatch):
    """It takes the connection, no more."""
    monkeypatch.setattr(ray_cluster, "ASKING_SECONDS", 1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        told = rf"--ray-address {address}: no Ray cluster answers there \(what listens there isn't Ray\)"
        with pytest.raises(UnavailableError, match=told), cluster(Compute(engine="ray", ray_address=address)):
            pass
