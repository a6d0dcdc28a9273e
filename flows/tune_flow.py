"""Tune a recipe: search for one that is more accurate on your data, and write it to a file.

Run it with `python flows/tune_flow.py --source digits.csv`; `--help` lists the parameters.
"""

import flows  # noqa: F401, before Prefect

# isort: split
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from prefect import State, flow, unmapped
from prefect.futures import wait
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from artifacts import recipe_file
from flows import command_line
from flows.source_checks import check_sources, with_headers
from schemas.address import ADDRESS
from schemas.compute import LOCAL, Compute, Engine
from schemas.counts import count
from schemas.panels import COMPUTE, DATA, RECIPE, SEARCH, STORE, VALIDATION
from schemas.recipe import Overrides
from schemas.rules import DEFAULT_RULES, Rules
from schemas.tuning import Tuning
from tasks.confirm_recipes import confirm_recipes
from tasks.load import load
from tasks.orchestration import run_names
from tasks.orchestration.open_store import open_store
from tasks.orchestration.ray_cluster import check_engine, cluster
from tasks.report_tuning import report_tuning
from tasks.run_trial import run_trial
from tasks.train import preload
from tasks.tuning import open_study
from tasks.validate import validate

MAX_WORKERS = 64


def check(  # noqa: PLR0913, the parameters that can be checked without reading data
    source: str,
    test_source: str,
    recipe: str,
    overrides: Overrides,
    engine: Engine,
    ray_address: str,
    output: Path,
    store: str,
    **_others: object,
) -> None:
    """Raise InputError for bad parameters, within a second."""
    check_engine(Compute(engine=engine, ray_address=ray_address))
    overrides.applied_to(recipe_file.read(recipe))
    recipe_file.check_output(output)
    open_study.check(store)
    check_sources(source, test_source, store)


def run_name(source: str, recipe: str, trials: int, **_others: object) -> str:
    """Return a name such as `tune fast on scans.csv, 30 trials`."""
    return f"tune {run_names.source(recipe)} on {run_names.source(source)}, {count(trials, 'trial')}"


@flow(
    name="tune",
    flow_run_name=run_names.namer(run_name),
    task_runner=ThreadPoolTaskRunner(max_workers=MAX_WORKERS),  # type: ignore[arg-type]  # as in train_flow
)
def tune_flow(  # noqa: PLR0913, each parameter is a flag and a field of the UI's form
    source: Annotated[str, DATA, ADDRESS] = "mnist",
    *,
    recipe: Annotated[str, RECIPE] = "fast",
    overrides: Annotated[Overrides, Parameter(name="*"), RECIPE] = Overrides(),  # noqa: B008, frozen
    test_source: Annotated[str, DATA, ADDRESS] = "",
    rules: Annotated[Rules, Parameter(name="*"), VALIDATION] = DEFAULT_RULES,
    trials: Annotated[int, Field(ge=1, le=10_000), SEARCH] = 30,
    engine: Annotated[Engine, COMPUTE] = "local",
    ray_address: Annotated[str, COMPUTE] = "",
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS), COMPUTE] = 1,
    output: Annotated[Path, STORE] = Path("tuned.toml"),
    store: Annotated[str, STORE, ADDRESS] = "store",
) -> State[Tuning]:
    """Search for a recipe that is more accurate on your data, and write it to a file if there is one.

    Args:
        source: mnist, fashion-mnist, a file, a folder or shards.
        recipe: The recipe to start from: plain, fast, robust, best, or the path of a recipe file, .toml.
        overrides: Changes to the starting recipe. An empty field keeps the recipe's value.
        test_source: Source of the test rows, if not the source itself.
        rules: Rules that the data is validated against.
        trials: Recipes to try. The same command with more trials continues.
        engine: Try recipes in processes of this machine, or on Ray.
        ray_address: host:port of a Ray cluster's head, or auto; if empty, Ray starts on this machine.
        workers: Recipes that are tried at the same time and share the cores.
        output: The recipe file to write, .toml; --recipe reads it.
        store: Folder of the versions, which the study is kept in, too, unless DIGITS_STUDIES names a database.
    """
    if __name__ != "__main__":  # command_line.run has checked a script's parameters
        check(source, test_source, recipe, overrides, engine, ray_address, output, store)
    preset, versions = recipe_file.read(recipe), open_store(store)
    dataset, _ = validate(load(source, test_source or None, rules), rules, versions, LOCAL)
    start = overrides.applied_to(preset, len(dataset.train))
    with (
        cluster(Compute(engine=engine, ray_address=ray_address, workers=workers)),
        open_study.open_study(store, dataset, start, workers, engine) as (study, processes),
    ):
        for numbers in study.rounds(trials):
            round_ = run_trial.map(numbers, unmapped(study), unmapped(processes))
            wait(round_)
            round_.result()  # a failed trial is a result; any other error ends the search
        tuning = confirm_recipes(dataset, study, processes, trials, str(output))
    tuning = report_tuning(tuning)
    return Completed(name=tuning.outcome, message=tuning.summary, data=tuning)


def summary(tuning: Tuning) -> str:
    """Format the result and the location of the report."""
    return f"\n{tuning.summary}\nPrefect UI: {command_line.artifact_page(tuning.artifact)}"


if __name__ == "__main__":
    interrupted = "interrupted; the same command continues after the last finished trial"
    command_line.run(tune_flow, with_headers(check), summary, preload=preload, interrupted=interrupted)
