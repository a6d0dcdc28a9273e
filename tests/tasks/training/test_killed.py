"""SIGKILL: a training killed in its teacher's part and in its own ends with the weights of an uninterrupted one."""

import random
import subprocess
import sys

import pytest
from samples import ROOT

from schemas.recipe import Overrides

OVERRIDES = {"teacher_epochs": 6, "epochs": 12, "batch_size": 64, "weight_averaging": 0.9, "patience": 50}
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

def log(message):
    print(message, flush=True)
    time.sleep(0.1)

recipe = Overrides(**{OVERRIDES}).applied_to("fast")
work = FolderStorage(Path(sys.argv[2]))
result = train(accepted(sys.argv[1]), recipe, work, lambda record: log(f"student, epoch {{record.epoch}}/"), log)
print("digest", result.digest)
"""


def start(source, work):
    return subprocess.Popen([sys.executable, "-c", TRAINING, source, work], cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_training_killed_at_random_ends_with_the_same_weights(train, tiny_npz, tmp_path):
    chance = random.Random(20)  # noqa: S311, not a secret
    printed = ""
    for last in (f"teacher, epoch {chance.randint(1, 4)}/", f"student, epoch {chance.randint(1, 9)}/"):
        with start(tiny_npz, tmp_path / "b") as process:
            for line in process.stdout:
                assert not line.startswith("digest"), "it finished before it was killed"
                printed += line
                if line.startswith(last):
                    break
            process.kill()
    with start(tiny_npz, tmp_path / "b") as process:
        printed += process.stdout.read()
    assert "\nteacher: resuming after epoch" in printed
    assert "\nresuming after epoch" in printed
    assert printed.count("epoch 1/") == 2, "each phase started once"
    recipe = Overrides(**OVERRIDES).applied_to("fast")
    assert printed.split("digest ")[1].strip() == train(recipe, tmp_path / "a").digest
