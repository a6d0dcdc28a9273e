"""Both Prefect UIs after runs of the deployments: reports, runs, the form of parameters."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import prefect_ui
import pytest
import serving
from prefect_ui import NEWER, OLDER, PrefectUi
from samples import ROOT, draw_digits

from artifacts.store.store import Store

pytestmark = [pytest.mark.browser, pytest.mark.prefect]

MARKDOWNS = ["training-report", "data-validation", "prediction-report", "history"]
TABLES = ["leaderboard", "training-classes"]
RAW_MARKUP = ("|--", ":--", "--:", "![", "](", "**", "data:image", "<br", "# ", "`")


@dataclass(frozen=True)
class Deployed:
    """A server after runs of its deployments: two trained versions, one unchanged run, and a prediction."""

    api: httpx.Client
    password: str
    store: Store
    trained: dict[str, Any]
    unchanged: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.api.base_url).removesuffix("/api/")

    def artifact(self, key: str) -> dict[str, Any]:
        """Return the newest artifact of a key."""
        query = {"artifacts": {"key": {"any_": [key]}}, "sort": "UPDATED_DESC", "limit": 1}
        (artifact,) = self.api.post("/artifacts/filter", json=query).raise_for_status().json()
        return artifact

    def newest(self, name: str) -> dict[str, Any]:
        """Return a JSON file of the newest version."""
        return json.loads((self.store.local_dir(self.store.versions()[-1]) / name).read_text())


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Return a small source whose test part has four wrong labels, so that the report has mistakes."""
    x_train, y_train = draw_digits(600, seed=1)
    x_test, y_test = draw_digits(200, seed=2)
    y_test[:4] = (y_test[:4] + 1) % 10
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


@pytest.fixture(scope="module")
def browser():
    try:
        prefect_ui.chromium()
    except prefect_ui.NoBrowserError as error:
        pytest.skip(str(error))
    with prefect_ui.browser() as started:
        yield started


@pytest.fixture(scope="module")
def deployed(browser, source, tmp_path_factory):
    """Run `make up`, and the deployments as the UI does."""
    home = tmp_path_factory.mktemp("served")
    store = home / "store"
    overrides = {"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "validation_fraction": 0.1}
    common = {"source": str(source), "store": str(store), "inbox": "", "recipe": "plain"}
    with serving.served(home) as api:
        serving.enable_predict_trigger(api, enabled=False)  # only the runs below make reports
        runs = [
            serving.run(api, "train/retrain", common | {"overrides": overrides | {"seed": seed}}) for seed in (0, 1, 1)
        ]
        output = str(home / "predictions.csv")
        predicted = {"input": str(source), "store": str(store), "output": output}
        runs.append(serving.run(api, "predict/predict", predicted))
        assert {run["state_type"] for run in runs} == {"COMPLETED"}
        yield Deployed(api, serving.read_password(home), Store(store), runs[1], runs[2])


@pytest.fixture(params=[NEWER, OLDER])
def ui(request, browser, deployed):
    """Yield a page of each UI; check that neither its scripts nor the server's responses failed."""
    with PrefectUi.opened(browser, deployed.address, request.param, deployed.password) as opened:
        yield opened
        assert opened.faults == []


@pytest.mark.parametrize("version", [NEWER, OLDER])
def test_ui_asks_for_the_password(browser, deployed, version):
    with PrefectUi.opened(browser, deployed.address, version) as ui:
        ui.open("/artifacts")
        ui.page.locator("input[type=password]").fill(deployed.password)
        ui.page.keyboard.press("Enter")
        ui.page.get_by_text("training-report", exact=True).first.wait_for()


REQUEST = """async ([url, body]) => {
    const json = {method: "POST", headers: {"Content-Type": "application/json"}, body}
    const opaque = await fetch(url, {method: "POST", mode: "no-cors", body})
    return [opaque.type, await fetch(url, json).then(response => response.status, error => error.name)]
}"""


def test_page_of_another_origin_starts_no_run(browser, deployed, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path))
    Thread(target=server.serve_forever, daemon=True).start()
    count = {"flow_runs": {"tags": {"all_": ["digits"]}}}
    before = deployed.api.post("/flow_runs/count", json=count).json()
    verify = serving.deployment(deployed.api, "verify/verify")["id"]
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.goto("http://{}:{}".format(*server.server_address))
        answers = page.evaluate(REQUEST, [f"{deployed.address}/api/deployments/{verify}/create_flow_run", "{}"])
    server.shutdown()
    assert answers == ["opaque", "TypeError"]
    assert deployed.api.post("/flow_runs/count", json=count).json() == before


@pytest.mark.parametrize("key", MARKDOWNS)
def test_report_shows_all_pictures_and_tables_and_no_raw_markup(ui, deployed, key):
    text = deployed.artifact(key)["data"]
    ui.open_newest(key)
    pictures = ui.pictures()
    assert len(pictures) == text.count("](data:image/png;base64,") > 0
    assert all(pictures)
    assert len(ui.tables()) == text.count("\n| :--")
    assert ui.clipped_tables() == []
    assert [line for line in ui.lines() if any(mark in line for mark in RAW_MARKUP)] == []
    if key == "training-report":
        assert_accuracy_and_confusion_matrix(ui, deployed)


def assert_accuracy_and_confusion_matrix(ui, deployed):
    card, metrics = deployed.newest("card.json"), deployed.newest("metrics.json")
    assert f"Version 2: {card['figures']['accuracy']:.2%} of 200 test digits" in ui.lines()
    (matrix,) = [table for table in ui.tables() if table[0][0] == "true"]
    assert matrix[0][1:] == [str(digit) for digit in range(10)]
    assert [[int(cell) for cell in row[1:]] for row in matrix[1:]] == metrics["confusion_matrix"]


@pytest.mark.parametrize("key", TABLES)
def test_table_shows_every_cell(ui, deployed, key):
    rows = json.loads(deployed.artifact(key)["data"])
    ui.open_newest(key)
    (table,) = ui.tables()
    assert table == [list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]


def test_run_shows_its_name_tasks_and_artifacts(ui, deployed):
    run = deployed.trained
    query = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    names = sorted({task["name"] for task in deployed.api.post("/task_runs/filter", json=query).json()})
    assert len(names) >= 9
    ui.open_run(run["id"], "Task Runs", names[0])
    for name in [run["name"], *names]:
        ui.page.get_by_text(name, exact=True).first.wait_for()
    ui.open_run(run["id"], "Artifacts", "training-report")
    for key in ["training-report", "data-validation", "history", *TABLES]:
        ui.page.get_by_text(key, exact=True).first.wait_for()


def test_unchanged_run_shows_its_message(ui, deployed):
    run = deployed.unchanged
    assert run["state"]["message"]
    ui.open_message(run["id"])
    ui.page.get_by_text("Unchanged", exact=True).first.wait_for()
    ui.page.get_by_text(run["state"]["message"]).first.wait_for()


def test_form_shows_every_parameter_with_its_description(ui, deployed):
    schema = serving.deployment(deployed.api, "train/retrain")["parameter_openapi_schema"]
    ui.open_form("retrain")
    shown = set(itertools.pairwise(line for line in ui.lines() if line != "Open menu"))
    models = [schema, *schema["definitions"].values()]
    fields = [
        (field["title"], field["description"]) for model in models for field in model.get("properties", {}).values()
    ]
    assert len(fields) > 40
    assert [field for field in fields if (f"{field[0]} (Optional)", field[1]) not in shown] == []


def submit(ui) -> dict[str, Any]:
    """Click on Submit, again while the server's database is busy (the UI then shows an error), and return the run."""
    faults, statuses = list(ui.faults), []
    while not statuses or (statuses[-1] == httpx.codes.SERVICE_UNAVAILABLE and len(statuses) < 5):
        with ui.page.expect_response("**/create_flow_run") as response:
            ui.page.get_by_role("button", name="Submit").click()
        statuses.append(response.value.status)
    if len(statuses) > 1:
        ui.faults[:] = faults
    return response.value.json()


def test_form_starts_a_run_with_its_parameters_and_shows_the_result(ui, deployed, tmp_path):
    missing = str(tmp_path / "missing.csv")
    ui.open_form("retrain")
    assert "None" not in " ".join(ui.lines())
    ui.page.locator("textarea").first.fill(missing)
    ui.form_field("Epochs").fill("20")
    run = serving.wait_for_run(deployed.api, submit(ui)["id"])
    defaults = serving.deployment(deployed.api, "train/retrain")["parameters"]
    assert run["parameters"]["overrides"] == {"epochs": 20}, "the rest is left to the recipe"
    assert {name: run["parameters"][name] for name in defaults} == defaults | {"source": missing}
    assert run["state_name"] == "Failed"
    ui.open_message(run["id"])
    ui.page.get_by_text(f"InputError: {missing}: no such file or folder").first.wait_for()


def test_missing_chromium_skips_the_tests_which_fails_ci():
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--no-header",
        "-q",
        __file__,
        "-k",
        "training-report and v2",
        "--no-skips",
    ]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 skipped" in ended.stdout
    assert "install Chromium (on Debian, apt-get install chromium)" in ended.stdout
