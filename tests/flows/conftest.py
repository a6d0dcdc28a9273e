"""What the flows' tests share: one trained version."""

import shutil
from pathlib import Path

import pytest
from samples import QUICK


@pytest.fixture(scope="session")
def trained(prefect_server: None, tiny_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store of one version, the champion, trained on the tiny source."""
    from flows.train_flow import train_flow

    store = tmp_path_factory.mktemp("trained") / "store"
    train_flow(str(tiny_npz), store=str(store), recipe="plain", overrides=QUICK)
    return store


@pytest.fixture
def store_copy(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the trained store, to be changed."""
    return shutil.copytree(trained, tmp_path / "store")
