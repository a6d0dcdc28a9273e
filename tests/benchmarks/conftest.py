"""The benchmark's modules, which lie in no package."""

import importlib
from types import SimpleNamespace

import pytest
from samples import ROOT

MODULES = ("bench", "inputs", "make_large", "metrics", "processes", "report", "results", "suites")


@pytest.fixture
def benchmarks(monkeypatch):
    """Import the benchmark's modules."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
