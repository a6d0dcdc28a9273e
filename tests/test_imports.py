"""House rules on imports: one-way layers, no cycles, Prefect only in tasks and flows, heavy modules late."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from samples import ROOT

LAYERS = ("schemas", "artifacts", "tasks", "flows")
MODULES = sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))
FILE_METHODS = {"exists", "glob", "iterdir", "mkdir", "open", "read_bytes", "read_text", "unlink", "write_bytes"}
FILE_METHODS |= {"write_text", "fromfile", "load", "memmap", "save", "tofile"}
FILE_MODULES = {"fsspec", "io", "mmap", "os", "shutil", "tempfile"}


@cache
def runtime_nodes(path: Path, *, with_late: bool = True) -> tuple[ast.AST, ...]:
    """Return a module's nodes outside `if TYPE_CHECKING:`, and optionally only those outside of functions."""
    pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    found = []
    while pending:
        node = pending.pop()
        is_late = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not with_late
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not is_late and not is_for_types:
            found.append(node)
            pending.extend(ast.iter_child_nodes(node))
    return tuple(found)


@cache
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


def violations(paths: Iterable[Path], is_right: Callable[[Path], bool]) -> list[str]:
    return [relative(path) for path in paths if not is_right(path)]


def test_layers_import_only_layers_below():
    def is_right(path):
        layer = LAYERS.index(path.relative_to(ROOT).parts[0])
        return not packages(path) & set(LAYERS[layer + 1 :])

    assert violations(MODULES, is_right) == []


def test_modules_import_each_other_without_cycles():
    graph = {module_name(path): references(path) - {module_name(path)} for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError with the cycle


def test_schemas_do_no_io():
    def is_right(path):
        calls = [node.func for node in runtime_nodes(path) if isinstance(node, ast.Call)]
        methods = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        opens = any(isinstance(call, ast.Name) and call.id == "open" for call in calls)
        return not opens and not methods & FILE_METHODS and not packages(path) & FILE_MODULES

    # schemas/recipe.py reads the presets, which belong to the code.
    assert violations((ROOT / "schemas").glob("*.py"), is_right) == ["schemas/recipe.py"]


def test_each_module_of_tasks_has_one_task():
    def is_right(path):
        return len([node for node in runtime_nodes(path) if is_task(node)]) == 1

    assert violations((ROOT / "tasks").glob("[!_]*.py"), is_right) == []


def test_only_tasks_and_flows_import_prefect():
    def is_right(path):
        parts = path.relative_to(ROOT).parts
        may = (
            parts[0] == "flows" or parts[:2] == ("tasks", "orchestration") or (parts[0] == "tasks" and len(parts) == 2)
        )
        return may or "prefect" not in packages(path)

    assert violations(MODULES, is_right) == []


def test_only_networks_exports_and_downloads_import_tensorflow():
    def is_right(path):
        folders = {("tasks", "training"), ("tasks", "inference"), ("tasks", "exporting")}
        may = path.relative_to(ROOT).parts[:2] in folders or path.name == "keras_sets.py"
        return may or not packages(path) & {"tensorflow", "keras"}

    assert violations(MODULES, is_right) == []


def test_ray_is_imported_only_where_it_computes():
    ray = {"ray", "prefect_ray"}
    workers = {"tasks/training/ray_engine.py", "tasks/tuning/ray_workers.py"}
    late = {*workers, "tasks/orchestration/ray_cluster.py", "tasks/cache_shards.py"}
    assert [name for name in violations(MODULES, lambda path: not packages(path) & ray) if name not in late] == []
    assert {*violations(MODULES, lambda path: not packages(path, with_late=False) & ray)} == workers


def test_tasks_and_flows_import_heavy_modules_late():
    heavy = ("tasks.training", "tasks.scoring", "artifacts.reports.plots", "pandas", "sklearn", "seaborn", "matplotlib")
    paths = [path for path in MODULES if path.parent.name in {"tasks", "flows"}]
    assert (
        violations(paths, lambda path: not any(name.startswith(heavy) for name in imported(path, with_late=False)))
        == []
    )


def test_importing_a_flow_imports_nothing_heavy():
    flows = {path.stem for path in (ROOT / "flows").glob("*_flow.py")}
    heavy = ["tensorflow", "keras", "sklearn", "seaborn", "pandas", "pandera", "numpy"]
    code = (
        "import importlib, sys\n"
        f"for flow in {sorted(flows)}:\n"
        "    importlib.import_module(f'flows.{flow}')\n"
        f"    print(flow, *(name for name in {heavy} if name in sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = {flow: imports for flow, *imports in map(str.split, printed.splitlines())}
    assert found.keys() == flows
    assert not any(found.values()), found
