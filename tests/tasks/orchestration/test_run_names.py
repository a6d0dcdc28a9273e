"""A run's name says what distinguishes it; a typed name stays."""

import pytest

from flows import predict_flow, promote_flow, train_flow, verify_flow
from schemas.gate import GateRules
from schemas.recipe import Overrides
from schemas.rules import Rules
from tasks.orchestration import run_names


@pytest.mark.parametrize("name", ["my experiment 7", "nightly", "seed-1", "train fast mlp on mnist"])
def test_typed_name_stays(monkeypatch, name):
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", name)
    assert run_names.namer(lambda **_: "train")() == name


@pytest.mark.parametrize("name", ["quick-fox", "Licensed-Feist", "lambda-thomson-vector"])
def test_generated_name_is_replaced(monkeypatch, name):
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__NAME", name)
    assert run_names.namer(lambda **_: "train")() == "train"


def test_name_of_a_training_lists_what_was_changed():
    plain = {"source": "mnist", "overrides": Overrides(), "rules": Rules(), "gate": GateRules()}
    assert train_flow.run_name(**plain, recipe="fast") == "train fast mlp on mnist"
    assert train_flow.run_name(**plain, recipe="recipes/own.toml") == "train own.toml on mnist"
    changed = plain | {"overrides": Overrides(network="cnn", epochs=3, seed=1), "rules": Rules(repair=("scale",))}
    assert train_flow.run_name(**changed, recipe="best") == "train best cnn on mnist, epochs 3, seed 1, repair scale"


def test_names_of_other_runs_have_the_version(tmp_path):
    store = str(tmp_path)
    assert verify_flow.run_name(version=3, store=store, reproduce=False) == "verify version 3"
    assert verify_flow.run_name(version=0, store=store, reproduce=True) == "reproduce the champion"
    assert promote_flow.run_name(version=3, store=store, previous=False, reason="r") == "promote version 3"
    assert predict_flow.run_name("/data/scans", 3, store) == "predict scans with version 3"
