"""Promote a version to champion, or roll back to the previous champion.

Run it with `python flows/promote_flow.py --version 3 --reason "…"`, or with `--previous`.
"""

import flows  # noqa: F401, before Prefect

# isort: split
import contextlib
from typing import Annotated

from cyclopts import Parameter
from prefect import State, flow
from prefect.states import Completed

from artifacts.store.records import State as StoreState
from artifacts.store.store import Store
from flows import command_line
from schemas.address import ADDRESS
from schemas.errors import FlagError, InputError
from schemas.results import Promotion
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store
from tasks.promote import promote
from tasks.track import track
from tasks.tracking import mirror
from tasks.update_leaderboard import update_leaderboard


def check(*, version: int, previous: bool, reason: str, store: str) -> None:
    """Raise InputError for bad parameters, such as a version that isn't intact."""
    if bool(version) == previous:
        raise FlagError("choose a version with --version or --previous" + (", not both" if previous else ""))
    if not reason.strip():
        raise FlagError("--reason is empty; give a reason for the history")
    versions = Store(store)
    versions.check_writable()
    versions.check_intact(_resolve_version(version, versions.state(), store))


def run_name(*, version: int, previous: bool, store: str, **_others: object) -> str:
    """Return a name such as `promote version 3`."""
    if not previous:
        return f"promote version {version}"
    with contextlib.suppress(InputError):  # the flow reports it
        return f"roll back to version {_resolve_version(0, Store(store).state(), store)}"
    return "roll back"


@flow(name="promote", flow_run_name=run_names.namer(run_name))
def promote_flow(
    *,
    version: Annotated[int, Parameter(show_default=False)] = 0,
    previous: bool = False,
    reason: str = "by hand",
    store: Annotated[str, ADDRESS] = "store",
) -> State[Promotion]:
    """Promote a version to champion after verifying its files.

    Args:
        version: Number of the version to promote.
        previous: Roll back to the previous champion, in place of a version's number.
        reason: The reason, for the history.
        store: Folder of the versions, or an object store's address.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(version=version, previous=previous, reason=reason, store=store)
    versions = open_store(store).recover()
    state = versions.state()  # read once: a promotion that comes meanwhile must not be rolled back instead
    promotion = promote(versions, _resolve_version(version, state, store), state.champion, reason)
    update_leaderboard(versions)
    if mirror.is_configured():
        track(versions)
    return Completed(name="Promoted", message=promotion.summary, data=promotion)


def _resolve_version(version: int, state: StoreState, store: str) -> int:
    number = version or state.previous_champion
    if number is None:
        raise InputError(f"{store}: no version was the champion before; choose one with --version")
    return number


if __name__ == "__main__":
    command_line.run(promote_flow, check, lambda promotion: promotion.summary)
