"""Retrain the digit classifier: load, validate, train, evaluate, plot, publish.

Run it with `python flows/train_flow.py`; `--help` lists the parameters.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from prefect import flow

from artifacts.store import Store
from flows import command_line
from schemas.recipe import Overrides, Recipe, RecipeName
from schemas.results import Published
from tasks.evaluate import evaluate
from tasks.load import load
from tasks.plot import plot
from tasks.publish import publish
from tasks.sources import catalogue
from tasks.stage import stopwatch
from tasks.train import preload, train
from tasks.validate import validate


def check(source: str, store: Path, recipe: RecipeName, overrides: Overrides) -> Recipe:
    """Refuse what can't work, before anything is started; give the whole recipe."""
    catalogue.check(source)
    Store(store).check_writable()
    return overrides.applied_to(recipe)


@flow(name="train", flow_run_name="train {recipe} on {source}")
def train_flow(
    source: str = "mnist",
    store: Path = Path("store"),
    recipe: RecipeName = "fast",
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008, frozen
) -> Published:
    """Train a digit classifier and publish it as a version in the store, with its report.

    Args:
        source: Where the images come from: mnist (embedded), or the path of an .npz file in Keras' layout.
        store: The folder that keeps the versions; created when it isn't there.
        recipe: How to train: plain as the original project did, fast for seconds, best for minutes of work.
        overrides: Fields of the recipe that are to differ.
    """
    whole_recipe = check(source, store, recipe, overrides)
    with stopwatch() as watch:
        dataset = validate(load(source))
        trained = train(dataset, whole_recipe, Store(store).work)
        evaluation = evaluate(trained, dataset)
        pictures = plot(trained, evaluation)
        return publish(store, dataset, trained, evaluation, pictures, watch.seconds())


if __name__ == "__main__":
    command_line.run(train_flow, check=check, preload=preload)
