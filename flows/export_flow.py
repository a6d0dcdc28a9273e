"""Export a published version for other runtimes, such as those of phones and browsers.

Run it with `python flows/export_flow.py`, for the champion, or with `--version 3 --export onnx,litert`.
"""

import flows  # noqa: F401, before Prefect

# isort: split
from typing import Annotated

from prefect import State, flow
from prefect.states import Completed

from artifacts.store.store import Store
from flows import command_line
from schemas.address import ADDRESS
from schemas.errors import InputError
from schemas.exports import ALL_FORMATS, Export, ExportFormat
from tasks.export import export_version
from tasks.exporting import formats
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store


def check(*, export: tuple[ExportFormat, ...], version: int, store: str) -> None:
    """Raise InputError for bad parameters, within a second."""
    formats.check(export)
    versions = Store(store)
    versions.check_writable()
    versions.card(versions.resolve_version(version))


def run_name(*, export: tuple[ExportFormat, ...], version: int, store: str) -> str:
    """Return a name such as `export version 3 as onnx+litert`."""
    return f"export {run_names.version(version, store)} as {'+'.join(export)}"


@flow(name="export", flow_run_name=run_names.namer(run_name))
def export_flow(
    *,
    export: Annotated[tuple[ExportFormat, ...], command_line.COMMAS] = ALL_FORMATS,
    version: int = 0,
    store: Annotated[str, ADDRESS] = "store",
) -> State[tuple[Export, ...]]:
    """Export a version for other runtimes; each export has to answer all test rows as the version does.

    Args:
        export: Formats to export, such as onnx,litert.
        version: Number of the version to export; 0: the champion.
        store: Folder of the versions, or an object store's address.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(export=export, version=version, store=store)
    versions = open_store(store)
    exports = export_version(versions, versions.resolve_version(version), export)
    if any(each.fault for each in exports):
        raise InputError("; ".join(each.summary for each in exports))
    return Completed(message=summary(exports), data=exports)


def summary(exports: tuple[Export, ...]) -> str:
    """Format a line for each export."""
    return "\n".join(each.summary for each in exports)


if __name__ == "__main__":
    command_line.run(export_flow, check, summary)
