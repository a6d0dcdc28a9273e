"""Prove that a published version is what its card says.

Run it with `python flows/verify_flow.py`, for the champion, or with `--version 3`.
"""

from prefect import State, flow
from prefect.states import Completed

from artifacts.store.store import Store
from flows import command_line
from schemas.results import VerificationResult
from tasks.verify import verify


def check(version: int | None, store: str, **_others: object) -> int:
    """Refuse what can't work, before anything is started; give the version that is meant."""
    meant = Store(store).resolve_version(version)
    Store(store).card(meant)
    return meant


@flow(name="verify", flow_run_name="verify")
def verify_flow(
    version: int | None = None, store: str = "store", *, reproduce: bool = False
) -> State[VerificationResult]:
    """Prove that a version is what its card says: its files, its figures, and with --reproduce its weights.

    Args:
        version: The version's number; the champion's if there is none.
        store: The folder that keeps the versions, or an object store's address.
        reproduce: Train anew by the card's recipe and compare the weights, bit for bit.
    """
    verified = verify(store, check(version, store), reproduce=reproduce)
    return Completed(message=verified.summary, data=verified)


if __name__ == "__main__":
    command_line.run(verify_flow, check=check, summary=lambda verified: verified.summary)
