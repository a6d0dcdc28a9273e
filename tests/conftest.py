"""Shared fixtures: small data, a Prefect server, an object store, and flows run as scripts."""

import json
import logging
import os
import runpy
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from samples import ROOT, clean_environment, draw_digits
from serving import free_port

from schemas.rules import DEFAULT_RULES
from tasks.sources import datasets
from tasks.validation import row_faults

LONG_FILES = (
    "test_faults.py", "test_ray_flows.py", "test_up.py", "test_tutorial.py", "test_ui.py", "test_bench.py",
    "test_ray.py",
)  # fmt: skip
"""Files that take minutes, the longest first."""
LONG_MARKERS = ("deployment", "ray", "browser", "mnist", "registry", "slow")


@pytest.fixture(scope="session", autouse=True)
def no_flushes() -> Iterator[None]:
    """Let no file of this process be flushed to the disk: thousands of flushes take minutes, and nobody cuts the power.

    That they are made, and that one that fails is reported, is tested by replacing `os.fsync` once more.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an .npz source of 600 training and 200 test rows."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    x_train, y_train = draw_digits(600, seed=1)
    x_test, y_test = draw_digits(200, seed=2)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture(scope="session")
def digits() -> pd.DataFrame:
    """Return a pixel frame of 400 MNIST digits, 40 of each class."""
    frame = datasets.load("mnist", None, DEFAULT_RULES).train
    assert isinstance(frame, pd.DataFrame)
    first = frame.index.isin(frame.groupby("label").head(40).index)
    return row_faults.take(frame, first).reset_index(drop=True)


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for Prefect's database, apart from the user's own."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def run_flow(prefect_home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a flow's file as a script, outside the project's folder."""

    def run(
        flow: str, *flags: object, cwd: Path | None = None, env: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "flows" / f"{flow}_flow.py", *map(str, flags)],
            cwd=cwd or prefect_home,
            env=clean_environment(prefect_home) | dict(env),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def mnist_run(
    run_flow: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Return the folder and the output of `make train`, which runs once for all processes of xdist.

    Tests that change its store copy it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mnist"
    folder.mkdir(exist_ok=True)
    output = folder / "output.json"
    with FileLock(folder / "lock"):
        if not output.exists():
            ran = run_flow("train", cwd=folder)
            output.write_text(json.dumps([ran.args[1:], ran.returncode, ran.stdout, ran.stderr], default=str))
    return folder, subprocess.CompletedProcess(*json.loads(output.read_text()))


@pytest.fixture
def run_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a flow's file as a script in this process, which imports nothing again."""

    def run(flow: str, *flags: object) -> subprocess.CompletedProcess[str]:
        script = str(ROOT / "flows" / f"{flow}_flow.py")
        command = [script, *map(str, flags)]
        monkeypatch.setattr(sys, "argv", command)
        monkeypatch.setenv("COLUMNS", "120")
        capsys.readouterr()
        handler, level = signal.getsignal(signal.SIGTERM), logging.getLogger("prefect").level
        try:
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(script, run_name="__main__")
        finally:
            signal.signal(signal.SIGTERM, handler)
            signal.set_wakeup_fd(-1)
            logging.getLogger("prefect").setLevel(level)
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(command, ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def prefect_server(prefect_home: Path) -> Iterator[None]:
    """Run flows in this process against one temporary Prefect server for the whole session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def object_store() -> Iterator[dict[str, str]]:
    """Serve an S3 object store on loopback; yield the environment variables that point to it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    yield {
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    server.stop()


@pytest.fixture
def bucket(object_store: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a new bucket, reachable from this process and its children."""
    import fsspec

    for name, value in object_store.items():
        monkeypatch.setenv(name, value)
    name = f"digits-{uuid.uuid4().hex[:12]}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --no-skips, for CI, and --fuzz."""
    parser.addoption("--fuzz", type=int, default=20, help="number of damaged files per format (default 20)")
    parser.addoption("--no-skips", action="store_true", help="fail when a test was skipped")


def pytest_configure() -> None:
    """Handle SIGINT as in a terminal, and let Ray's processes have the priority of the others.

    Shells let background processes, and so their children, ignore SIGINT. Ray's workers are nice by 15: they would wait
    for the tests that run beside theirs.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112, Ray's name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that take long: one that came last would keep a single process busy."""
    marked = {item.path for item in items if any(map(item.get_closest_marker, LONG_MARKERS))}

    def position(item: pytest.Item) -> int:
        name = item.path.name
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES) + (item.path not in marked)

    items.sort(key=position)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which tests `make test` left out; pytest's last line has their number."""
    selection = terminalreporter.config.getoption("markexpr")
    if selection.startswith("not "):
        left_out = selection.removeprefix("not ").strip("()")
        terminalreporter.write_line(
            f"Left out: the tests marked {left_out}. `make test-all` runs them, too; "
            "the browser tests need Chromium (on Debian, apt-get install chromium)."
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped a test under --no-skips."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")  # with xdist only in the main process
    if reporter and session.config.getoption("--no-skips") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
