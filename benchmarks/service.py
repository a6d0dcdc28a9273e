"""Measure the HTTP service with the champion of a store: latency, throughput, a promotion under load, memory.

The load comes from other processes on the same machine. Results are in benchmarks/service.md.

.venv/bin/python benchmarks/service.py --store store
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from artifacts.store.store import Store  # noqa: E402

IMAGES = np.load(ROOT / "data" / "mnist.npz")["x_test"]
PNG, NPY = {"Content-Type": "image/png"}, {"Content-Type": "application/x-npy"}
RATE, RATE_SECONDS = 50, 20
N_CLIENTS = 4
BATCH_ROWS = 2500
N_MEMORY = 100_000


def main() -> None:
    """Serve a copy of the store and print each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", default="store")
    store = parser.parse_args().store
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(store, Path(folder) / "store"))
        port = free_port()
        command = [sys.executable, "deployment/serve.py", "--store", str(copy), "--port", str(port)]
        with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE) as process:
            try:
                print(next(iter(process.stdout or [])).decode().strip())
                time.sleep(1)
                measure(port, process.pid, Store(copy))
            finally:
                process.terminate()


def measure(port: int, pid: int, store: Store) -> None:
    """Print the measurements."""
    send(port, 200)  # warm up
    paced = np.sort(pace(port))
    print(f"one picture, {RATE} a second: p50 {1000 * paced[len(paced) // 2]:.1f} ms, "
          f"p99 {1000 * paced[int(0.99 * len(paced))]:.1f} ms of {len(paced):,}")  # fmt: skip
    with ProcessPoolExecutor(N_CLIENTS) as pool:
        started = time.perf_counter()
        list(pool.map(send, [port] * N_CLIENTS, [500] * N_CLIENTS))
        print(
            f"single pictures, {N_CLIENTS} clients: {N_CLIENTS * 500 / (time.perf_counter() - started):,.0f} a second"
        )
        started = time.perf_counter()
        n_images = sum(pool.map(send_batches, [port] * 2, [8] * 2))
        print(f"batches of {BATCH_ROWS:,} as .npy: {n_images / (time.perf_counter() - started):,.0f} images a second")
        promote(port, store, pool)
        memory(port, pid, pool)


def pace(port: int) -> list[float]:
    """Send single pictures at a fixed rate; return their latencies in seconds."""
    connection, body, latencies = http.client.HTTPConnection("127.0.0.1", port), picture(0), []
    start = time.perf_counter()
    for number in range(RATE * RATE_SECONDS):
        due = start + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        ask(connection, body, PNG)
        latencies.append(time.perf_counter() - due)
    return latencies


def promote(port: int, store: Store, pool: ProcessPoolExecutor) -> None:
    """Promote the version before the champion while 10,000 requests are sent; print the delay and the failures."""
    champion = store.champion()
    others = [version for version in store.versions() if version != champion]
    if not others:
        print("a promotion under load: the store has only one version")
        return
    load = [pool.submit(send, port, 2500) for _ in range(N_CLIENTS)]
    time.sleep(1)
    store.promote(others[-1], replaced=champion, run="benchmark", reason="benchmark")
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while served_version(connection) != others[-1]:
        time.sleep(0.05)
    delay = time.perf_counter() - started
    failed = sum(clients.result() for clients in load)
    print(f"a promotion under load: served after {delay:.1f} s, {failed} of 10,000 requests failed")


def memory(port: int, pid: int, pool: ProcessPoolExecutor) -> None:
    """Print the service's memory after 1,000 and after 100,000 requests."""
    process, sizes = psutil.Process(pid), []
    for n_requests in (1000, N_MEMORY - 1000):
        list(pool.map(send, [port] * N_CLIENTS, [n_requests // N_CLIENTS] * N_CLIENTS))
        sizes.append(process.memory_info().rss / 2**20)
    print(f"memory: {sizes[0]:,.0f} MiB after 1,000 requests, {sizes[1]:,.0f} MiB after {N_MEMORY:,}")


def send(port: int, n_requests: int) -> int:
    """Send single pictures one after the other; return how many failed."""
    connection, bodies = http.client.HTTPConnection("127.0.0.1", port), [picture(row) for row in range(100)]
    return sum(not ask(connection, bodies[number % 100], PNG) for number in range(n_requests))


def send_batches(port: int, n_batches: int) -> int:
    """Send batches one after the other; return the number of images."""
    connection, body = http.client.HTTPConnection("127.0.0.1", port), io.BytesIO()
    np.save(body, IMAGES[:BATCH_ROWS])
    return sum(BATCH_ROWS * ask(connection, body.getvalue(), NPY) for _ in range(n_batches))


def ask(connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> bool:
    """Send a request to predict; return whether it was answered."""
    connection.request("POST", "/predict", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status == http.client.OK


def served_version(connection: http.client.HTTPConnection) -> int:
    """Return the version that is served."""
    connection.request("GET", "/health")
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    version: int = answer["version"]
    return version


def picture(row: int) -> bytes:
    """Return a test digit as PNG."""
    file = io.BytesIO()
    Image.fromarray(IMAGES[row]).save(file, "PNG")
    return file.getvalue()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
