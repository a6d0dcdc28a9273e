"""MLflow follows the store, and its absence costs a run a warning."""

import importlib.util
import socket

import numpy as np
import pytest
from samples import QUICK, draw_digits, publish

from artifacts.store.store import MODEL, Store
from flows.promote_flow import promote_flow
from flows.train_flow import train_flow
from schemas.errors import InputError
from tasks.tracking import mirror


@pytest.fixture
def tracking(tmp_path, monkeypatch):
    """Let MLflow use a database in a folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for name, value in mirror.DEFAULTS.items():
        monkeypatch.setenv(name, value)


def labels_by_alias(alias, pixels):
    import mlflow

    model = mlflow.pyfunc.load_model(f"models:/digits@{alias}")
    assert model.input_example.shape == (10, 28, 28)
    return model.predict(pixels).argmax(axis=1)


def labels_of(store, version, pixels):
    from tasks.inference import loader

    return loader.load_version(store.local_dir(version), version)(pixels.reshape(len(pixels), -1)).argmax(axis=1)


@pytest.mark.slow
@pytest.mark.prefect
@pytest.mark.filterwarnings("ignore")  # MLflow's and Keras' own
def test_mlflow_has_each_version_and_its_aliases_follow_the_store(store_copy, tracking, tiny_npz, monkeypatch):
    import mlflow

    create = mlflow.MlflowClient.create_model_version

    def create_on_a_server(*arguments, model_id, **options):
        """Require the id, as a server does, but no database file."""
        return create(*arguments, model_id=model_id, **options)

    monkeypatch.setattr(mlflow.MlflowClient, "create_model_version", create_on_a_server)
    store, pixels = Store(store_copy), draw_digits(200, seed=2)[0]
    changed = QUICK.model_copy(update={"seed": 1})
    train_flow(str(tiny_npz), store=store.uri, recipe="plain", overrides=changed)  # adds version 1, too
    client = mlflow.MlflowClient()
    found = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    runs = {run.data.tags["digits.version"]: run for run in found}
    assert runs.keys() == {"1", "2"}
    assert runs["2"].data.params["seed"] == "1"
    run = runs["2"].info.run_id
    assert len(client.get_metric_history(run, "loss")) == QUICK.epochs
    assert {"report.md", "learning_curve.png"} <= {file.path for file in client.list_artifacts(run)}

    def assert_version(alias, version):
        assert np.array_equal(labels_by_alias(alias, pixels), labels_of(store, version, pixels))

    assert_version("champion", 1)
    assert_version("candidate", 2)
    promote_flow(store=store.uri, version=2)
    assert_version("champion", 2)
    promote_flow(store=store.uri, previous=True)
    assert_version("champion", 1)
    assert mirror.mirror(store, pytest.fail) == []
    assert len(client.search_model_versions("name = 'digits'")) == 2


@pytest.mark.filterwarnings("ignore")
def test_damaged_versions_and_models_of_other_stores_stay_out(tmp_path, tracking):
    first, second = Store(tmp_path / "first"), Store(tmp_path / "second")
    publish(first)
    (first.local_dir(1) / MODEL).write_bytes(b"")
    warnings = []
    assert mirror.mirror(first, warnings.append) == []
    (warning,) = warnings
    assert "not logged to MLflow: version 1: model.keras was changed" in warning
    publish(second)
    with pytest.raises(InputError, match="MLflow's model digits is of another store; set MLFLOW_EXPERIMENT_NAME"):
        mirror.mirror(second, pytest.fail)


@pytest.fixture
def silent_server():
    """Listen on a port without ever answering."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(("port", "reason", "limit"), [(9, "refused", 60), (None, "no answer within", 0.2)])
def test_absent_server_costs_at_most_two_seconds(tmp_path, monkeypatch, silent_server, port, reason, limit):  # noqa: PLR0913, fixtures
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:secret@127.0.0.1:{port or silent_server}")
    assert mirror.ANSWER_SECONDS < 2
    monkeypatch.setattr(mirror, "ANSWER_SECONDS", limit)
    with pytest.raises(InputError, match=f"MLFLOW_TRACKING_URI=http.*{reason}") as raised:
        mirror.mirror(Store(tmp_path / "store"), pytest.fail)
    assert "secret" not in str(raised.value)


def test_missing_mlflow_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI: mlflow-skinny isn't installed; install it with pip"):
        mirror.mirror(Store(tmp_path / "store"), pytest.fail)
