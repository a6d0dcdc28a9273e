"""The README is held to the code: its commands, its parameters, its layout."""

import importlib
import inspect
import re
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
from prefect.flows import Flow
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from samples import ROOT

from flows.predict_flow import predict_flow
from flows.train_flow import train_flow

LAYERS = ("schemas", "artifacts", "tasks", "flows")
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def commands() -> list[str]:
    """Give every line of the README's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def parameters(flow: Flow) -> dict[str, str]:
    """Give a flow's flags with what the README must say of each."""
    fit_profile = flow.parameters.model_dump()["properties"]
    flags = {}
    for name, parameter in inspect.signature(flow.fn).parameters.items():
        model = get_args(parameter.annotation)[0] if get_origin(parameter.annotation) is Annotated else None
        if isinstance(model, type) and issubclass(model, BaseModel):
            flags |= {field: told(info) for field, info in model.model_fields.items()}
        else:
            flags[name] = f"{fit_profile[name]['description']} | {shown(fit_profile[name].get('default'))}"
    return flags


def told(field: FieldInfo) -> str:
    by_recipe = re.fullmatch(r"(.*) \[recipe: (.*)\]", field.description)
    if by_recipe:
        return " | ".join(by_recipe.groups())
    return f"{field.description} | {field.default if field.default != () else 'none'}"


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
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    names = parameters(getattr(module, Path(path).stem))
    known = {f"--{name.replace('_', '-')}" for name in names} | {"--help"}
    assert set(re.findall(r"--[a-z-]+", command)) <= known


@pytest.mark.parametrize("flow", [train_flow, predict_flow], ids=lambda flow: flow.name)
def test_every_parameter_stands_in_its_flows_table_with_meaning_and_default_and_no_other_does(flow):
    (table,) = re.findall(rf"^\| {flow.name}'s flag \|.*?\n\n", README, re.MULTILINE | re.DOTALL)
    expected = [f"| `--{name.replace('_', '-')}` | {said} |" for name, said in parameters(flow).items()]
    assert table.splitlines()[2:-1] == expected


def test_every_place_in_the_layout_exists():
    layout = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
    names = re.findall(r"^(\S+?)/? {2,}", layout, re.MULTILINE)
    assert len(names) > 6
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_layout_leaves_out_no_package_and_no_step():
    layout = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
    packages = {f"{path.parent.relative_to(ROOT)}/" for layer in LAYERS for path in (ROOT / layer).rglob("__init__.py")}
    assert sorted(package for package in packages if package not in layout) == []
    steps = {path.stem for path in (ROOT / "tasks").glob("*.py")} - {"__init__", "events", "progress", "stage"}
    told = set(re.findall(r"\w+", re.search(r"^tasks/ .*?^tasks/sources", layout, re.MULTILINE | re.DOTALL).group()))
    assert sorted(steps - told) == []


def test_its_pictures_exist():
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    assert [name for name in pictures if not (ROOT / name).is_file()] == []
