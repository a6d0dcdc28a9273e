"""Review: write the images that a person should look at into a folder, the first ones first.

Run it with `python flows/review_flow.py --inbox inbox`; `--help` lists the parameters.
"""

import flows  # noqa: F401, before Prefect

# isort: split
from pathlib import Path
from typing import Annotated

from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from artifacts.store.store import Store
from artifacts.uri import local_path
from flows import command_line
from schemas.address import ADDRESS
from schemas.review import Review
from tasks.inbox.folder import Inbox
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store
from tasks.review import check_output, review


def check(*, output: Path, inbox: str, store: str, **_others: object) -> None:
    """Raise InputError for bad parameters, within a second."""
    check_output(output)
    if inbox:
        Inbox(Path(inbox)).check(local_path(store), output)
    Store(store).state()


def run_name(*, store: str, **_others: object) -> str:
    """Return a name such as `review the queue of store`."""
    return f"review the queue of {run_names.source(store)}"


@flow(name="review", flow_run_name=run_names.namer(run_name))
def review_flow(
    *,
    output: Annotated[Path, ADDRESS] = Path("review"),
    limit: Annotated[int, Field(ge=1, le=9999)] = 200,
    inbox: Annotated[str, ADDRESS] = "",
    store: Annotated[str, ADDRESS] = "store",
) -> State[Review]:
    """Write the images that are most worth a person's look into a folder, which then goes into the inbox.

    Args:
        output: Folder to create, with pictures, folders to move them into, and review.csv.
        limit: Maximum number of images in it.
        inbox: Folder of further training data; images that its files have corrected are left out.
        store: Folder of the versions, or an object store's address.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(output=output, inbox=inbox, store=store)
    result = review(open_store(store), inbox, output, limit)
    return Completed(message=result.summary, data=result)


def summary(result: Review) -> str:
    """Format the number of images and the location of the report."""
    next_step = f"move its pictures into 0 … 9 or none, then {result.folder} into the inbox"
    todo = f"to do:      {next_step}\n" if result.n_waiting else ""
    return f"\n{result.summary}\n{todo}Prefect UI: {command_line.artifact_page(result.artifact)}"


if __name__ == "__main__":
    command_line.run(review_flow, check, summary)
