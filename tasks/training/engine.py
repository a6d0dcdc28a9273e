"""Train a network by its recipe: split, go on from a checkpoint, run block after block, save each, end cleanly."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from schemas.errors import InputError
from schemas.results import TrainingResult
from tasks.inference.model import answers
from tasks.training import checkpoints
from tasks.training.block_loader import BlockLoader
from tasks.training.block_sampler import plan
from tasks.training.fingerprint import fingerprint
from tasks.training.signals import DeferredSignals
from tasks.training.trainer import Trainer
from tasks.training.worker import SINGLE_WORKER

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from artifacts.store.storage import Storage
    from schemas.images import Images
    from schemas.recipe import Recipe
    from schemas.results import Dataset, EpochRecord
    from tasks.training.block_sampler import BlockSampler
    from tasks.training.worker import Worker

MOST_HELD_OUT = 50_000


class TrainingJob(NamedTuple):
    """What is to be trained on and how, where its checkpoints are, and by how many workers. Picklable."""

    images: Images
    held_out: Images
    recipe: Recipe
    layout: BlockSampler
    identity: str
    place: Storage
    workers: int

    def feed(self) -> BlockLoader:
        """Give what reads its blocks."""
        return BlockLoader(self.images, self.layout, self.recipe.epochs)

    def begun(self, feed: BlockLoader, tell: Callable[[str], None], own: Worker = SINGLE_WORKER) -> Trainer:
        """Begin it, or go on from the newest checkpoint; `tell` hears of that."""
        session = Trainer(self.images.labels, self.layout, feed, self.held_out, self.recipe, own)
        saved = checkpoints.load_newest(self.place, tell)
        if saved:
            session.restore(saved)
            tell(f"going on {session.summary}, from the checkpoint in {self.place}")
        return session

    def ended(self, session: Trainer) -> TrainingResult:
        """Give what came of it."""
        network = session.finished()
        return TrainingResult(
            network=network,
            recipe=self.recipe,
            history=tuple(session.history),
            fingerprint=self.identity,
            digest=digest(network),
            training_rows=len(self.images),
            validation_rows=len(self.held_out),
            held_out_probabilities=answers(network, self.held_out),
            held_out_labels=self.held_out.labels,
            workers=self.workers,
        )


def planned(dataset: Dataset, recipe: Recipe, work: Storage, workers: int = 1) -> TrainingJob:
    """Plan a training, with its checkpoints in `work` under its fingerprint."""
    images, held_out = split(dataset, recipe)
    identity = fingerprint(dataset, recipe, workers)
    return TrainingJob(
        images, held_out, recipe, plan(dataset, len(images), recipe), identity, work.absolute().child(identity), workers
    )


def train(  # noqa: PLR0913, what a training is, and who hears of it
    dataset: Dataset,
    recipe: Recipe,
    work: Storage,
    on_epoch: Callable[[EpochRecord], None],
    tell: Callable[[str], None],
    on_block: Callable[[float], None] = lambda _: None,
) -> TrainingResult:
    """Train on the dataset's images; go on from a checkpoint in `work` under its fingerprint if there is one.

    `on_epoch` hears of each epoch done, `on_block` after each block what share of all is done, `tell` of what a person
    should know. Raises TrainingError when the loss is no longer a number or nothing was learned. A signal ends the
    training after the block under way, once that is saved; where everything is in memory an epoch is one block.
    """
    training = planned(dataset, recipe, work)
    with training.feed() as feed:
        session = training.begun(feed, tell)
        with DeferredSignals() as signals:
            while not session.ended:
                record = session.run_block()
                checkpoints.save(training.place, session.state())  # before anything else can go wrong
                on_block(session.share_done)
                if record:
                    on_epoch(record)
                if signals.received:
                    tell(f"interrupted {session.summary}; the same command goes on from there")
                    break
        return training.ended(session)


def split(dataset: Dataset, recipe: Recipe) -> tuple[Images, Images]:
    """Hold out the recipe's share of the training rows, every class in proportion, by the recipe's seed.

    No more than 50,000 rows are: the held-out accuracy is then known to a tenth of a point, and they fit in memory.
    """
    images, labels = dataset.train, dataset.train.labels
    everything = np.arange(len(labels))
    if recipe.validation_fraction == 0:
        return images, images.take(everything[:0])
    share = recipe.validation_fraction
    size = share if share * len(labels) < MOST_HELD_OUT else MOST_HELD_OUT
    try:
        kept, held_out = train_test_split(everything, test_size=size, stratify=labels, random_state=recipe.seed)
    except ValueError as error:
        raise InputError(
            f"{dataset.name}: {len(labels)} training rows can't be split by a validation fraction of "
            f"{recipe.validation_fraction} with every class in both parts; a --validation-fraction of 0 holds out none "
            f"({error})"
        ) from error
    kept.sort()
    return images.take(kept), images.take(held_out)


def digest(network: keras.Model) -> str:
    """Digest a network's weights, bit for bit."""
    total = hashlib.sha256()
    for weight in network.get_weights():
        total.update(weight.tobytes())
    return total.hexdigest()
