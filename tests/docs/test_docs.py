"""README and manual against the code: links, pictures, flags, quoted messages and figures."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from samples import ROOT

README = ROOT / "README.md"
MANUAL = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *MANUAL]
TUTORIAL = ROOT / "docs" / "tutorial.md"
MAX_README_LINES = 130
FLOWS = ("train", "predict", "promote", "verify", "export", "audit", "review", "tune")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def flow_of(name: str):
    return getattr(importlib.import_module(f"flows.{name}_flow"), f"{name}_flow")


def flags(flow) -> set[str]:
    names = set()
    for name, parameter in inspect.signature(flow.fn).parameters.items():
        model = (get_args(parameter.annotation) or (None,))[0]
        is_model = isinstance(model, type) and issubclass(model, BaseModel)
        names |= set(model.model_fields) if is_model else {name}
    return {f"--{name.replace('_', '-')}" for name in names} | {"--help"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the manual; return its folder. The variable turns off an announcement of a later MkDocs."""
    folder = tmp_path_factory.mktemp("site")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


FLAGS_OF_OTHERS = {
    "--address", "--backend-store-uri", "--collector", "--data", "--data-binary", "--env", "--flow-run-name",
    "--from-file", "--head", "--header", "--host", "--long", "--no-cache-dir", "--out", "--port", "--publish",
    "--require-hashes", "--requirement", "--resume", "--rows", "--tag", "--volume", "--watch",
}  # fmt: skip
"""Flags in pages that aren't those of flows: of pip, curl, docker, Prefect, Ray, MLflow and the benchmarks."""


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


def test_the_readme_shows_the_output_that_the_tutorial_shows():
    readme, tutorial = (re.search(r"```text\n(.*?)```", page.read_text(), re.DOTALL)[1] for page in (README, TUTORIAL))
    assert readme.startswith(tutorial)


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_and_pictures_lead_to_files(page):
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)]+)\)", page.read_text())]
    paths = [target for target in targets if target and "://" not in target]
    assert [path for path in paths if not (page.parent / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_flags_in_pages_exist(page):
    known = set().union(*(flags(flow_of(name)) for name in FLOWS))
    text = "\n".join(re.findall(r"`+(?!`)[^`]+`+", page.read_text()))
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text))
    assert used - known - FLAGS_OF_OTHERS == set()


def test_paths_in_pages_exist():
    text = "\n".join(page.read_text() for page in PAGES)
    paths = set(
        re.findall(r"`((?:flows|tasks|schemas|artifacts|deployment|benchmarks|tests|docs|data)/[\w/.-]*)`", text)
    )
    assert len(paths) > 10
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_the_layout_names_all_top_level_folders():
    layout = re.search(r"## Layout\n\n```text\n(.*?)```", README.read_text(), re.DOTALL).group(1)
    untracked = {"predictions", "mlruns", "build", "site", "store", "inbox", "shards", "tutorial", "__pycache__"}
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name.isidentifier()}
    assert set(re.findall(r"^(\w+)/", layout, re.MULTILINE)) == folders - untracked


def test_the_architecture_page_has_every_step_of_train():
    flow = (ROOT / "flows" / "train_flow.py").read_text()
    steps = set(re.findall(r"^from tasks\.(\w+) import (?:.*, )?\1$", flow, re.MULTILINE))
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    assert {"load", "publish"} <= steps
    assert [step for step in steps if f"`{step}`" not in page or not re.search(rf"─ {step}\b|\b{step} ─", page)] == []


def test_the_manual_is_built_strictly_and_loads_nothing_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(MANUAL)
    loaded = (
        r"<(?:script|img|iframe)[^>]*\ssrc=\"(https?:[^\"]*)|<link[^>]*rel=\"stylesheet\"[^>]*href=\"(https?:[^\"]*)"
    )
    assert [page.name for page in pages if re.search(loaded, page.read_text())] == []


def test_the_manuals_generated_tables_are_up_to_date():
    sys.path.append(str(ROOT / "docs"))
    import generate

    assert [relative(page) for page in MANUAL if generate.fill(page.read_text()) != page.read_text()] == [], "make docs"


@pytest.mark.parametrize("name", FLOWS)
def test_the_reference_has_every_flag_with_description_and_default(site, name):
    page = (site / "reference" / "command-line.html").read_text()
    section = re.search(rf'<h2 id="{name}">.*?(?=<h2 )', page, re.DOTALL).group()
    rows = re.findall(r"<tr>\s*<td><code>(--[a-z-]+)</code></td>\s*<td>(.+?)</td>\s*<td>(.+?)</td>", section)
    assert {flag for flag, _, _ in rows} == flags(flow_of(name)) - {"--help"}


def test_the_reference_has_every_event():
    from tasks.orchestration import events

    page = (ROOT / "docs" / "reference" / "events.md").read_text()
    names = [value for value in vars(events).values() if isinstance(value, str) and value.startswith("digits.")]
    assert len(names) > 3
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_the_reference_has_every_artifact():
    sources = "\n".join(path.read_text() for path in (ROOT / "tasks").rglob("*.py"))
    keys = re.findall(r"(?:_KEY = |\bkey=)\"([a-z-]+)\"", sources)
    page = (ROOT / "docs" / "reference" / "reports.md").read_text()
    assert len(keys) > 5
    assert [key for key in keys if f"| `{key}` |" not in page] == []


def test_the_reference_has_every_column_of_predictions():
    from artifacts.predictions_table import COLUMNS

    page = (ROOT / "docs" / "reference" / "predictions.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == COLUMNS.names


def test_the_reference_has_every_exit_code():
    from flows import command_line

    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    codes = [command_line.BAD_INPUT, command_line.BAD_FLAGS, command_line.INTERRUPTED, command_line.TERMINATED]
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == ["0", *map(str, codes)]


def message_texts() -> str:
    """Return all strings of the code, the parts of an f-string joined by the places of its values."""
    texts = [(ROOT / "Makefile").read_text()]
    for folder in ("schemas", "artifacts", "tasks", "flows", "deployment"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(texts)


def test_troubleshooting_quotes_messages_of_the_code():
    texts = message_texts()
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    tables = page.split("## Prefect")
    rows = re.findall(r"^\| (.*?) \| ", tables[0] + tables[1], re.MULTILINE)
    quoted = [words for row in rows for words in re.findall(r"`([^`]+)`", row)]
    own = [words for words in quoted if words not in {"make up", "Late", "Pending", "rejected/", "Killed"}]
    assert len(own) > 40
    assert [words for words in own if words not in texts] == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_headings_of_a_page_are_unique(page):
    headings = re.findall(r"^## .*$", page.read_text(), re.MULTILINE)
    assert len(headings) == len(set(headings))
