"""The training flow on a Ray cluster with nodes and an object store: it survives the loss of nodes and of itself."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import fsspec
import pytest
from samples import ROOT, clean_environment, write_shards
from serving import descendants, free_port, kill

from artifacts.store.store import Store

pytestmark = pytest.mark.ray
TIMEOUT_SECONDS = 240
LOST = "a worker was lost ("
EPOCHS = 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Run a Prefect server; yield the environment that leads to it."""
    home, port = tmp_path_factory.mktemp("home"), free_port()
    environment = clean_environment(home)
    command = [Path(sys.executable).with_name("prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (
        (home / "server.log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        import httpx

        api = f"http://127.0.0.1:{port}/api"
        for _ in range(TIMEOUT_SECONDS):
            try:
                httpx.get(f"{api}/health", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.5)
        else:
            raise AssertionError((home / "server.log").read_text())
        yield environment | {"PREFECT_API_URL": api}
        process.send_signal(signal.SIGINT)


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "shards", rows=2400, count=12)


def start_flow(environment, folder, *flags):
    return subprocess.Popen(
        [sys.executable, ROOT / "flows" / "train_flow.py", "--engine", "ray", *map(str, flags)],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def ray_cluster(environment, folder):
    """Start a Ray cluster with nodes on loopback; yield its address and a function that adds a node.

    Each node caches files in a folder of its own, `cache0` and so on, as a machine would.
    """
    ray, address = Path(sys.executable).with_name("ray"), f"127.0.0.1:{free_port()}"
    started = []

    def add(*flags):
        log = folder / f"node{len(started)}.log"
        variables = environment | {"XDG_CACHE_HOME": str(folder / f"cache{len(started)}")}
        with log.open("wb") as output:
            command = [ray, "start", "--node-ip-address", "127.0.0.1", "--num-cpus", "2", "--block", *flags]
            started.append(subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT))
        _wait(lambda: "Ray runtime started" in log.read_text())
        return started[-1]

    # A short path: Ray puts sockets there, whose paths may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temporary:
        try:
            add("--head", "--port", address.split(":")[1], "--include-dashboard=false", "--temp-dir", temporary)
            yield address, lambda: add("--address", address)
        finally:
            for node in reversed(started):
                _end(node)


def test_runs_survive_the_loss_of_nodes_and_of_the_flow(server, shards, tmp_path, bucket, object_store):
    """Lose a node while shards are cached, the flow while it trains, and a node while the next flow trains.

    Shards and checkpoints are in an object store: what a node or a flow has leaves with it.
    """
    environment = server | object_store | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    with ray_cluster(environment, tmp_path) as (address, add_node):
        store = Store(f"{bucket}/models")
        flags = ("--source", shards, "--store", store.uri, "--ray-address", address, "--workers", 2)
        flags += ("--epochs", EPOCHS, "--batch-size", 64)
        first, n_cached = add_node(), []

        def kill_while_caching():
            _wait(store.shards.names)
            n_cached.append(len(store.shards.names()))
            _end(first)

        killing = threading.Thread(target=kill_while_caching)
        killing.start()
        flow = start_flow(environment | {"XDG_CACHE_HOME": str(tmp_path / "flow1")}, tmp_path, *flags)
        _until(f"epoch  2/{EPOCHS}", flow, flow.kill)
        killing.join()
        assert 0 < n_cached[0] < 12, "some were cached, others not yet"
        cached = changes(store.shards)
        assert len(cached) == 12

        second = add_node()
        flow = start_flow(environment | {"XDG_CACHE_HOME": str(tmp_path / "flow2")}, tmp_path, *flags)
        output = _until(f"epoch 12/{EPOCHS}", flow, lambda: _end(second))
        assert flow.returncode == 0, output[-3000:]
        assert "resuming after epoch" in output
        assert f"from the checkpoint in {store.work}" in output
        assert output.count(LOST) == 1
        assert "waiting for free CPUs" not in output, "for CPUs that are gone"
        assert "version 1" in output
        assert store.card(1)["environment"]["workers"] == 2
        assert store.work.names() == ["shards"]
        assert changes(store.shards) == cached, "none was cached again"
        assert len(list((tmp_path / "cache0").rglob("pixels.npy"))) == 12, "the head fetched what others had cached"


def changes(storage):
    """Return when each file of an object store's folder was written."""
    files = fsspec.filesystem("s3").find(str(storage), detail=True)
    return {name: info["LastModified"] for name, info in files.items() if name.endswith(".npy")}


def _until(line_with, process, end):
    """Call `end` once a flow prints a text, which it has to within the timeout; return its whole output."""
    output, timeout = "", threading.Timer(TIMEOUT_SECONDS, process.kill)
    timeout.start()
    with process:
        for line in process.stdout:
            output += line
            if line_with in line:
                end()
    timeout.cancel()
    assert line_with in output, output[-3000:]
    return output


def _wait(condition):
    for _ in range(20 * TIMEOUT_SECONDS):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("timed out")


def _end(node):
    """Kill a node and all processes that it has started."""
    kill(descendants(node))
    node.kill()
    node.wait(30)
