"""Generate the tables of the manual from the code; `make docs` runs this before it builds the manual.

In a page, the text between `<!-- generated: NAME -->` and `<!-- end -->` is replaced by the result of the function NAME
in GENERATED. This file is also a hook of MkDocs, which adds the pages that are files of the top-level folder.
"""

from __future__ import annotations

import re
import runpy
import sys
from functools import partial
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from prefect.flows import Flow

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
TOP_LEVEL_PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages that are files of the top-level folder."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are files of the top-level folder; their links lead to the pages of the manual."""
    for page, name in TOP_LEVEL_PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        for target, linked in TOP_LEVEL_PAGES.items():
            text = text.replace(f"]({linked})", f"]({target})")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_page: Any) -> str:  # noqa: ANN401, of MkDocs
    """Let links to files of the top-level folder, which work in the repository, lead to their pages."""
    for page, name in TOP_LEVEL_PAGES.items():
        markdown = markdown.replace(f"](../{name})", f"]({page})")
    return markdown


def main() -> None:
    """Update the tables of all pages."""
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        if (filled := fill(text)) != text:
            page.write_text(filled, encoding="utf-8")


def fill(text: str) -> str:
    """Return a page with updated tables."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{GENERATED[block[2]]()}\n\n{block[3]}", text)


FLOWS = ("train", "predict", "promote", "verify", "tune", "audit", "review", "export")


def flow_flags(name: str) -> str:
    """Return the flags of the flow `flows/<name>_flow.py`."""
    return flag_tables(getattr(import_module(f"flows.{name}_flow"), f"{name}_flow"))


def flag_tables(flow: Flow[..., Any]) -> str:
    """Return the flags of a flow: a table for each panel of `--help`."""
    from flows import command_line

    panels: dict[str, list[tuple[str, ...]]] = {}
    parameter = ""
    for argument in command_line.command(flow).assemble_argument_collection(parse_docstring=True):
        if not argument.keys:  # else it is a field of the parameter before it
            parameter = argument.field_info.name
        if argument.show:
            path = ".".join([parameter, *argument.keys])
            default = format_default(argument.field_info.default)
            row = (f"`{argument.name}`", argument.parameter.help or "", default, f"`{path}`")
            panels.setdefault(argument.parameter.group[0].name, []).append(row)
    header = ("flag", "meaning", "default", "parameter")
    return "\n\n".join(f"**{panel}**\n\n{table(header, rows)}" for panel, rows in panels.items())


def format_default(default: object) -> str:
    """Format a default for the reference."""
    if default is None:
        return "[the recipe's](recipes.md)"
    return "none" if default in ("", ()) else f"`{default}`"


def format_value(value: object) -> str:
    """Format a value for a table."""
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def recipes() -> str:
    """Return every field of every recipe, a column for each network and preset."""
    from schemas.networks import NETWORKS
    from schemas.recipe import PRESETS, Recipe

    presets = [(network, preset) for network in NETWORKS for preset in PRESETS]
    rows = [
        (f"`{field}`", *(format_value(getattr(PRESETS[preset].recipes[network], field)) for network, preset in presets))
        for field in Recipe.model_fields
        if field != "network"
    ]
    return table(("field", *(f"{network}, {preset}" for network, preset in presets)), rows)


def sources() -> str:
    """Return the formats that can be trained on."""
    from tasks.sources import formats

    return formats.source_table()


def row_checks() -> str:
    """Return the checks of single rows."""
    from schemas.row_checks import ROW_CHECKS

    rows = [(f"`{c.name}`", c.reason, "train" if c.train_only else "train, test") for c in ROW_CHECKS.values()]
    return table(("check", "reason in reports", "parts"), rows)


def gate_criteria() -> str:
    """Return the criteria of the gate with the flags that set their thresholds."""
    from schemas.gate import DEFAULT_GATE
    from tasks.scoring.gate import CRITERIA

    rows = [
        (c.name, f"`--{c.threshold.replace('_', '-')}`", f"{format_value(getattr(DEFAULT_GATE, c.threshold))}")
        for c in CRITERIA
    ]
    return table(("criterion", "threshold", "default"), rows)


def report_sections() -> str:
    """Return the sections of the training report."""
    from artifacts.reports.training_report import SECTIONS

    rows = [(section.title, ", ".join(f"`{name}.png`" for name in section.plots) or "") for section in SECTIONS]
    return table(("section", "plots"), rows)


HOSTILE_LISTS = {
    "names of files, columns, labels and runs": ("hostile.py", ["NAMES"]),
    "addresses with a secret": ("hostile.py", ["ADDRESSES"]),
    "damaged tables": ("tasks/test_bad_tables.py", ["CSV", "GZIPPED", "PARQUET"]),
    "other damaged sources, and wrong data": ("tasks/test_bad_data.py", ["IDX", "NPZ", "PICTURES", "SOURCES", "DATA"]),
    "files of another kind, archives, and tables that can be read in two ways": (
        "tasks/sources/test_cases.py", ["REFUSED"],
    ),
    "headers that declare more than there is, and pipes": ("tasks/sources/test_lying_headers.py", ["LIES", "PIPES"]),
    "files in the inbox that crash, hang or fill the memory": ("tasks/inbox/test_reader.py", ["HOSTILE"]),
    "contents of damaged files of a store": ("artifacts/store/test_damage.py", ["DAMAGED"]),
    "requests to the HTTP service": ("tasks/serving/test_app.py", ["HOSTILE", "RAW"]),
}  # fmt: skip
"""The tests' lists of hostile input: a module in tests/, and the names of its lists."""


def hostile_input() -> str:
    """Return the number of kinds of hostile input in the tests' lists."""
    from tasks.inference.start_up import import_tensorflow

    import_tensorflow()  # without its messages; a test imports it
    sys.path += [str(ROOT), str(ROOT / "tests")]
    rows = []
    for what, (module, names) in HOSTILE_LISTS.items():
        lists = runpy.run_path(str(ROOT / "tests" / module))
        rows.append((what, str(sum(len(lists[name]) for name in names))))
    return table(("input", "kinds"), rows)


def packages() -> str:
    """Return the packages of each layer with the first line of their docstrings."""
    return table(("package", "contents"), package_lines())


LAYERS = ("schemas", "artifacts", "tasks", "flows")


def package_lines() -> Iterator[tuple[str, str]]:
    """Yield the name of each package and the first paragraph of its docstring."""
    for layer in LAYERS:
        for init in sorted((ROOT / layer).rglob("__init__.py")):
            name = init.parent.relative_to(ROOT).as_posix()
            lines = init.read_text(encoding="utf-8").strip('"\n').split("\n\n")[0].splitlines()
            yield f"`{name}/`", " ".join(lines)


def measured(page: str, heading: str = "", n_rows: int | None = None) -> str:
    """Return the first table below a heading of a page of the benchmarks, or its first rows."""
    path = ROOT / "benchmarks" / page
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if not text or heading not in text:
        return "Not measured yet."
    lines = text[text.index(heading) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = list(takewhile(lambda line: line.startswith("|"), lines[start:]))
    return "\n".join(rows[: n_rows and n_rows + 2])


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


GENERATED = {
    function.__name__: function
    for function in (
        recipes,
        sources,
        row_checks,
        gate_criteria,
        report_sections,
        hostile_input,
        packages,
    )
} | {f"{name}_flags": partial(flow_flags, name) for name in FLOWS}
GENERATED |= {
    "simulated_gate": partial(measured, "gate.md", "## Goals"),
    "simulated_slices": partial(measured, "gate.md", "## Slices"),
    "year_of_retrainings": partial(measured, "gate.md", "## A year"),
    "photographs": partial(measured, "photos.md", n_rows=1),
    "measured_audit": partial(measured, "audit.md"),
    "measured_corrections": partial(measured, "review.md"),
}

if __name__ == "__main__":
    main()
