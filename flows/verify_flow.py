"""Verify that a published version matches its card.

Run it with `python flows/verify_flow.py`, for the champion, or with `--version 3`.
"""

import flows  # noqa: F401, before Prefect

# isort: split
from typing import Annotated

from prefect import State, flow
from prefect.states import Completed

from artifacts.store.store import Store
from flows import command_line
from schemas.address import ADDRESS
from schemas.results import VerificationResult
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store
from tasks.verify import verify


def check(*, version: int, store: str, **_others: object) -> None:
    """Raise InputError for bad parameters, within a second."""
    versions = Store(store)
    versions.card(versions.resolve_version(version))


def run_name(*, version: int, reproduce: bool, store: str) -> str:
    """Return a name such as `verify version 3`."""
    return f"{'reproduce' if reproduce else 'verify'} {run_names.version(version, store)}"


@flow(name="verify", flow_run_name=run_names.namer(run_name))
def verify_flow(
    *, version: int = 0, reproduce: bool = False, store: Annotated[str, ADDRESS] = "store"
) -> State[VerificationResult]:
    """Verify that a version matches its card: its files, its metrics, and with --reproduce its weights.

    Args:
        version: Number of the version to verify; 0: the champion.
        reproduce: Train again with the card's recipe and compare the weights bit for bit.
        store: Folder of the versions, or an object store's address.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(version=version, store=store)
    versions = open_store(store)
    verified = verify(versions, versions.resolve_version(version), reproduce=reproduce)
    return Completed(message=verified.summary, data=verified)


if __name__ == "__main__":
    command_line.run(verify_flow, check, lambda verified: verified.summary)
