"""The house rules on imports: schemas <- artifacts <- tasks <- flows, Prefect at the edge, TensorFlow late."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from samples import ROOT

LAYERS = ("schemas", "artifacts", "tasks", "flows")
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def imported(path: Path, *, also_late: bool = True) -> set[str]:
    """Give what a module imports at run time, dotted names; optionally only what it imports when it is imported."""
    tree = ast.parse(path.read_text())
    found = set()
    late = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    skipped = {id(inner) for node in late for inner in ast.walk(node)} if not also_late else set()
    skipped |= {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(path: Path, *, also_late: bool = True) -> set[str]:
    return {name.split(".")[0] for name in imported(path, also_late=also_late)}


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_layers_import_only_what_lies_below(path):
    layer = LAYERS.index(path.relative_to(ROOT).parts[0])
    assert not packages(path) & set(LAYERS[layer + 1 :])


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_prefect_is_imported_by_steps_and_flows_alone(path):
    parts = path.relative_to(ROOT).parts
    may = parts[0] == "flows" or parts[:2] == ("tasks", "orchestration") or (parts[0] == "tasks" and len(parts) == 2)
    assert may or "prefect" not in packages(path)


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_tensorflow_is_imported_by_the_training_and_for_downloads_alone(path):
    may = (
        path.relative_to(ROOT).parts[:2] in {("tasks", "training"), ("tasks", "inference")}
        or path.name == "keras_sets.py"
    )
    assert may or not packages(path) & {"tensorflow", "keras"}


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_ray_an_extra_is_imported_where_it_computes_alone_and_late_by_steps(path):
    ray = {"ray", "prefect_ray"}
    may = place(path) in {"tasks/orchestration/ray_cluster.py", "tasks/cache_shards.py", "tasks/training/ray_engine.py"}
    assert may or not packages(path) & ray
    assert place(path) == "tasks/training/ray_engine.py" or not packages(path, also_late=False) & ray


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name in {"tasks", "flows"}], ids=place)
def test_steps_and_flows_import_what_is_heavy_late(path):
    heavy = ("tasks.training", "tasks.scoring", "artifacts.reports.plots", "pandas", "sklearn", "seaborn", "matplotlib")
    assert not [name for name in imported(path, also_late=False) if name.startswith(heavy)]


def test_importing_the_flow_imports_nothing_heavy():
    heavy = ("tensorflow", "keras", "sklearn", "seaborn", "pandas", "pandera")
    code = f"import sys, flows.train_flow; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
