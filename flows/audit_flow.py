"""Audit the labels of a source: list the rows that a person should look at.

Run it with `python flows/audit_flow.py`; `--help` lists the parameters.
"""

import flows  # noqa: F401, before Prefect

# isort: split
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from flows import command_line
from flows.source_checks import check_sources, with_headers
from schemas.address import ADDRESS
from schemas.audit import Audit
from schemas.compute import LOCAL
from schemas.panels import AUDIT, DATA, STORE, VALIDATION
from schemas.recipe import DEFAULT_NETWORK, NetworkName
from schemas.rules import Rules, Severity
from tasks.audit import audit, preload
from tasks.load import load
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store
from tasks.read_inbox import read_inbox
from tasks.validate import validate


class AuditRules(Rules):
    """Rules of an audit. It is for labels that contradict the images, which are no reason to stop it."""

    wrong_labels: Severity = Field("warning", description=Rules.model_fields["wrong_labels"].description)


AUDIT_RULES = AuditRules()


def check(source: str, *, test_source: str, inbox: str, store: str, **_others: object) -> None:
    """Raise InputError for bad parameters, within a second."""
    check_sources(source, test_source, store, inbox)


def run_name(source: str, network: str, folds: int, **_others: object) -> str:
    """Return a name such as `audit mnist with mlp, 5 folds`."""
    return f"audit {run_names.source(source)} with {network}, {folds} folds"


@flow(name="audit", flow_run_name=run_names.namer(run_name))
def audit_flow(  # noqa: PLR0913, each parameter is a flag and a field of the UI's form
    source: Annotated[str, DATA, ADDRESS] = "mnist",
    *,
    network: Annotated[NetworkName, AUDIT] = DEFAULT_NETWORK,
    folds: Annotated[int, Field(ge=2, le=20), AUDIT] = 5,
    test_source: Annotated[str, DATA, ADDRESS] = "",
    inbox: Annotated[str, DATA, ADDRESS] = "",
    rules: Annotated[AuditRules, Parameter(name="*"), VALIDATION] = AUDIT_RULES,
    store: Annotated[str, STORE, ADDRESS] = "store",
) -> State[Audit]:
    """List the rows whose labels may be wrong, near-duplicates with other labels, and outliers. Changes no data.

    Args:
        source: mnist, fashion-mnist, a file, a folder or shards.
        network: Network that is trained on each fold, with the recipe fast.
        folds: Parts of the training rows; each is predicted by a network trained on the others.
        test_source: Source of the test rows, if not the source itself.
        inbox: Folder of further training data, whose accepted files are audited, too; none is moved.
        rules: Rules that the data is validated against.
        store: Folder of the versions, or an object store's address.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(source, test_source=test_source, inbox=inbox, store=store)
    versions = open_store(store)
    raw = load(source, test_source or None, rules)
    raw = read_inbox(raw, Path(inbox), rules, versions, only_accepted=True) if inbox else raw
    dataset, _ = validate(raw, rules, versions, LOCAL)
    audited = audit(dataset, network, folds, versions)
    return Completed(message=audited.summary, data=audited)


def summary(audited: Audit) -> str:
    """Format the numbers of suspects and the locations of the list and the report."""
    return (
        f"\n{audited.summary}\n"
        f"suspects:   {audited.folder}/suspects.parquet\n"
        f"Prefect UI: {command_line.artifact_page(audited.artifact)}"
    )


if __name__ == "__main__":
    interrupted = "interrupted; the same command resumes at the last checkpoint, if there is one"
    command_line.run(audit_flow, with_headers(check), summary, preload=preload, interrupted=interrupted)
