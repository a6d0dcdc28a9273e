"""The report: what a person must find in it, and that it stays small enough for the Prefect UI."""

import base64
import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from artifacts import figures, markdown, quarantine, report
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.recipe import PRESETS
from schemas.results import ClassFigures, Drift, EpochRecord, Evaluation, Finding, Mistake, Run, Validation


@pytest.fixture(scope="module")
def validation() -> Validation:
    """Give what was found in an MNIST with one bad row."""
    row = pd.DataFrame([["train", "7", "blank; label missing", np.nan, *[0.0] * 784]])
    row.columns = ["part", "item", "reasons", *LABELLED_COLUMNS]
    return Validation(
        name="mnist",
        came={"train": 60_001, "test": 10_000},
        kept={"train": 60_000, "test": 10_000},
        quarantined=row,
        findings=(Finding("drift", "warning", "train part: ink drifted by 0.30 from the reference"),),
        drifts=(Drift("train", "ink", 0.3, 0.25), Drift("test", "ink", 0.01, 0.25)),
        repairs=("scale",),
        reference="mnist, 60,000 rows",
        label_counts={"train": [6000] * 10, "test": [1000] * 10},
        means=np.full((10, 784), 30, np.float32),
        reference_means=np.full((10, 784), 40, np.float32),
    )


@pytest.fixture(scope="module")
def run(validation) -> Run:
    random = np.random.default_rng(0)
    matrix = np.diag([965, 1127, 996, 978, 961, 866, 951, 991, 937, 984])
    matrix[4, 9] = 244
    picture = random.integers(0, 256, (28, 28), dtype=np.uint8)
    evaluation = Evaluation(
        rows=10_000,
        accuracy=0.9756,
        interval=(0.9724, 0.9784),
        confusion_matrix=matrix,
        classes=tuple(ClassFigures(label, 0.97, 0.98, 0.975, 1000 + label) for label in range(10)),
        log_loss=0.0812,
        calibration_error=0.0123,
        mistakes=tuple(Mistake(row, 4, 9, 0.999, picture) for row in range(24)),
    )
    return Run(
        validation=validation,
        dataset_fingerprint="f" * 64,
        training_rows=57_000,
        validation_rows=3_000,
        recipe=PRESETS["fast"]["mlp"],
        fingerprint="a" * 64,
        weights_digest="b" * 64,
        history=tuple(EpochRecord(epoch, 1 / epoch, 0.9, 0.5 / epoch, 0.95, 0.4) for epoch in range(1, 21)),
        evaluation=evaluation,
        seconds={"start-up": 6.0, "load": 0.5, "train": 8.0, "orchestration": 1.5},
        libraries={"tensorflow": "2.21.0", "keras": "3.15.1"},
    )


@pytest.fixture(scope="module")
def pictures(run: Run) -> dict[str, bytes]:
    return {
        "confusion_matrix": figures.png(figures.confusion_heatmap(run.evaluation.confusion_matrix, 0.9756)),
        "learning_curve": figures.png(figures.learning_curve(run.history, augmented=True)),
        "mistakes": figures.png(figures.mistake_sheet(run.evaluation.mistakes)),
        "quarantine": quarantine.sheet(run.validation.quarantined),
        "data": figures.png(figures.data_sheet(run.validation.means, run.validation.reference_means, ())),
    }


def test_accuracy_comes_first_with_its_interval_beside_the_original(run):
    head = report.training_report(run, 7, markdown.linked)[:400]
    assert head.startswith("# Version 7: 97.56% of 10,000 test digits")
    assert "95 % interval 97.24% to 97.84%" in head
    assert "original project reached 97.56%" in head


def test_the_confusion_matrix_is_a_table_with_the_counts(run):
    text = report.training_report(run, 1, markdown.linked)
    line = next(line for line in text.splitlines() if line.startswith("| **4** | 0"))
    assert line == "| **4** | 0 | 0 | 0 | 0 | **961** | 0 | 0 | 0 | 0 | 244 |"


def test_every_table_is_a_table(run):
    """Every line of a table has as many cells as its header, or the UI shows raw text."""
    for block in report.training_report(run, 1, markdown.linked).split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            assert len({line.count("|") for line in lines}) == 1
            assert re.fullmatch(r"\|( :-- \|)+( --: \|)*", lines[1])


def test_it_tells_of_data_recipe_time_and_libraries(run):
    text = report.training_report(run, 1, markdown.linked)
    for part in ("57,000", "3,000", "`ffffffffffffffff`", "| seed | 0 |", "| epochs |", "2.21.0"):
        assert part in text
    assert "Orchestration was 9.4% of it, the start-up (imports, a temporary Prefect server) 38%" in text


def test_pictures_are_linked_in_the_file_and_embedded_in_the_artifact(run, pictures):
    linked = report.training_report(run, 1, markdown.linked)
    assert re.findall(r"!\[.*?\]\((.*?)\)", linked) == [f"{name}.png" for name in pictures]
    whole = report.training_report(run, 1, markdown.embedded(pictures))
    data = re.findall(r"\(data:image/png;base64,(.*?)\)", whole)
    assert [base64.b64decode(picture) for picture in data] == list(pictures.values())


def test_the_artifact_stays_under_500_kilobytes(run, pictures):
    assert len(report.training_report(run, 1, markdown.embedded(pictures))) < 500_000


def test_without_mistakes_it_says_so(run):
    flawless = dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, mistakes=()))
    assert "## Mistakes\n\nNone." in report.training_report(flawless, 1, markdown.linked)


def test_the_class_table_has_a_row_for_every_digit(run):
    rows = report.class_table(run.evaluation)
    assert [row["digit"] for row in rows] == list(range(10))
    assert rows[3] == {"digit": 3, "precision": 0.97, "recall": 0.98, "F1": 0.975, "images": 1003}


def test_metrics_are_plain_json(run):
    metrics = json.loads(json.dumps(run.metrics()))
    assert metrics["accuracy"] == 0.9756
    assert metrics["confusion_matrix"][4] == [0, 0, 0, 0, 961, 0, 0, 0, 0, 244]
    assert metrics["dataset"] == {
        "name": "mnist",
        "fingerprint": "f" * 64,
        "training_rows": 57_000,
        "validation_rows": 3_000,
        "test_rows": 10_000,
    }
    assert metrics["recipe"] == PRESETS["fast"]["mlp"].model_dump(mode="json")
