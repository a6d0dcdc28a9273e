"""House rules on size and names."""

import ast
import tomllib
from pathlib import Path

from samples import ROOT

PRODUCT = sorted(
    path
    for folder in ("flows", "tasks", "schemas", "artifacts", "deployment")
    for path in (ROOT / folder).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_TEST_NAME = 350, 50, 70
CONJUNCTIONS = ("test_and_", "test_but_", "test_nor_", "test_or_", "test_so_")


def functions(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]


def is_fixture(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator).startswith("pytest.fixture") for decorator in function.decorator_list)


def test_no_file_is_longer_than_350_lines():
    files = (*PRODUCT, *TESTS)
    lines = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: n_lines for name, n_lines in lines.items() if n_lines > MAX_FILE_LINES} == {}


def test_every_package_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [path.parent.relative_to(ROOT) for path in PRODUCT if path.name == "__init__.py"]
    assert listed == sorted(".".join(folder.parts) for folder in folders)


def test_no_product_function_is_longer_than_50_lines():
    lines = {
        f"{path.relative_to(ROOT)}:{function.name}": function.end_lineno - function.lineno + 1
        for path in PRODUCT
        for function in functions(path)
    }
    assert {name: n_lines for name, n_lines in lines.items() if n_lines > MAX_FUNCTION_LINES} == {}


def test_texts_of_files_and_programs_are_utf_8_whatever_the_locale():
    """Ruff's rule for it has to know the type of the path."""
    lacking = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in PRODUCT
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and is_locale_dependent(call)
    ]
    assert lacking == []


def is_locale_dependent(call: ast.Call) -> bool:
    """Return whether a call reads or writes text without naming an encoding."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in keywords:
        return False
    literals = [value.value for value in (*call.args, *keywords.values()) if isinstance(value, ast.Constant)]
    is_text_file = name in {"read_text", "write_text"} and "utf-8" not in literals
    is_opened_as_text = name in {"open", "fdopen"} and {"r", "w", "a", "x", "rt", "wt", "at", "xt"} & {*literals}
    return is_text_file or bool(is_opened_as_text) or bool({"text", "universal_newlines"} & keywords.keys())


def test_test_names_are_short_and_stand_alone():
    names = [f.name for path in TESTS for f in functions(path) if f.name.startswith("test_") and not is_fixture(f)]
    assert [name for name in names if len(name) > MAX_TEST_NAME or name.startswith(CONJUNCTIONS)] == []


def test_only_tests_begin_with_test():
    fixtures = [f.name for path in TESTS for f in functions(path) if is_fixture(f)]
    product = [f.name for path in PRODUCT for f in functions(path)]
    assert [name for name in (*fixtures, *product) if name.startswith("test_")] == []
