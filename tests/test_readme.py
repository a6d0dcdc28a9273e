"""README.md agrees with the code: its commands, its tables of flags, its layout, its pictures."""

import importlib
import re
from pathlib import Path

import pytest
import readme_tables
from samples import ROOT

LAYERS = ("schemas", "artifacts", "tasks", "flows")
README = readme_tables.PATH.read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
LAYOUT = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)


def commands() -> list[str]:
    """Return every line of the README's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_readme_has_the_main_commands():
    assert {"make train", "make test"} <= set(commands())


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_every_make_command_is_a_target(command):
    assert re.search(rf"^{command.split()[1]}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("command", [c for c in commands() if "flows/" in c])
def test_every_flow_command_names_existing_files_and_flags(command):
    path = re.search(r"flows/\w+\.py", command).group()
    assert (ROOT / path).is_file()
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    names = readme_tables.flags(getattr(module, Path(path).stem))
    known = {f"--{name.replace('_', '-')}" for name in names} | {"--help"}
    assert set(re.findall(r"--[a-z-]+", command)) <= known


def test_tables_of_flags_are_up_to_date():
    assert readme_tables.with_tables(README) == README, "run make readme"


def test_every_path_in_the_layout_exists():
    names = re.findall(r"^(\S+?)/? {2,}", LAYOUT, re.MULTILINE)
    assert len(names) > 6
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_layout_lists_every_package_and_task():
    packages = {f"{path.parent.relative_to(ROOT)}/" for layer in LAYERS for path in (ROOT / layer).rglob("__init__.py")}
    assert sorted(package for package in packages if package not in LAYOUT) == []
    tasks = {path.stem for path in (ROOT / "tasks").glob("[!_]*.py")}
    listed = set(re.findall(r"\w+", re.search(r"^tasks/ .*?^tasks/", LAYOUT, re.MULTILINE | re.DOTALL).group()))
    assert sorted(tasks - listed) == []


def test_pictures_exist():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []
