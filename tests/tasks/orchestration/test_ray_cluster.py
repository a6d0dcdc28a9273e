"""Joining a Ray cluster: what prevents it is reported before anything starts."""

import importlib.util
import socket
import sys

import pytest

from schemas.compute import LOCAL, Compute
from schemas.errors import InputError, UnavailableError
from tasks.orchestration import ray_cluster
from tasks.orchestration.ray_cluster import check_engine, check_shared_server, cluster


@pytest.fixture
def prefect_api_url():
    """Set PREFECT_API_URL to an address where no server runs."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}):
        yield


def test_local_engine_needs_no_cluster():
    check_engine(LOCAL)
    with cluster(LOCAL):
        pass


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (Compute(workers=2), "--workers needs --engine ray"),
        (Compute(ray_address="auto"), "--ray-address needs --engine ray"),
        (Compute(engine="ray", ray_address="ray://head:10001"), "host:port or auto"),
    ],
)
def test_contradicting_flags_are_refused(prefect_api_url, compute, message):
    with pytest.raises(InputError, match=message):
        check_engine(compute)


def test_missing_ray_names_the_command_that_installs_it(prefect_api_url, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "ray" in name else name)
    with pytest.raises(InputError, match=r"pip install --require-hashes --requirement requirements-extras\.txt"):
        check_engine(Compute(engine="ray"))


def test_missing_prefect_server_names_prefect_api_url():
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(InputError, match="PREFECT_API_URL"):
        check_shared_server(Compute(engine="ray"))


def test_unreachable_cluster_is_a_transient_error(prefect_api_url):
    compute = Compute(engine="ray", ray_address="127.0.0.1:1")
    check_engine(compute)
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1: no Ray cluster answers there"), cluster(compute):
        pass


@pytest.fixture
def silent_server():
    """Return the address of a server that takes connections and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield "{}:{}".format(*other.getsockname())


def join(address):
    with cluster(Compute(engine="ray", ray_address=address)):
        pass


def test_server_that_never_answers_is_refused(prefect_api_url, silent_server, monkeypatch):
    monkeypatch.setattr(ray_cluster, "HEALTH_CHECK_SECONDS", 1)
    message = rf"--ray-address {silent_server}: no Ray cluster answers there \(the server there isn't Ray\)"
    with pytest.raises(UnavailableError, match=message):
        join(silent_server)


def test_last_line_of_a_failed_health_check_is_the_reason(prefect_api_url, silent_server, monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho Traceback >&2\necho 'RpcError: no such method' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(UnavailableError, match=r"no Ray cluster answers there \(RpcError: no such method\)"):
        join(silent_server)
