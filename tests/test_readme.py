"""The README is held to the code: its commands, its parameters, its layout."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from samples import ROOT

from flows.train_flow import train_flow
from schemas.gate import GateRules
from schemas.recipe import Overrides
from schemas.rules import Rules

README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def commands() -> list[str]:
    """Give every line of the README's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def parameters() -> dict[str, str]:
    """Give the flow's flags with what the README must say of each."""
    described = train_flow.parameters.model_dump()["properties"]
    own = [name for name in inspect.signature(train_flow.fn).parameters if name not in {"overrides", "rules", "gate"}]
    flags = {name: f"{described[name]['description']} | {shown(described[name].get('default'))}" for name in own}
    for name, field in Overrides.model_fields.items():
        meaning, default = re.fullmatch(r"(.*) \[recipe: (.*)\]", field.description).groups()
        flags[name] = f"{meaning} | {default}"
    for name, field in {**Rules.model_fields, **GateRules.model_fields}.items():
        flags[name] = f"{field.description} | {field.default if field.default != () else 'none'}"
    return flags


def shown(default: object) -> str:
    return "none" if default is None else f"`{default}`"


def test_there_are_commands_to_be_held_to():
    assert {"make train", "make test"} <= set(commands())


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_every_make_command_is_a_target(command):
    assert re.search(rf"^{command.split()[1]}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("command", [c for c in commands() if "flows/" in c])
def test_every_flow_command_names_a_file_and_flags_that_exist(command):
    path = re.search(r"flows/\w+\.py", command).group()
    assert (ROOT / path).is_file()
    flow = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    own = inspect.signature(getattr(flow, Path(path).stem).fn).parameters
    names = [*own, *(parameters() if "train_flow" in path else [])]
    known = {f"--{name.replace('_', '-')}" for name in names} | {"--help"}
    assert set(re.findall(r"--[a-z-]+", command)) <= known


@pytest.mark.parametrize("name", parameters())
def test_every_parameter_stands_in_the_table_with_meaning_and_default(name):
    assert f"| `--{name.replace('_', '-')}` | {parameters()[name]} |" in README


def test_the_table_has_no_parameter_that_is_none():
    flags = re.findall(r"^\| `--([a-z-]+)` \|", README, re.MULTILINE)
    assert [flag.replace("-", "_") for flag in flags] == list(parameters())


def test_every_place_in_the_layout_exists():
    layout = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
    names = re.findall(r"^(\S+?)/? {2,}", layout, re.MULTILINE)
    assert len(names) > 6
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_its_pictures_exist():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []
