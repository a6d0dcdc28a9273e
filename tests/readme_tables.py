"""Generate README.md's tables of flags from the flows' signatures: `make readme` rewrites them."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from samples import ROOT

from flows.predict_flow import predict_flow
from flows.train_flow import train_flow

if TYPE_CHECKING:
    from prefect import Flow
    from pydantic.fields import FieldInfo

PATH = ROOT / "README.md"
FLOWS: tuple[Flow[..., Any], ...] = (train_flow, predict_flow)


def flags(flow: Flow[..., Any]) -> dict[str, str]:
    """Return a flow's parameters, each with its description and default as cells of its row."""
    properties = flow.parameters.model_dump()["properties"]
    cells: dict[str, str] = {}
    for name, parameter in inspect.signature(flow.fn).parameters.items():
        is_annotated = get_origin(parameter.annotation) is Annotated
        model = get_args(parameter.annotation)[0] if is_annotated else None
        if isinstance(model, type) and issubclass(model, BaseModel):
            cells |= {field: _field_cells(info) for field, info in model.model_fields.items()}
        else:
            default = properties[name].get("default")
            shown = "none" if default is None else f"`{default}`"
            cells[name] = f"{properties[name]['description']} | {shown}"
    return cells


def table(flow: Flow[..., Any]) -> str:
    """Return the Markdown table of a flow's flags."""
    rows = [f"| `--{name.replace('_', '-')}` | {cells} |\n" for name, cells in flags(flow).items()]
    return f"| {flow.name}'s flag | meaning | default |\n|---|---|---|\n" + "".join(rows)


def with_tables(text: str) -> str:
    """Return README.md's text with the current tables."""
    for flow in FLOWS:
        pattern = re.compile(rf"^\| {flow.name}'s flag \|.*\n(?:\|.*\n)*", re.MULTILINE)
        text = pattern.sub(table(flow).replace("\\", r"\\"), text)
    return text


def _field_cells(field: FieldInfo) -> str:
    description = field.description or ""
    by_recipe = re.fullmatch(r"(.*) \[recipe: (.*)\]", description)
    if by_recipe:
        return " | ".join(by_recipe.groups())
    return f"{description} | {field.default if field.default != () else 'none'}"


if __name__ == "__main__":
    PATH.write_text(with_tables(PATH.read_text()))
