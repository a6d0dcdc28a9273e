"""Retrain the digit classifier: load, read_inbox, validate, train, evaluate, compare, plot, publish, report.

Run it with `python flows/train_flow.py`; `--help` lists the parameters.
"""

import flows  # noqa: F401, before Prefect

# isort: split
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from prefect import State, flow
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from artifacts import recipe_file
from artifacts.store.store import Store
from flows import command_line
from flows.source_checks import check_sources, with_headers
from schemas.address import ADDRESS
from schemas.compute import LOCAL, Compute
from schemas.errors import first_line
from schemas.exports import Export, ExportFormat
from schemas.gate import DEFAULT_GATE, GateRules
from schemas.panels import COMPUTE, DATA, GATE, RECIPE, STORE, VALIDATION, WATCH
from schemas.recipe import DEFAULT_NETWORK, PRESETS, Overrides
from schemas.results import Dataset, Plots, PublishedVersion, RawDataset, TrainingResult
from schemas.rules import DEFAULT_RULES, Rules
from schemas.watch import DEFAULT_WATCH, WatchRules
from tasks.compare import compare
from tasks.evaluate import evaluate
from tasks.export import export_version
from tasks.exporting import formats
from tasks.find_cached_version import find_cached_version
from tasks.find_unchanged import find_unchanged
from tasks.load import load
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store
from tasks.orchestration.ray_cluster import check_engine, check_shared_server, cluster
from tasks.orchestration.stopwatch import stopwatch
from tasks.plot import plot
from tasks.publish import publish
from tasks.read_inbox import read_inbox
from tasks.report_training import report_training
from tasks.sharding.memory import WORKERS
from tasks.track import track
from tasks.tracking import mirror
from tasks.train import preload, train
from tasks.update_leaderboard import update_leaderboard
from tasks.validate import validate
from tasks.validation.input_digest import Inputs, take_snapshot
from tasks.watch_store import watch_store


def check(  # noqa: PLR0913, the parameters that can be checked without reading data
    source: str,
    test_source: str,
    inbox: str,
    store: str,
    recipe: str,
    overrides: Overrides,
    compute: Compute,
    export: tuple[ExportFormat, ...] = (),
    **_others: object,
) -> None:
    """Raise InputError for bad parameters, within a second."""
    overrides.applied_to(recipe_file.read(recipe))
    check_engine(compute)
    check_shared_server(compute)
    formats.check(export)
    check_sources(source, test_source, store, inbox)


def run_name(source: str, recipe: str, overrides: Overrides, rules: Rules, gate: GateRules, **_others: object) -> str:
    """Return a name such as `train fast cnn on mnist, epochs 3, seed 1`."""
    changed = overrides.model_dump(exclude_none=True)
    network = changed.pop("network", DEFAULT_NETWORK if recipe in PRESETS else "")  # a file may name another
    changed |= rules.model_dump(exclude_defaults=True) | gate.model_dump(exclude_defaults=True)
    trained = f"{run_names.source(recipe)} {network}".rstrip()
    return f"train {trained} on {run_names.source(source)}{run_names.changes(changed)}"


@flow(
    name="train",
    flow_run_name=run_names.namer(run_name),
    task_runner=ThreadPoolTaskRunner(max_workers=WORKERS),  # type: ignore[arg-type]  # Prefect's TaskRunner is invariant
)
def train_flow(  # noqa: PLR0913, each parameter is a flag and a field of the UI's form
    source: Annotated[str, DATA, ADDRESS] = "mnist",
    *,
    recipe: Annotated[str, RECIPE] = "fast",
    overrides: Annotated[Overrides, Parameter(name="*"), RECIPE] = Overrides(),  # noqa: B008, frozen
    test_source: Annotated[str, DATA, ADDRESS] = "",
    inbox: Annotated[str, DATA, ADDRESS] = "",
    rules: Annotated[Rules, Parameter(name="*"), VALIDATION] = DEFAULT_RULES,
    force: Annotated[str, GATE] = "",
    gate: Annotated[GateRules, Parameter(name="*"), GATE] = DEFAULT_GATE,
    compute: Annotated[Compute, Parameter(name="*"), COMPUTE] = LOCAL,
    store: Annotated[str, STORE, ADDRESS] = "store",
    keep: Annotated[int, Field(ge=1), STORE] = 20,
    export: Annotated[tuple[ExportFormat, ...], command_line.COMMAS, STORE] = (),
    retrain: Annotated[bool, STORE] = False,
    watch: Annotated[WatchRules, Parameter(name="*"), WATCH] = DEFAULT_WATCH,
) -> State[PublishedVersion]:
    """Train a digit classifier and publish it as a version in the store, with its report.

    Args:
        source: mnist, fashion-mnist, a file, a folder or shards.
        recipe: plain as the original project, fast takes seconds, best minutes, robust bears noise; or a file, .toml.
        overrides: Changes to the recipe. An empty field keeps the recipe's value.
        test_source: Source of the test rows, if not the source itself.
        inbox: Folder of further training data; files are moved to its done/ or rejected/.
        rules: Rules that the data is validated against.
        force: Reason for promoting the candidate even if the gate refuses it.
        gate: Conditions for promoting the candidate to champion.
        compute: Where shards are cached and the network is trained.
        store: Folder of the versions, or an object store's address.
        keep: Newest versions to keep, besides the champion, its predecessor and the best one so far.
        export: Formats to export the version in, if it is the champion then: onnx,litert,litert-int8,savedmodel.
        retrain: Train even if nothing has changed since a version was trained.
        watch: Thresholds of the alarms about the store.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(source, test_source, inbox, store, recipe, overrides, compute, export)
    preset, versions = recipe_file.read(recipe), open_store(store).recover()
    inputs = Inputs(source, test_source, inbox, rules, preset, overrides, compute)
    snapshot = None if retrain or force else take_snapshot(inputs, versions)
    if unchanged := snapshot and find_unchanged(snapshot, versions):
        return _finish(unchanged, versions, None, export, inbox, watch)
    with stopwatch() as seconds, cluster(compute):
        dataset, data_plots = validate(_read(source, test_source, inbox, rules, versions), rules, versions, compute)
        full_recipe = overrides.applied_to(preset, len(dataset.train))
        published = snapshot and find_cached_version(dataset, full_recipe, versions, compute, snapshot)
        if published is None:
            trained = train(dataset, full_recipe, versions.work, compute)
            published = _publish(versions, recipe, dataset, trained, data_plots, gate, force, seconds, keep)
    return _finish(published, versions, dataset, export, inbox, watch)


def _read(source: str, test_source: str, inbox: str, rules: Rules, versions: Store) -> RawDataset:
    """Load the source; with an inbox, also read its files."""
    raw = load(source, test_source or None, rules)
    return read_inbox(raw, Path(inbox), rules, versions) if inbox else raw


def _publish(  # noqa: PLR0913, the inputs of a version
    versions: Store,
    recipe: str,
    dataset: Dataset,
    trained: TrainingResult,
    data_plots: Plots,
    gate: GateRules,
    force: str,
    seconds: Callable[[], dict[str, float]],
    keep: int,
) -> PublishedVersion:
    """Evaluate a network, compare it with the champion, and publish it; again if another run's decision came first."""
    evaluation, published = evaluate(trained, dataset), None
    while published is None:
        decision = compare(trained, evaluation, dataset, versions, gate, force or None)
        plots = plot(trained, evaluation, decision, dataset) | data_plots
        published = publish(versions, recipe, dataset, trained, evaluation, decision, plots, seconds(), keep)
    return published


def _finish(  # noqa: PLR0913, the inputs of all steps
    published: PublishedVersion,
    versions: Store,
    dataset: Dataset | None,
    export: tuple[ExportFormat, ...],
    inbox: str,
    watch: WatchRules,
) -> State[PublishedVersion]:
    """Run the steps after the decision, none of which changes it; return the run's final state."""
    published = report_training(published, versions)
    update_leaderboard(versions)
    missing = [each for each in export if each not in versions.exports.names(published.version)]
    if missing and published.version == versions.champion():
        exports = _export(versions, published.version, missing, dataset)
        published = dataclasses.replace(published, exports=exports)
    watch_store(versions, published.outcome, inbox, watch)
    if mirror.is_configured():
        track(versions)
    return Completed(name=published.outcome, message=published.summary, data=published)


def _export(
    versions: Store, version: int, formats: Sequence[ExportFormat], dataset: Dataset | None
) -> tuple[Export, ...]:
    """Export the champion; whatever error the task ends with is part of the result, since the version stands."""
    result = export_version(versions, version, formats, dataset, return_state=True).result(raise_on_failure=False)
    if isinstance(result, Exception):
        fault, uri = first_line(result), versions.exports.uri
        return tuple(Export(version, each, uri(version, each), {}, fault) for each in formats)
    return result


def summary(published: PublishedVersion) -> str:
    """Format the decision, the metrics, the exports and the location of the report."""
    exports = "".join(f"export:     {each.summary}\n" for each in published.exports)
    return (
        f"\n{published.decision_message}\n{published.metrics_message}\n"
        f"report:     {published.folder}/report.md\n"
        f"{exports}"
        f"Prefect UI: {command_line.artifact_page(published.artifact)}"
    )


if __name__ == "__main__":
    interrupted = "interrupted; the same command resumes at the last checkpoint, if there is one"
    command_line.run(train_flow, with_headers(check), summary, preload=preload, interrupted=interrupted)
