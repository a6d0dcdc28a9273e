"""Digest code by its syntax tree: comments, docstrings and layout don't change the digest.

The digest may differ between Python versions, which may unparse the same tree differently.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from threading import Lock

ROOT = Path(__file__).parents[1]
PARSE_ATTEMPTS = 5
_PARSER = Lock()


@cache
def code_digest(*modules: str) -> str:
    """Return the SHA-256 of modules of this project (dotted names) and of all project modules that they import."""
    digest = hashlib.sha256()
    for name, tree in sorted(covered_modules(*modules).items()):
        digest.update(f"{name}\n{ast.unparse(_without_docstrings(tree))}\n".encode())
    return digest.hexdigest()


def covered_modules(*modules: str) -> dict[str, ast.Module]:
    """Return the syntax trees of modules of this project and of all project modules that they import, by name."""
    trees: dict[str, ast.Module] = {}
    pending = list(modules)
    while pending:
        name = pending.pop()
        if name not in trees and (path := _path(name)):
            trees[name] = _parse(path.read_text(encoding="utf-8"))
            pending += _imported_names(trees[name])
    return trees


def _parse(text: str) -> ast.Module:
    """Parse a module. In Python 3.11, SystemError is raised if another thread, maybe of a library, parses meanwhile."""
    with _PARSER:
        for _ in range(PARSE_ATTEMPTS - 1):
            with contextlib.suppress(SystemError):
                return ast.parse(text)
        return ast.parse(text)


def _path(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imported_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module imports, inside functions, too; some are functions and classes."""
    for node in _nodes_that_run(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _nodes_that_run(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, except for the bodies of `if TYPE_CHECKING:`."""
    yield node
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        children = node.orelse
    for child in children:
        yield from _nodes_that_run(child)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Remove docstrings, and strings after an assignment that document it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_string(statement)] or [ast.Pass()]
    return tree


def _is_string(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str)
