"""Make a version the champion, or go back to the one before it.

Run it with `python flows/promote_flow.py --version 3 --reason "…"`, or with `--previous`.
"""

from prefect import State, flow
from prefect.states import Completed

from artifacts.store.store import Store
from flows import command_line
from schemas.errors import InputError
from schemas.results import Promotion
from tasks.promote import promote
from tasks.update_leaderboard import rank


def check(version: int | None, store: str, reason: str, *, previous: bool) -> int:
    """Refuse what can't work, before anything is started; give the version that is meant."""
    if (version is None) == (not previous):
        raise InputError("either --version or --previous is needed, and not both")
    if not reason.strip():
        raise InputError("--reason is empty; say why, for those who read the history")
    meant = Store(store).previous_champion() if version is None else version
    if meant is None:
        raise InputError(f"store {store}: no version was the champion before; --version names one")
    Store(store).check_intact(meant)
    return meant


@flow(name="promote", flow_run_name="promote")
def promote_flow(
    version: int | None = None, store: str = "store", reason: str = "by hand", *, previous: bool = False
) -> State[Promotion]:
    """Make a version the champion, verified before it is used.

    Args:
        version: The version's number.
        store: The folder that keeps the versions, or an object store's address.
        reason: Why, for the history.
        previous: Go back to the version that was the champion before.
    """
    crowned = promote(store, check(version, store, reason, previous=previous), reason)
    rank(store)
    return Completed(message=crowned.summary, data=crowned)


if __name__ == "__main__":
    command_line.run(promote_flow, check=check, summary=lambda crowned: crowned.summary)
