"""House rules on imports: one-way layers, no cycles, Prefect only in tasks and flows, heavy modules late."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from samples import ROOT

LAYERS = ("schemas", "artifacts", "tasks", "flows")
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
FILE_METHODS = {"exists", "glob", "iterdir", "mkdir", "open", "read_bytes", "read_text", "unlink", "write_bytes"}
FILE_METHODS |= {"write_text", "fromfile", "load", "memmap", "save", "tofile"}
FILE_MODULES = {"fsspec", "io", "mmap", "os", "shutil", "tempfile"}


def runtime_nodes(path: Path, *, with_late: bool = True) -> Iterator[ast.AST]:
    """Yield a module's nodes outside `if TYPE_CHECKING:`, and optionally only those outside of functions."""
    pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while pending:
        node = pending.pop()
        is_late = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not with_late
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not is_late and not is_for_types:
            yield node
            pending.extend(ast.iter_child_nodes(node))


def imported(path: Path, *, with_late: bool = True) -> set[str]:
    """Return the dotted names that a module imports at run time."""
    names = set()
    for node in runtime_nodes(path, with_late=with_late):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def packages(path: Path, *, with_late: bool = True) -> set[str]:
    return {name.split(".")[0] for name in imported(path, with_late=with_late)}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


NAMES = {module_name(path) for path in MODULES}


def references(path: Path) -> set[str]:
    """Return the project's modules that a module imports, or names in a string to import them later."""
    strings = {
        node.value
        for node in runtime_nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value
    }
    modules = {name if name in NAMES else name.rpartition(".")[0] for name in imported(path)}
    return (modules | strings) & NAMES


def is_task(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        ast.unparse(decorator).split("(")[0] == "task" for decorator in node.decorator_list
    )


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_layers_import_only_layers_below(path):
    layer = LAYERS.index(path.relative_to(ROOT).parts[0])
    assert not packages(path) & set(LAYERS[layer + 1 :])


def test_modules_import_each_other_without_cycles():
    graph = {module_name(path): references(path) - {module_name(path)} for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


# schemas/recipe.py reads the presets, which belong to the code.
@pytest.mark.parametrize(
    "path", sorted({*(ROOT / "schemas").glob("*.py")} - {ROOT / "schemas/recipe.py"}), ids=relative
)
def test_schemas_do_no_io(path):
    methods = {
        node.func.attr for node in runtime_nodes(path) if isinstance(node, ast.Call) and hasattr(node.func, "attr")
    }
    functions = {
        node.func.id for node in runtime_nodes(path) if isinstance(node, ast.Call) and hasattr(node.func, "id")
    }
    assert not methods & FILE_METHODS
    assert "open" not in functions
    assert not packages(path) & FILE_MODULES


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("[!_]*.py")), ids=relative)
def test_each_module_of_tasks_has_one_task(path):
    assert len([node for node in runtime_nodes(path) if is_task(node)]) == 1


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_only_tasks_and_flows_import_prefect(path):
    parts = path.relative_to(ROOT).parts
    may = parts[0] == "flows" or parts[:2] == ("tasks", "orchestration") or (parts[0] == "tasks" and len(parts) == 2)
    assert may or "prefect" not in packages(path)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_only_networks_exports_and_downloads_import_tensorflow(path):
    may = (
        path.relative_to(ROOT).parts[:2] in {("tasks", "training"), ("tasks", "inference"), ("tasks", "exporting")}
        or path.name == "keras_sets.py"
    )
    assert may or not packages(path) & {"tensorflow", "keras"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_ray_is_imported_only_where_it_computes(path):
    ray = {"ray", "prefect_ray"}
    workers = {"tasks/training/ray_engine.py", "tasks/tuning/ray_workers.py"}
    may = {*workers, "tasks/orchestration/ray_cluster.py", "tasks/cache_shards.py"}
    assert relative(path) in may or not packages(path) & ray
    assert relative(path) in workers or not packages(path, with_late=False) & ray


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.name in {"tasks", "flows"}], ids=relative)
def test_tasks_and_flows_import_heavy_modules_late(path):
    heavy = ("tasks.training", "tasks.scoring", "artifacts.reports.plots", "pandas", "sklearn", "seaborn", "matplotlib")
    assert not [name for name in imported(path, with_late=False) if name.startswith(heavy)]


@pytest.mark.parametrize("flow", sorted(path.stem for path in (ROOT / "flows").glob("*_flow.py")))
def test_importing_a_flow_imports_nothing_heavy(flow):
    heavy = ["tensorflow", "keras", "sklearn", "seaborn", "pandas", "pandera", "numpy"]
    if flow == "predict_flow":
        heavy.remove("numpy")  # PyArrow imports it
    code = f"import sys, flows.{flow}; print([name for name in {heavy} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
