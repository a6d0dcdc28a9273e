"""What several tests share: tiny digits, a Prefect server for the session, the project as a person finds it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def draw_digits(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images that are learned within seconds: class k is a bright bar at its own height, with noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.uint8) % 10
    pixels = random.integers(0, 60, (rows, 28, 28), dtype=np.uint8)
    for row, label in enumerate(labels):
        pixels[row, 4 + 2 * label : 6 + 2 * label, 4:24] += 150
    return pixels, labels


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an .npz source of 600 training and 200 test rows."""
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    x_train, y_train = draw_digits(600, seed=1)
    x_test, y_test = draw_digits(200, seed=2)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture(scope="session")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for Prefect's database, kept away from the person's own."""
    return tmp_path_factory.mktemp("prefect")


@pytest.fixture(scope="session")
def run_flow(prefect_home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a flow's file as a person does, from another directory than the project's."""

    def run(flow: str, *flags: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "flows" / f"{flow}_flow.py", *map(str, flags)],
            cwd=cwd or prefect_home,
            env=clean_environment(prefect_home),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


def clean_environment(prefect_home: Path) -> dict[str, str]:
    """Give the environment without what would reach a test from outside."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "TF_", "KERAS_"))}
    return ours | {"PREFECT_HOME": str(prefect_home), "COLUMNS": "120"}


@pytest.fixture(scope="session")
def prefect_server(prefect_home: Path) -> Iterator[None]:
    """Run flows in this process against one temporary Prefect server for the whole session."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
