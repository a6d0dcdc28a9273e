"""Measure the HTTP service: latency, throughput, a promotion under load, memory; write `service.md`.

`python benchmarks/service.py STORE` needs a store with two versions, and about ten minutes.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bench import describe_machine, today
from PIL import Image
from processes import ROOT, free_port
from timing import load_digits

from artifacts.store.store import Store

PAGE = Path(__file__).with_suffix(".md")
TEMPLATE = """\
# The HTTP service, measured

`python benchmarks/service.py STORE` writes this page. The clients run on the same machine, and send MNIST's test digits
as PNG files. Measured on {today}: {machine}.

| what | goal | measured |
| --- | --: | --: |
{rows}
"""
IMAGES = load_digits().x_test
PNG, NPY = {"Content-Type": "image/png"}, {"Content-Type": "application/x-npy"}
RATE, RATE_SECONDS = 50, 20
N_CLIENTS = 4
BATCH_ROWS = 2500
N_MEMORY = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    store = parser.parse_args().store
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(store, Path(folder) / "store"))
        port = free_port()
        command = [sys.executable, "deployment/serve.py", "--store", str(copy), "--port", str(port)]
        with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE) as process:
            try:
                print(next(iter(process.stdout or [])).decode().strip())
                time.sleep(1)
                rows = measure(port, process.pid, Store(copy))
            finally:
                process.terminate()
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    PAGE.write_text(TEMPLATE.format(today=today(), machine=describe_machine(), rows=lines))
    print(PAGE.read_text())


def measure(port: int, pid: int, store: Store) -> list[tuple[str, str, str]]:
    """Return the rows of the table: what, goal, and measured value."""
    send(port, 200)  # warm up
    p50, p99 = np.quantile(pace(port), [0.5, 0.99]) * 1000
    with ProcessPoolExecutor(N_CLIENTS) as pool:
        started = time.perf_counter()
        list(pool.map(send, [port] * N_CLIENTS, [500] * N_CLIENTS))
        singles = N_CLIENTS * 500 / (time.perf_counter() - started)
        started = time.perf_counter()
        n_images = sum(pool.map(send_batches, [port] * 2, [8] * 2))
        batches = n_images / (time.perf_counter() - started)
        delay, n_failed = promote(port, store, pool)
        before, after = memory(port, pid, pool)
    return [
        (f"one picture, {RATE} requests a second, p50", "", f"{p50:.1f} ms"),
        (f"the same, p99 of {RATE * RATE_SECONDS:,}", "at most 20 ms", f"{p99:.1f} ms"),
        (f"single pictures, {N_CLIENTS} clients", "at least 400 a second", f"{singles:,.0f} a second"),
        (f"batches of {BATCH_ROWS:,} as `.npy`", "at least 20,000 a second", f"{batches:,.0f} images a second"),
        ("a promotion under load: picked up after", "at most 5 s", f"{delay:.1f} s"),
        ("the same: failed of 10,000 requests", "0", f"{n_failed}"),
        (f"memory after {N_MEMORY:,} requests, of that after 1,000", "at most 1.05", f"{after / before:.3f}"),
    ]


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


def promote(port: int, store: Store, pool: ProcessPoolExecutor) -> tuple[float, int]:
    """Promote another version while 10,000 requests are sent; return the delay in seconds and the failures."""
    champion = store.champion()
    others = [version for version in store.versions() if version != champion]
    load = [pool.submit(send, port, 2500) for _ in range(N_CLIENTS)]
    time.sleep(1)
    store.promote(others[-1], replaced=champion, run="benchmark", reason="benchmark")
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while served_version(connection) != others[-1]:
        time.sleep(0.05)
    delay = time.perf_counter() - started
    return delay, sum(clients.result() for clients in load)


def memory(port: int, pid: int, pool: ProcessPoolExecutor) -> tuple[int, int]:
    """Return the service's memory after 1,000 and after 100,000 requests."""
    process, sizes = psutil.Process(pid), []
    for n_requests in (1000, N_MEMORY - 1000):
        list(pool.map(send, [port] * N_CLIENTS, [n_requests // N_CLIENTS] * N_CLIENTS))
        sizes.append(process.memory_info().rss)
    return sizes[0], sizes[1]


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
    connection.request("GET", "/health")
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    version: int = answer["version"]
    return version


def picture(row: int) -> bytes:
    """Return a test digit as PNG."""
    file = io.BytesIO()
    Image.fromarray(IMAGES[row]).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
