"""Repeatability with thousands of real rows and large batches, which all parallel kernels take part in."""

import subprocess
import sys

import pytest
from samples import ROOT

TRAINING = """
import dataclasses, sys, tempfile
import numpy as np
sys.path.append("tests")
from pathlib import Path
from samples import accepted
from artifacts.store.folder_storage import FolderStorage
from schemas.recipe import Overrides
from tasks.inference.start_up import import_tensorflow
import_tensorflow()
from tasks.training.local_engine import train

mnist = accepted("mnist")
few = dataclasses.replace(mnist, train=mnist.train.take(np.arange(9000)))
for network in ("mlp", "cnn"):
    recipe = Overrides(network=network, epochs=2).applied_to("fast")
    with tempfile.TemporaryDirectory() as work:
        print(network, train(few, recipe, FolderStorage(Path(work)), lambda record: None, print).digest)
"""


@pytest.mark.mnist
def test_another_process_trains_the_same_weights(capsys):
    command = [sys.executable, "-c", TRAINING]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    exec(TRAINING, {})  # noqa: S102, the same lines in this process
    assert printed == capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()] == ["mlp", "cnn"]
    assert len({line.split()[1] for line in printed.splitlines()}) == 2
