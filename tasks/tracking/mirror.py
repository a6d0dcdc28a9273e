"""Mirror a store in MLflow: a run and a version of the registered model for each version, and two aliases.

The store stays the truth. A version of the store is in MLflow once the registered model has a version with its tags, so
that each call adds what is missing, also after an outage, or on another server.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import httpx

from artifacts.store.store import MODEL, Store
from schemas.digits import CLASSES, SIDE
from schemas.errors import StoreError, UnavailableError, first_line, missing_extra
from tasks.inference.start_up import import_tensorflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models.model import ModelInfo

URI, NAME, DEFAULT_NAME = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "digits"
"""MLflow's own variables; the registered model has the experiment's name."""
DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow's variables that are set unless the user has set them: an outage must not hold up a run."""
ANSWER_SECONDS = 1.5
STORE_TAG, VERSION_TAG = "digits.store", "digits.version"
REPORT_SUFFIXES = {".md", ".png", ".json"}
MAX_METRICS = 1000
"""The number of metrics that MLflow takes in one request."""
LIBRARIES = ("keras", "tensorflow", "numpy")
"""What a logged model needs."""


def is_configured() -> bool:
    """Return whether the user has set an address of MLflow."""
    return bool(os.environ.get(URI))


def mirror(store: Store, warn: Callable[[str], None]) -> list[int]:
    """Add the versions that MLflow lacks, set the aliases, and return the added versions.

    Raises InputError if MLflow isn't installed or doesn't answer, and else whatever MLflow raises. A version that isn't
    intact is left out with a warning.
    """
    client = _connect()
    name = os.environ.get(NAME) or DEFAULT_NAME
    mirrored = _mirrored_versions(client, name, store)
    added = [version for version in store.versions() if version not in mirrored]
    for version in added:
        try:
            folder = store.verified_dir(version)
        except StoreError as error:
            warn(f"not logged to MLflow: {error}")
        else:
            mirrored[version] = _add_version(client, name, store, version, folder)
    _set_aliases(client, name, store, mirrored)
    return [version for version in added if version in mirrored]


def _connect() -> MlflowClient:
    uri = os.environ[URI]
    if importlib.util.find_spec("mlflow") is None:
        raise missing_extra(URI, "mlflow-skinny")
    if uri.startswith(("http://", "https://")):
        _check_answers(uri)
    for variable, value in DEFAULTS.items():
        os.environ.setdefault(variable, value)
    import mlflow

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    return mlflow.MlflowClient()


def _check_answers(uri: str) -> None:
    """Raise UnavailableError unless the server answers in time, before MLflow is imported.

    In a thread, since a timeout of a socket bounds neither the name's resolution nor a slow answer.
    """
    answer: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=lambda: answer.put(_request_fault(uri)), daemon=True).start()
    try:
        fault = answer.get(timeout=ANSWER_SECONDS)
    except Empty:
        fault = f"no answer within {ANSWER_SECONDS} seconds"
    if fault:
        raise UnavailableError(f"{URI}={uri}: {fault}")


def _request_fault(uri: str) -> str:
    """Return why a server can't be used, or ""; a refused login is reported by MLflow."""
    address = f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        url = httpx.URL(address).copy_with(userinfo=b"")  # httpx logs addresses
        status = httpx.get(url, follow_redirects=True).status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        return first_line(error)
    return f"the server's status is {status}" if status >= httpx.codes.INTERNAL_SERVER_ERROR else ""


def _mirrored_versions(client: MlflowClient, name: str, store: Store) -> dict[int, str]:
    """Return MLflow's version of each version of the store; raise StoreError if another store has the name."""
    models = client.search_registered_models(f"name = '{name}'")
    if not models:
        client.create_registered_model(name, {STORE_TAG: store.id}, f"Versions of the store {store.uri}")
    elif models[0].tags.get(STORE_TAG, "") != store.id:
        raise StoreError(f"MLflow's model {name} is of another store; set MLFLOW_EXPERIMENT_NAME to another name")
    versions = client.search_model_versions(f"name = '{name}'")
    return {int(one.tags[VERSION_TAG]): str(one.version) for one in versions if VERSION_TAG in one.tags}


def _add_version(client: MlflowClient, name: str, store: Store, version: int, folder: Path) -> str:
    """Log a version as a run and register its model, which completes it; return MLflow's version."""
    import mlflow

    card, metrics = store.card(version), json.loads((folder / "metrics.json").read_text("utf-8"))
    tags = {STORE_TAG: store.id, VERSION_TAG: str(version)}
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    end_ms = round(datetime.fromisoformat(card["made"]).timestamp() * 1000)
    start_ms = end_ms - round(sum(metrics["seconds"].values()) * 1000)
    run = client.create_run(experiment_id, start_ms, tags, f"version {version}").info.run_id
    with mlflow.start_run(run_id=run):  # marks the run as failed if this fails
        _log_results(client, run, card, metrics, end_ms)
        for path in folder.iterdir():
            if path.suffix in REPORT_SUFFIXES:
                client.log_artifact(run, str(path))
        logged = _log_model(folder, card)
    registered = client.create_model_version(  # a server needs the model's id, too
        name, logged.model_uri, run, tags, description=card["decision"]["reason"], model_id=logged.model_id
    )
    return str(registered.version)


def _log_results(client: MlflowClient, run: str, card: dict[str, Any], metrics: dict[str, Any], time_ms: int) -> None:
    """Log the recipe and the data, the metrics on the test rows, and those of each epoch as steps."""
    from mlflow.entities import Metric, Param

    data = {"data": card["data"]["name"], "data_fingerprint": card["data"]["fingerprint"]}
    client.log_batch(run, params=[Param(key, str(value)) for key, value in (card["recipe"] | data).items()])
    test = {f"test_{key}": value for key, value in _numbers(metrics).items()}
    entries = [Metric(key, value, time_ms, 0) for key, value in test.items()]
    for epoch in metrics["history"]:
        entries += [Metric(key, value, time_ms, epoch["epoch"]) for key, value in _numbers(epoch).items()]
    for start in range(0, len(entries), MAX_METRICS):
        client.log_batch(run, metrics=entries[start : start + MAX_METRICS])


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if isinstance(value, (int, float)) and key != "epoch"}


def _log_model(folder: Path, card: dict[str, Any]) -> ModelInfo:
    """Log a version's network to the active run.

    Its input is 28 × 28 pixels from 0 to 255, the example the mean image of each digit. MLflow's Keras flavor can't
    save an example (3.17), so that it is the TensorFlow flavor.
    """
    import_tensorflow()
    import mlflow.tensorflow
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    from artifacts.store import version_files
    from tasks.inference.model import load_network

    image = TensorSpec(np.dtype(np.uint8), (-1, SIDE, SIDE))
    probabilities = TensorSpec(np.dtype(np.float32), (-1, len(CLASSES)))
    means = np.rint(version_files.read_profile(folder / version_files.PROFILE).class_means).astype(np.uint8)
    libraries = card["environment"]["libraries"]
    with contextlib.redirect_stdout(None):  # MLflow predicts the example, with a progress bar
        logged: ModelInfo = mlflow.tensorflow.log_model(
            load_network(folder / MODEL),
            name="model",
            signature=ModelSignature(Schema([image]), Schema([probabilities])),
            input_example=means.reshape(-1, SIDE, SIDE),
            pip_requirements=[f"{name}=={libraries[name]}" for name in LIBRARIES],
        )
    return logged


def _set_aliases(client: MlflowClient, name: str, store: Store, mirrored: Mapping[int, str]) -> None:
    """Let `champion` be the store's champion and `candidate` its newest version, whatever is decided meanwhile."""
    while True:
        state = store.state()
        aliases = client.get_registered_model(name).aliases
        for alias, version in (("champion", state.champion), ("candidate", state.last_version)):
            target = mirrored.get(version or 0)
            if target and str(aliases.get(alias)) != target:
                client.set_registered_model_alias(name, alias, target)
        if store.state() == state:
            return
