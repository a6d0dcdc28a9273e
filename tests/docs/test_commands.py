"""Each command in README and manual: its program accepts it, and what it names exists."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import prefect.settings
import pytest
import yaml
from samples import ROOT

from flows import command_line

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OWN_VARIABLES = {"PORT": "deployment/up.py", "PROJECT": "prefect.yaml", "ARGS": "Makefile", "PYTHON": "Makefile"}
OWN_VARIABLES |= {"DIGITS_TOKEN": "deployment/serve.py", "MLFLOW_TRACKING_URI": "tasks/tracking/mirror.py"}
OWN_VARIABLES |= {"DIGITS_STUDIES": "tasks/tuning/open_study.py"}


def commands() -> list[str]:
    """Return the commands of all shell blocks, and those in running text, without comments."""
    text = "\n".join(page.read_text() for page in PAGES)
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    inline = re.findall(r"(?<!`)`((?:[A-Z_]+=[^ `]+ )*(?:make|\.venv/bin/\S+) [^`\n]+)`(?!`)", text)
    return sorted({command for command in [*lines, *inline] if command})


def flow_of(script: str):
    name = Path(script).stem
    return getattr(importlib.import_module(f"flows.{name}"), name)


def accepts_flags(flow, arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script", *arguments])
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            command_line.parse(flow)
    else:
        command_line.parse(flow)


def check_make(target, *variables, monkeypatch):
    command = ["make", "--dry-run", target, *variables]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    values = dict(variable.split("=", 1) for variable in variables)
    assert set(values) <= set(OWN_VARIABLES)
    if target == "train":
        accepts_flags(flow_of("train_flow"), shlex.split(values.get("ARGS", "")), monkeypatch)
    if target == "serve":
        monkeypatch.syspath_prepend(ROOT / "deployment")
        importlib.import_module("serve").command.parse_args(
            shlex.split(values.get("ARGS", "")), exit_on_error=False, print_error=False
        )


def check_python(first, *arguments, monkeypatch):
    if first == "-c":
        compile(arguments[0], "-c", "exec")
        return
    if first == "-m":
        first, *arguments = arguments
        first = arguments[0] if first == "pytest" else f"{first.replace('.', '/')}.py"
    assert (ROOT / first).is_file()
    if first.startswith("flows/"):
        accepts_flags(flow_of(first), arguments, monkeypatch)
    else:
        assert [flag for flag in arguments if flag.startswith("--") and flag not in (ROOT / first).read_text()] == []


def check_prefect(*arguments, monkeypatch):
    group, *rest = [argument for argument in arguments if argument != "--no-prompt"]
    app = getattr(importlib.import_module(f"prefect.cli.{group}"), f"{group}_app")
    _, bound, _ = app.parse_args(rest, exit_on_error=False, print_error=False)
    if rest[:1] == ["run"]:
        flow_name, name = bound.arguments["name"].split("/")
        (deployment,) = [
            d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"] if d["name"] == name
        ]
        path, function = deployment["entrypoint"].split(":")
        flow = flow_of(path)
        assert (flow.name, flow.fn.__name__) == (flow_name, function)
        given = dict(parameter.split("=", 1) for parameter in bound.arguments.get("params") or [])
        flow.validate_parameters(
            deployment["parameters"] | {name: yaml.safe_load(text) for name, text in given.items()}
        )


def check_pip(subcommand, *arguments, monkeypatch):
    assert subcommand == "install"
    files = [argument for argument in arguments if argument.endswith(".txt") or argument == "."]
    packages = [argument for argument in arguments if not argument.startswith("-") and argument not in files]
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert [package for package in packages if f'"{package}>=' not in (ROOT / "pyproject.toml").read_text()] == []


def check_pre_commit(subcommand, *, monkeypatch):
    assert subcommand == "install"
    assert (ROOT / ".pre-commit-config.yaml").is_file()


CHECKS = {
    "make": check_make,
    ".venv/bin/python": check_python,
    ".venv/bin/prefect": check_prefect,
    ".venv/bin/pip": check_pip,
    ".venv/bin/pre-commit": check_pre_commit,
}
RUN_BY_THE_TUTORIALS_TEST = ("mkdir", "cp")
OF_OTHER_PROGRAMS = ("sudo -u postgres psql", "python3 -m venv .venv", "curl", "docker")


@pytest.mark.parametrize("command", commands())
def test_command_is_accepted_by_its_program(command, monkeypatch):
    words = shlex.split(command.removeprefix("export "))
    while words and re.match(r"[A-Z_]+=", words[0]):
        variable = words.pop(0).split("=")[0]
        if variable.startswith("PREFECT_"):
            assert hasattr(prefect.settings, variable)
        else:
            assert variable in (ROOT / OWN_VARIABLES[variable]).read_text()
    if words and words[0] not in RUN_BY_THE_TUTORIALS_TEST and not command.startswith(OF_OTHER_PROGRAMS):
        CHECKS[words[0]](*words[1:], monkeypatch=monkeypatch)


def test_readme_and_manual_show_the_most_important_commands():
    assert {"make train", "make test", "make up"} <= set(commands())


@pytest.mark.prefect
def test_the_webhook_and_the_automation_of_the_manual_can_be_created(prefect_server, capsys):
    from prefect.client.orchestration import get_client
    from prefect.events.schemas.automations import AutomationCore

    page = (ROOT / "docs" / "how-to" / "notify.md").read_text()
    exec(re.search(r"python -c '(.*)'", page)[1], {})  # noqa: S102, the page's own
    text = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1]
    fields = yaml.safe_load(re.sub(r"[0-9]{8}(-0{4}){3}-0{12}", capsys.readouterr().out.strip(), text))
    with get_client(sync_client=True) as client:
        assert client.create_automation(AutomationCore.model_validate(fields))
