"""Retrain the digit classifier: load, merge_inbox, validate, train, evaluate, compare, plot, publish, report.

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
from schemas.recipe import Overrides, RecipeName
from schemas.results import PublishedVersion
from schemas.rules import DEFAULT_RULES, Rules
from tasks.compare import compare
from tasks.evaluate import evaluate
from tasks.find_cached_version import find_cached_version
from tasks.inbox.folder import Inbox
from tasks.load import load
from tasks.merge_inbox import merge_inbox
from tasks.orchestration.ray_cluster import check_engine, cluster
from tasks.orchestration.stopwatch import stopwatch
from tasks.plot import plot
from tasks.publish import publish
from tasks.report_training import report_training
from tasks.sharding.memory import WORKERS
from tasks.sources import formats
from tasks.train import preload, train
from tasks.update_leaderboard import update_leaderboard
from tasks.validate import validate


def check(  # noqa: PLR0913, the parameters that can be checked without reading data
    source: str,
    test_source: str | None,
    inbox: Path | None,
    store: str,
    recipe: RecipeName,
    overrides: Overrides,
    compute: Compute,
    **_others: object,
) -> None:
    """Raise InputError for bad parameters, within a second."""
    formats.check(source, test_source)
    check_engine(compute)
    if inbox is not None:
        Inbox(inbox).check(*map(formats.resolve_path, (source, test_source)), local_path(store))
    Store(store).check_writable()
    overrides.applied_to(recipe)


@flow(
    name="train",
    flow_run_name="train {recipe} on {source}",
    task_runner=ThreadPoolTaskRunner(max_workers=WORKERS),  # type: ignore[arg-type]  # Prefect's TaskRunner is invariant
)
@command_line.fill_docstring(sources=formats.source_help())
def train_flow(  # noqa: PLR0913, each parameter is a flag and a field of the UI's form
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
        source: {sources}.
        test_source: Source of the test rows; by default the test part of the source, or a share of its rows.
        inbox: A folder with additional training data; files are moved to its done/ or, with the reason, rejected/.
        store: The folder of the versions, or an object store's address; created if missing.
        recipe: Preset of the recipe: plain as in the original project, fast takes seconds, best takes minutes.
        overrides: Fields of the recipe to change.
        rules: Rules that the data is validated against.
        gate: Conditions for promoting the candidate to champion.
        compute: Where shards are cached and the network is trained.
        force: Train and promote the candidate even if the gate refuses it; the value is the reason for the history.
        keep: Number of versions to keep; the champion and its predecessor are always kept.
        retrain: Train even if a version of the same data, recipe, code and libraries exists.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(source, test_source, inbox, store, recipe, overrides, compute)
    (versions := Store(store)).recover()
    with stopwatch() as seconds, cluster(compute):
        raw = load(source, test_source, rules)
        raw = merge_inbox(raw, inbox, rules) if inbox else raw
        dataset, data_plots = validate(raw, rules, versions, compute)
        full_recipe = overrides.applied_to(recipe, len(dataset.train))
        published = None if retrain or force else find_cached_version(dataset, full_recipe, versions, compute)
        if published is None:
            trained = train(dataset, full_recipe, versions.work, compute)
            evaluation = evaluate(trained, dataset)
            while published is None:  # again if another run's decision came first
                decision = compare(trained, evaluation, dataset, versions, gate, force)
                plots = plot(trained, evaluation, decision, dataset) | data_plots
                published = publish(versions, dataset, trained, evaluation, decision, plots, seconds(), keep)
    published = report_training(published, versions)
    update_leaderboard(versions)
    return Completed(name="Unchanged" if published.unchanged else None, message=published.summary, data=published)


def summary(published: PublishedVersion) -> str:
    """Format the decision, the metrics and the location of the report."""
    return (
        f"\n{published.decision_message}\n{published.metrics_message}\n"
        f"report:     {published.folder}/report.md\n"
        f"Prefect UI: {command_line.artifact_page(published.artifact)}"
    )


if __name__ == "__main__":
    interrupted = "interrupted; the same command resumes at the last checkpoint, if there is one"
    command_line.run(train_flow, check, summary, preload=preload, interrupted=interrupted)
