"""Train a network by its recipe: split, go on from a checkpoint, run epochs, save each, end cleanly."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import train_test_split

from schemas.errors import InputError
from schemas.pixel_frame import labels_of, pixels_of
from schemas.results import Trained
from tasks.training import checkpoints
from tasks.training.fingerprint import fingerprint
from tasks.training.inference import predictor, probabilities
from tasks.training.interruption import Deferred
from tasks.training.session import Rows, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import keras

    from schemas.recipe import Recipe
    from schemas.results import Dataset, EpochRecord


def train(
    dataset: Dataset,
    recipe: Recipe,
    work: Path,
    on_epoch: Callable[[EpochRecord], None],
    tell: Callable[[str], None],
) -> Trained:
    """Train on the dataset's training frame; go on from a checkpoint in `work/<fingerprint>` if there is one.

    `on_epoch` hears of each epoch done, `tell` of what a person should know. Raises TrainingError when the loss is no
    longer a number or nothing was learned. A signal ends the training after the epoch under way, once that is saved.
    """
    rows, held_out = split(dataset, recipe)
    identity = fingerprint(dataset.fingerprint, recipe)
    folder = work / identity
    session = Session(rows, held_out, recipe)
    saved = checkpoints.load_newest(folder, tell)
    if saved:
        session.restore(saved)
        tell(f"going on after epoch {len(saved.history)} of {recipe.epochs}, from the checkpoint in {folder}")
    with Deferred() as signals:
        while not session.ended:
            record = session.run_epoch()
            checkpoints.save(folder, session.state())  # before anything else can go wrong
            on_epoch(record)
            if signals.received:
                done = f"{session.epochs_done} of {recipe.epochs}"
                tell(f"interrupted after epoch {done}; the same command goes on from there")
                break
    network = session.finished()
    return Trained(
        network=network,
        recipe=recipe,
        history=tuple(session.history),
        fingerprint=identity,
        digest=digest(session.network),
        training_rows=len(rows.labels),
        validation_rows=len(held_out.labels),
        held_out_answers=probabilities(predictor(network), held_out.pixels),
        held_out_labels=held_out.labels,
    )


def split(dataset: Dataset, recipe: Recipe) -> tuple[Rows, Rows]:
    """Hold out the recipe's share of the training rows, every class in proportion, by the recipe's seed."""
    pixels, labels = pixels_of(dataset.train), labels_of(dataset.train).astype(np.int32)
    numbers = np.arange(len(labels))
    if recipe.validation_fraction == 0:
        return Rows(pixels, labels), Rows(pixels[:0], labels[:0])
    try:
        kept, held_out = train_test_split(
            numbers, test_size=recipe.validation_fraction, stratify=labels, random_state=recipe.seed
        )
    except ValueError as error:
        raise InputError(
            f"{dataset.name}: {len(labels)} training rows can't be split by a validation fraction of "
            f"{recipe.validation_fraction} with every class in both parts; 0 holds out none ({error})"
        ) from error
    kept.sort()
    return Rows(pixels[kept], labels[kept]), Rows(pixels[held_out], labels[held_out])


def digest(network: keras.Model) -> str:
    """Digest a network's weights, bit for bit."""
    total = hashlib.sha256()
    for weight in network.get_weights():
        total.update(weight.tobytes())
    return total.hexdigest()
