"""What a person sees in both of Prefect's UIs after runs of the deployments: reports, runs, the form of parameters."""

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
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
RAW = ("|--", ":--", "--:", "![", "](", "**", "data:image", "<br", "# ", "`")


@dataclass(frozen=True)
class Retrained:
    """A server after its deployments ran: two versions trained, one run that found nothing to do, a prediction."""

    api: httpx.Client
    store: Store
    trained: dict[str, Any]
    unchanged: dict[str, Any]

    def artifact(self, key: str) -> dict[str, Any]:
        """Give the newest artifact of a key."""
        wanted = {"artifacts": {"key": {"any_": [key]}}, "sort": "UPDATED_DESC", "limit": 1}
        (found,) = self.api.post("/artifacts/filter", json=wanted).raise_for_status().json()
        return found

    def newest(self, name: str) -> dict[str, Any]:
        """Give a JSON file of the newest version."""
        return json.loads((self.store.local_dir(self.store.versions()[-1]) / name).read_text())


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Give a source of tiny digits of which four are mislabelled, so that there are mistakes to be shown."""
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
def retrained(browser, source, tmp_path_factory):
    """Start everything from nothing and run the deployments as the UI does."""
    home = tmp_path_factory.mktemp("served")
    store, quick = home / "store", {"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "validation_fraction": 0.1}
    common = {"source": str(source), "store": str(store), "inbox": None, "recipe": "plain"}
    with serving.served(home) as api:
        serving.enable_predict_trigger(api, enabled=False)  # the reports are to be those of the runs below
        runs = [serving.run(api, "train/retrain", common | {"overrides": quick | {"seed": seed}}) for seed in (0, 1, 1)]
        output = str(home / "predictions.csv")
        predicted = {"input": str(source), "store": str(store), "output": output}
        runs.append(serving.run(api, "predict/predict", predicted))
        assert {run["state_type"] for run in runs} == {"COMPLETED"}
        yield Retrained(api, Store(store), runs[1], runs[2])


@pytest.fixture(params=[NEWER, OLDER])
def ui(request, browser, retrained):
    """Give each UI in a page of its own; no script of it may fail, nor any answer of the server."""
    address = str(retrained.api.base_url).removesuffix("/api/")
    with PrefectUi.opened(browser, address, request.param) as opened:
        yield opened
        assert opened.faults == []


def test_the_training_report_has_the_accuracy_of_the_card_and_the_whole_confusion_matrix(ui, retrained):
    card, metrics = retrained.newest("card.json"), retrained.newest("metrics.json")
    ui.open_newest("training-report")
    assert f"Version 2: {card['figures']['accuracy']:.2%} of 200 test digits" in ui.lines()
    (matrix,) = [table for table in ui.tables() if table[0][0] == "true"]
    assert matrix[0][1:] == [str(digit) for digit in range(10)]
    assert [[int(cell) for cell in row[1:]] for row in matrix[1:]] == metrics["confusion_matrix"]


@pytest.mark.parametrize("key", MARKDOWNS)
def test_a_report_is_drawn_with_every_picture_and_table_and_without_raw_markup(ui, retrained, key):
    written = retrained.artifact(key)["data"]
    ui.open_newest(key)
    pictures = ui.pictures()
    assert len(pictures) == written.count("](data:image/png;base64,") > 0
    assert all(pictures)
    assert len(ui.tables()) == written.count("\n| :--")
    assert ui.cut_off() == []
    assert [line for line in ui.lines() if any(mark in line for mark in RAW)] == []


@pytest.mark.parametrize("key", TABLES)
def test_a_table_shows_every_cell(ui, retrained, key):
    rows = json.loads(retrained.artifact(key)["data"])
    ui.open_newest(key)
    (table,) = ui.tables()
    assert table == [list(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]


def test_a_run_shows_its_name_its_tasks_and_what_it_published(ui, retrained):
    run = retrained.trained
    ui.open_run(run["id"], "Task Runs")
    wanted = {"flow_runs": {"id": {"any_": [run["id"]]}}}
    names = {task["name"] for task in retrained.api.post("/task_runs/filter", json=wanted).json()}
    assert len(names) >= 9
    for name in [run["name"], *names]:
        ui.page.get_by_text(name, exact=True).first.wait_for()
    ui.click_tab("Artifacts")
    for key in ["training-report", "data-validation", "history", *TABLES]:
        ui.page.get_by_text(key, exact=True).first.wait_for()


def test_a_run_that_found_nothing_to_do_says_so(ui, retrained):
    run = retrained.unchanged
    assert run["state"]["message"]
    ui.open_message(run["id"])
    ui.page.get_by_text("Unchanged", exact=True).first.wait_for()
    ui.page.get_by_text(run["state"]["message"]).first.wait_for()


def test_the_form_shows_every_parameter_with_its_description(ui, retrained):
    schema = serving.deployment(retrained.api, "train/retrain")["parameter_openapi_schema"]
    ui.open_form("retrain")
    shown = set(itertools.pairwise(line for line in ui.lines() if line != "Open menu"))
    models = [schema, *schema["definitions"].values()]
    fields = [
        (field["title"], field["description"]) for model in models for field in model.get("properties", {}).values()
    ]
    assert len(fields) > 40
    assert [field for field in fields if (f"{field[0]} (Optional)", field[1]) not in shown] == []


def submitted(ui) -> dict[str, Any]:
    """Click on Submit, and again where the server refuses because its database is busy: the UI says so to a person."""
    faults, statuses = list(ui.faults), []
    while not statuses or (statuses[-1] == httpx.codes.SERVICE_UNAVAILABLE and len(statuses) < 5):
        with ui.page.expect_response("**/create_flow_run") as answer:
            ui.page.get_by_role("button", name="Submit").click()
        statuses.append(answer.value.status)
    if len(statuses) > 1:
        ui.faults[:] = faults
    return answer.value.json()


def test_the_form_starts_a_run_with_what_was_filled_in_and_tells_what_came_of_it(ui, retrained, tmp_path):
    missing = str(tmp_path / "missing.csv")
    ui.open_form("retrain")
    ui.page.locator("textarea").first.fill(missing)
    run = serving.wait_for_run(retrained.api, submitted(ui)["id"])
    given = serving.deployment(retrained.api, "train/retrain")["parameters"]
    assert {name: run["parameters"][name] for name in given} == given | {"source": missing}
    assert run["state_name"] == "Failed"
    ui.open_message(run["id"])
    ui.page.get_by_text(f"InputError: {missing}: no such file or folder").first.wait_for()


def test_without_chromium_tests_are_skipped_which_fails_ci():
    command = [sys.executable, "-m", "pytest", "--no-header", "-q", __file__, "-k", "accuracy and v2", "--no-skips"]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": ""}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 skipped" in ended.stdout
    assert "install Chromium (on Debian, apt-get install chromium)" in ended.stdout
