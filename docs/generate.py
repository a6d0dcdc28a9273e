"""Write the tables of the manual that come from the code: `make docs` does so before it builds the manual.

In a page, what is between `<!-- generated: NAME -->` and `<!-- end -->` is what the function NAME of GENERATED returns.
This file is also a hook of MkDocs, which adds the pages that are files of the top-level folder.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from mkdocs.structure.files import File
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from prefect.flows import Flow
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
COPIED = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
"""Pages that are files of the top-level folder."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are files of the top-level folder; their links lead to the pages of the manual."""
    for page, name in COPIED.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        for target, linked in COPIED.items():
            text = text.replace(f"]({linked})", f"]({target})")
        files.append(File.generated(config, page, content=text))
    return files


def main() -> None:
    """Bring the tables of all pages up to date."""
    for page in DOCS.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        if (filled := fill(text)) != text:
            page.write_text(filled, encoding="utf-8")


def fill(text: str) -> str:
    """Return a page with its tables up to date."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{GENERATED[block[2]]()}\n\n{block[3]}", text)


def train_flags() -> str:
    """Return the flags of `train`."""
    from flows.train_flow import train_flow

    return flag_tables(train_flow)


def predict_flags() -> str:
    """Return the flags of `predict`."""
    from flows.predict_flow import predict_flow

    return flag_tables(predict_flow)


def promote_flags() -> str:
    """Return the flags of `promote`."""
    from flows.promote_flow import promote_flow

    return flag_tables(promote_flow)


def verify_flags() -> str:
    """Return the flags of `verify`."""
    from flows.verify_flow import verify_flow

    return flag_tables(verify_flow)


def flag_tables(flow: Flow[..., Any]) -> str:
    """Return the flags of a flow: its own parameters, then a table for each model among them."""
    schema = flow.parameters.model_dump()["properties"]
    own, models = [], []
    for name, parameter in inspect.signature(flow.fn).parameters.items():
        description = schema[name].get("description", "")
        if model := parameter_model(parameter):
            fields = [(field, *field_text(info)) for field, info in model.model_fields.items()]
            models.append(f"**{name.capitalize()}**: {description}\n\n{flag_table(fields)}")
        else:
            own.append((name, description, shown(parameter.default)))
    return "\n\n".join([flag_table(own), *models])


def flag_table(fields: Iterable[tuple[str, str, str]]) -> str:
    """Return a table of flags with description and default."""
    rows = [(f"`--{name.replace('_', '-')}`", description, default) for name, description, default in fields]
    return table(("flag", "meaning", "default"), rows)


def parameter_model(parameter: inspect.Parameter) -> type[BaseModel] | None:
    """Return the model whose fields are flags, if a flow's parameter is one."""
    kind = (get_args(parameter.annotation) or (None,))[0]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def field_text(field: FieldInfo) -> tuple[str, str]:
    """Return the description and the default of a model's field; a recipe's field has one for each preset."""
    by_recipe = re.fullmatch(r"(.*) \[recipe: (.*)\]", field.description or "")
    return (by_recipe[1], by_recipe[2]) if by_recipe else (field.description or "", shown(field.default))


def shown(default: object) -> str:
    """Return a default as the reference shows it."""
    return "none" if default is None or default == () else f"`{default}`"


def number(value: object) -> str:
    """Return a value as tables show it."""
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def recipes() -> str:
    """Return every field of every recipe, a column for each network and preset."""
    from schemas.recipe import PRESETS, Recipe

    presets = [(network, preset) for network in PRESETS["fast"] for preset in PRESETS]
    rows = [
        (f"`{field}`", *(number(getattr(PRESETS[preset][network], field)) for network, preset in presets))
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
        (c.name, f"`--{c.threshold.replace('_', '-')}`", f"{number(getattr(DEFAULT_GATE, c.threshold))}")
        for c in CRITERIA
    ]
    return table(("criterion", "threshold", "default"), rows)


def report_sections() -> str:
    """Return the sections of the training report."""
    from artifacts.reports.training_report import SECTIONS

    rows = [(section.title, ", ".join(f"`{name}.png`" for name in section.plots) or "") for section in SECTIONS]
    return table(("section", "plots"), rows)


def packages() -> str:
    """Return the packages of each layer with the first line of their docstrings."""
    return table(("package", "contents"), package_lines())


LAYERS = ("schemas", "artifacts", "tasks", "flows")


def package_lines() -> Iterator[tuple[str, str]]:
    """Yield the name of each package, and what its docstring says."""
    for layer in LAYERS:
        for init in sorted((ROOT / layer).rglob("__init__.py")):
            name = init.parent.relative_to(ROOT).as_posix()
            lines = init.read_text(encoding="utf-8").strip('"\n').split("\n\n")[0].splitlines()
            yield f"`{name}/`", " ".join(lines)


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


GENERATED = {
    function.__name__: function
    for function in (
        train_flags,
        predict_flags,
        promote_flags,
        verify_flags,
        recipes,
        sources,
        row_checks,
        gate_criteria,
        report_sections,
        packages,
    )
}

if __name__ == "__main__":
    main()
