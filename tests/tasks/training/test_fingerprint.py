"""The fingerprint of a training: what makes a version stale and what doesn't."""

import dataclasses
import json
import shutil
import subprocess
import sys

import pytest
from samples import ROOT, clean_environment

from artifacts import code_digest
from artifacts.code_digest import covered_modules
from tasks.training.fingerprint import CODE, fingerprint


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Copy the project's code, and digest the copy."""
    for layer in ("schemas", "artifacts", "tasks"):
        shutil.copytree(ROOT / layer, tmp_path / layer)
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)
    code_digest.code_digest.cache_clear()
    yield tmp_path
    code_digest.code_digest.cache_clear()


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    code_digest.code_digest.cache_clear()


def test_rewording_a_comment_or_docstring_keeps_the_fingerprint(project, tiny, recipe):
    before = fingerprint(tiny, recipe)
    change(project / "tasks/training/block.py", "# 1 + start: the order", "# Why 1: the order")
    change(project / "tasks/training/networks.py", '"""Build a recipe', '"""Make a recipe')
    assert fingerprint(tiny, recipe) == before


@pytest.mark.parametrize(
    ("path", "old"),
    [
        ("tasks/training/networks.py", "SGD_MOMENTUM = 0.9"),
        ("tasks/training/worker.py", "GROUP = 32"),
        ("schemas/networks.py", "layers.Dense(128"),
    ],
)
def test_changing_a_number_that_decides_weights_changes_the_fingerprint(project, tiny, recipe, path, old):
    before = fingerprint(tiny, recipe)
    change(project / path, old, f"{old}1")
    assert fingerprint(tiny, recipe) != before


def test_data_recipe_and_number_of_workers_change_the_fingerprint(tiny, recipe):
    fingerprints = {
        fingerprint(tiny, recipe),
        fingerprint(tiny, recipe, n_workers=2),
        fingerprint(tiny, recipe.model_copy(update={"seed": 1})),
        fingerprint(dataclasses.replace(tiny, fingerprint="other"), recipe),
    }
    assert len(fingerprints) == 4


def test_variables_that_change_how_tensorflow_computes_are_part_of_it(tiny, recipe, monkeypatch):
    before = fingerprint(tiny, recipe)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    assert fingerprint(tiny, recipe) == before
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert fingerprint(tiny, recipe) != before


def test_settings_of_keras_in_the_home_folder_have_no_effect(tmp_path):
    settings = {"floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first", "backend": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    code = (
        "from tasks.inference.start_up import import_tensorflow; import_tensorflow()\n"
        "from tasks.training.fingerprint import variables; import keras; config = keras.config\n"
        "print(config.floatx(), config.epsilon(), config.image_data_format(), config.backend(), variables())"
    )
    environment = clean_environment(tmp_path) | {"KERAS_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "float32 1e-07 channels_last tensorflow {}\n"


def test_the_fingerprint_covers_all_code_that_decides_weights():
    covered = set(covered_modules(CODE))
    training = {"trainer", "block", "block_loader", "sampling", "augmentation", "networks", "worker"}
    assert covered >= {f"tasks.training.{name}" for name in training}
    assert covered >= {"schemas.networks", "schemas.images", "tasks.inference.predictor"}


def test_the_fingerprint_covers_no_report_store_or_validation_code():
    other = ("artifacts", "flows", "tasks.validation", "tasks.sources", "tasks.scoring", "schemas.results")
    other += ("schemas.review", "schemas.validation")
    assert [name for name in covered_modules(CODE) if name.startswith(other)] == []
