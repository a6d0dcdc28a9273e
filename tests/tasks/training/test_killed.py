"""SIGKILL: a training process that is killed again and again ends with the weights of an uninterrupted one."""

import random
import subprocess
import sys

from samples import ROOT

from schemas.recipe import Overrides

OVERRIDES = {"epochs": 12, "batch_size": 64, "weight_averaging": 0.9, "patience": 50}
TRAINING = f"""
import sys, time
sys.path.insert(0, "tests")
from pathlib import Path
from artifacts.store.folder_storage import FolderStorage
from schemas.recipe import Overrides
from samples import accepted
from tasks.inference.start_up import import_tensorflow
import_tensorflow()
from tasks.training.local_engine import train

def on_epoch(record):
    print("epoch", record.epoch, flush=True)
    time.sleep(0.1)

recipe = Overrides(**{OVERRIDES}).applied_to("fast")
work = FolderStorage(Path(sys.argv[2]))
print("digest", train(accepted(sys.argv[1]), recipe, work, on_epoch, print).digest, flush=True)
"""


def start(source, work):
    return subprocess.Popen([sys.executable, "-c", TRAINING, source, work], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_training_killed_at_random_ends_with_the_same_weights(train, tiny_npz, tmp_path):
    chance = random.Random(20)  # noqa: S311, not a secret
    epochs_seen = []
    for last in (chance.randint(1, 4), chance.randint(5, 9)):
        with start(tiny_npz, tmp_path / "b") as process:
            for line in process.stdout:
                assert not line.startswith("digest"), "it finished before it was killed"
                epochs_seen += [int(line.split()[1])] if line.startswith("epoch ") else []
                if epochs_seen and epochs_seen[-1] >= last:
                    break
            process.kill()
    with start(tiny_npz, tmp_path / "b") as process:
        printed = process.stdout.read()
    assert "resuming after epoch" in printed
    assert "epoch 1\n" not in printed
    recipe = Overrides(**OVERRIDES).applied_to("fast")
    assert printed.split("digest ")[1].strip() == train(recipe, tmp_path / "a").digest
