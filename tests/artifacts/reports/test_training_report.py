"""The report: what a person must find in it, and that it stays small enough for the Prefect UI."""

import base64
import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from artifacts.reports import card, markdown, plots, quarantine, training_report
from schemas.gate import ChangedPrediction, Decision
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.recipe import PRESETS
from schemas.results import (
    Abstention,
    CheckResult,
    ClassMetrics,
    Drift,
    Evaluation,
    Mistake,
    Run,
    Validation,
)
from schemas.training import EpochRecord


@pytest.fixture(scope="module")
def validation() -> Validation:
    """Give what was found in an MNIST with one bad row."""
    row = pd.DataFrame([["train", "7", "blank; label missing", np.nan, *[0.0] * 784]])
    row.columns = ["part", "item", "reasons", *LABELLED_COLUMNS]
    return Validation(
        name="mnist",
        source="mnist",
        test_source=None,
        added=(),
        rules={},
        n_input={"train": 60_001, "test": 10_000},
        n_valid={"train": 60_000, "test": 10_000},
        n_quarantined={"train": 1, "test": 0},
        reasons={"label missing": {"train": 1, "test": 0}, "blank": {"train": 1, "test": 0}},
        quarantined=row,
        findings=(CheckResult("drift", "warning", "train part: ink drifted by 0.30 from the reference"),),
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
        n_rows=10_000,
        accuracy=0.9756,
        interval=(0.9724, 0.9784),
        confusion_matrix=matrix,
        classes=tuple(ClassMetrics(label, 0.97, 0.98, 0.975, 1000 + label) for label in range(10)),
        log_loss=0.0812,
        calibration_error=0.0123,
        mistakes=tuple(Mistake(row, 4, 9, 0.999, picture) for row in range(24)),
        abstention=Abstention(0.83, 0.97, 0.9993),
        right=np.ones(10_000, bool),
    )
    return Run(
        validation=validation,
        decision=Decision(
            promoted=True,
            reason="it fixes 30 mistakes of version 3 and makes 9 new ones",
            champion=3,
            rows=10_000,
            accuracy=0.9756,
            champion_accuracy=0.9735,
            fixed=30,
            made=9,
            difference=0.21,
            lower=0.08,
            alpha=0.03,
            p_better=0.0005,
            p_worse=0.9998,
            calibration_error=0.0123,
            model_mib=0.42,
            latency_ms=0.31,
            changes=(
                ChangedPrediction(fixed=True, label=4, picture=picture),
                ChangedPrediction(fixed=False, label=9, picture=picture),
            ),
        ),
        dataset_fingerprint="f" * 64,
        training_rows=57_000,
        validation_rows=3_000,
        recipe=PRESETS["fast"]["mlp"],
        fingerprint="a" * 64,
        weights_digest="b" * 64,
        history=tuple(EpochRecord(epoch, 1 / epoch, 0.9, 0.5 / epoch, 0.95, 0.4) for epoch in range(1, 21)),
        evaluation=evaluation,
        seconds={"start-up": 6.0, "load": 0.5, "train": 8.0, "orchestration": 1.5},
        environment={
            "python": "3.11.7",
            "libraries": {"tensorflow": "2.21.0", "keras": "3.15.1"},
            "system": "Linux x86_64",
            "processor": "a processor",
            "cores": 2,
            "workers": 1,
            "revision": "0123456789ab",
        },
    )


@pytest.fixture(scope="module")
def pictures(run: Run) -> dict[str, bytes]:
    return {
        "changes": plots.png(plots.change_sheet(run.decision.changes)),
        "confusion_matrix": plots.png(plots.confusion_heatmap(run.evaluation.confusion_matrix, 0.9756)),
        "learning_curve": plots.png(plots.learning_curve(run.history, augmented=True)),
        "mistakes": plots.png(plots.mistake_sheet(run.evaluation.mistakes)),
        "quarantine": quarantine.sheet(run.validation),
        "data": plots.png(plots.data_sheet(run.validation.means, run.validation.reference_means, ())),
    }


def test_accuracy_comes_first_with_its_interval_beside_the_original(run):
    head = training_report.training_report(run, 7, markdown.linked)[:400]
    assert head.startswith("# Version 7: 97.56% of 10,000 test digits")
    assert "95 % interval 97.24% to 97.84%" in head
    assert "original project reached 97.56%" in head


def test_the_confusion_matrix_is_a_table_with_the_counts(run):
    text = training_report.training_report(run, 1, markdown.linked)
    line = next(line for line in text.splitlines() if line.startswith("| **4** | 0"))
    assert line == "| **4** | 0 | 0 | 0 | 0 | **961** | 0 | 0 | 0 | 0 | 244 |"


def test_every_table_is_a_table(run):
    """Every line of a table has as many cells as its header, or the UI shows raw text."""
    for block in training_report.training_report(run, 1, markdown.linked).split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            assert len({line.count("|") for line in lines}) == 1
            assert re.fullmatch(r"\|( :-- \|)+( --: \|)*", lines[1])


def test_it_tells_of_data_recipe_time_and_libraries(run):
    text = training_report.training_report(run, 1, markdown.linked)
    for part in ("57,000", "3,000", "`ffffffffffffffff`", "| seed | 0 |", "| epochs |", "2.21.0"):
        assert part in text
    assert "Orchestration was 9.4% of it, the start-up (imports, a temporary Prefect server) 38%" in text


def test_pictures_are_linked_in_the_file_and_embedded_in_the_artifact(run, pictures):
    linked = training_report.training_report(run, 1, markdown.linked)
    assert re.findall(r"!\[.*?\]\((.*?)\)", linked) == [f"{name}.png" for name in pictures]
    whole = training_report.training_report(run, 1, markdown.embedded(pictures))
    data = re.findall(r"\(data:image/png;base64,(.*?)\)", whole)
    assert [base64.b64decode(picture) for picture in data] == list(pictures.values())


def test_the_artifact_stays_under_500_kilobytes(run, pictures):
    assert len(training_report.training_report(run, 1, markdown.embedded(pictures))) < 500_000


def test_without_mistakes_it_says_so(run):
    flawless = dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, mistakes=()))
    assert "## Mistakes\n\nNone." in training_report.training_report(flawless, 1, markdown.linked)


def test_the_class_table_has_a_row_for_every_digit(run):
    rows = training_report.class_table(run.metrics())
    assert [row["digit"] for row in rows] == list(range(10))
    assert rows[3] == {"digit": 3, "precision": "97.00%", "recall": "98.00%", "F1": "97.50%", "images": 1003}


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


def test_the_decision_comes_before_the_details(run):
    text = training_report.training_report(run, 4, markdown.linked)
    assert "**Promoted to champion**: it fixes 30 mistakes of version 3 and makes 9 new ones." in text
    assert text.index("## Decision") < text.index("## Confusion matrix")
    assert "| at worst, at a level of 97.00% | +0.08 |" in text
    refused = dataclasses.replace(
        run, decision=Decision(promoted=False, reason="too low", champion=None, rows=9, accuracy=0.5)
    )
    assert "**Not promoted**: too low." in training_report.training_report(refused, 4, markdown.linked)


def test_the_card_tells_what_the_model_is_for_and_rests_on(run):
    told = card.card(run, 4, "a run")
    text = card.card_markdown(told)
    for part in (
        "# Model card: version 4",
        "Promoted: it fixes 30 mistakes",
        "For single handwritten digits",
        "Not for letters",
        "97.56% of 10,000 test rows (95 % interval 97.24% to 97.84%), 244 mistakes",
        "From a confidence of 0.8300 on",
        "it answers 97.00% of the test rows, 99.930% of them rightly",
        "mnist: 57,000 rows to train on, 3,000 held out",
        "a processor, 2 cores",
        "0123456789ab",
        "Parent: 3.",
    ):
        assert part in text, part
    assert json.loads(json.dumps(told))["parent"] == 3
    unsure = told | {"abstention": {"threshold": None, "coverage": 0.0, "accuracy": None}}
    assert "it shouldn't answer by itself" in card.card_markdown(unsure)


def test_the_environment_names_the_code_and_the_machine():
    found = card.environment()
    assert found["cores"] >= 1
    assert found["processor"]
    assert found["libraries"]["tensorflow"]
