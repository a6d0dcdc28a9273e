"""Retrain the digit classifier: load, collect, validate, train, evaluate, compare, plot, publish, report.

Run it with `python flows/train_flow.py`; `--help` lists the parameters.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from prefect import State, flow
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from artifacts.store.store import Store
from artifacts.uri import local_path
from flows import command_line
from schemas.compute import LOCAL, Compute
from schemas.gate import DEFAULT_GATE, GateRules
from schemas.recipe import Overrides, Recipe, RecipeName
from schemas.results import PublishedVersion
from schemas.rules import DEFAULT_RULES, Rules
from tasks.compare import compare
from tasks.evaluate import evaluate
from tasks.find_cached_version import find_cached_version
from tasks.inbox.folder import Inbox
from tasks.load import load
from tasks.merge_inbox import merge_inbox
from tasks.orchestration.ray_cluster import check_engine, joined
from tasks.orchestration.stopwatch import stopwatch
from tasks.plot import plot
from tasks.publish import publish
from tasks.report_training import report_training
from tasks.sharding.memory import WORKERS
from tasks.sources import formats
from tasks.train import preload, train
from tasks.update_leaderboard import update_leaderboard
from tasks.validate import validate


def check(  # noqa: PLR0913, what can be looked at before anything is started
    source: str,
    test_source: str | None,
    inbox: Path | None,
    store: str,
    recipe: RecipeName,
    overrides: Overrides,
    compute: Compute,
    **_own_bounds: object,
) -> Recipe:
    """Refuse what can't work, before anything is started; give the whole recipe."""
    formats.check(source, test_source)
    check_engine(compute)
    if inbox is not None:
        Inbox(inbox).check(*map(formats.place, (source, test_source)), local_path(store))
    Store(store).check_writable()
    return overrides.applied_to(recipe)


@flow(
    name="train",
    flow_run_name="train {recipe} on {source}",
    task_runner=ThreadPoolTaskRunner(max_workers=WORKERS),  # type: ignore[arg-type]  # Prefect's own, invariant
)
def train_flow(  # noqa: PLR0913, what a person may want to change
    source: str = "mnist",
    test_source: str | None = None,
    inbox: Path | None = None,
    store: str = "store",
    recipe: RecipeName = "fast",
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008, frozen
    rules: Annotated[Rules, Parameter(name="*")] = DEFAULT_RULES,
    gate: Annotated[GateRules, Parameter(name="*")] = DEFAULT_GATE,
    compute: Annotated[Compute, Parameter(name="*")] = LOCAL,
    force: str | None = None,
    keep: Annotated[int, Field(ge=1)] = 20,
    *,
    retrain: bool = False,
) -> State[PublishedVersion]:
    """Train a digit classifier and publish it as a version in the store, with its report.

    Args:
        source: mnist, fashion-mnist, an .npz, .csv or .parquet file, a folder of IDX files or pictures, or shards.
        test_source: Where those to test with come from, if not from the source.
        inbox: A folder whose files are trained on, too; they are moved to its done/ or, with the reason, rejected/.
        store: The folder that keeps the versions, or an object store's address; created when it isn't there.
        recipe: How to train: plain as the original project did, fast for seconds, best for minutes of work.
        overrides: Fields of the recipe that are to differ.
        rules: What the data has to keep.
        gate: What makes a candidate the champion.
        compute: Where shards are staged and the network is trained.
        force: Train, and make the candidate the champion whatever the gate says, for this reason.
        keep: Versions to keep; older ones are removed, but never the champion or the one before it.
        retrain: Train even if a version of the same data, recipe, code and libraries is there.
    """
    whole_recipe = check(source, test_source, inbox, store, recipe, overrides, compute)
    versions = Store(store)
    versions.settle()
    with stopwatch() as watch, joined(compute):
        loaded = load(source, test_source, rules)
        if inbox is not None:
            loaded = merge_inbox(loaded, inbox, rules)
        dataset, data_plots = validate(loaded, rules, versions, compute)
        published = None if retrain or force else find_cached_version(dataset, whole_recipe, versions, compute)
        if published is None:
            trained = train(dataset, whole_recipe, versions.work, compute)
            evaluation = evaluate(trained, dataset)
            while published is None:  # again if another run's decision came first
                decision = compare(trained, evaluation, dataset, versions, gate, force)
                pictures = data_plots | plot(trained, evaluation, decision, dataset)
                published = publish(versions, dataset, trained, evaluation, decision, pictures, watch.seconds(), keep)
    published = report_training(published, versions)
    update_leaderboard(versions)
    name = "Unchanged" if published.unchanged else "Completed"
    return Completed(name=name, message=published.summary, data=published)


GOES_ON = "interrupted; the same command goes on from the last checkpoint, if there is one"

if __name__ == "__main__":
    command_line.run(train_flow, check=check, tell=command_line.published, preload=preload, interrupted=GOES_ON)
