"""A network that is registered can be chosen, described and trained, with no other change."""

import json
import subprocess
import sys

import pytest
from samples import ROOT

SCRIPT = """
import json, sys
sys.path.insert(0, "tests")

from schemas.networks import network

@network("one layer")
def toy(layers):
    return [layers.Flatten(), layers.Dense(16, activation="relu")]

from pydantic import ValidationError
from samples import accepted
from artifacts.store.storage import storage_at

from schemas.recipe import Overrides
from tasks.inference.start_up import import_tensorflow
import_tensorflow()
from tasks.training.local_engine import train

try:
    Overrides(network="transformer")
except ValidationError as error:
    message = str(error)
recipe = Overrides(network="toy", batch_size=64, epochs=2).applied_to("fast")
result = train(accepted(sys.argv[1]), recipe, storage_at(sys.argv[2]), print, print)
print(json.dumps({
    "error": message,
    "help": [Overrides.model_json_schema()["properties"][name]["description"] for name in ("network", "epochs")],
    "epochs": len(result.history),
    "name": result.network.name,
    "parameters": result.network.count_params(),
}))
"""


@pytest.mark.slow
def test_one_registered_function_adds_a_network(tiny_npz, tmp_path):
    # In a process of its own: the networks' names become part of the recipe's type when it is imported.
    command = [sys.executable, "-c", SCRIPT, tiny_npz, tmp_path]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert "Input should be 'mlp', 'cnn' or 'toy'" in found["error"]
    assert "toy: one layer." in found["help"][0]
    assert "Default: plain 10, fast 14, robust 30, best 300; cnn:" in found["help"][1]  # as for all networks
    assert (found["epochs"], found["name"]) == (2, "toy")
    assert found["parameters"] == 785 * 16 + 17 * 10
