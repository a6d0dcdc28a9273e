"""The training report and the model card: their content, their plots, and a report small enough for the Prefect UI."""

import base64
import dataclasses
import json
import re
from types import SimpleNamespace

import pytest
from matplotlib.figure import Figure

from artifacts import version
from artifacts.reports import card, markdown, plots, training_report, validation_report
from artifacts.reports.markdown import Section
from schemas.gate import Decision
from schemas.recipe import PRESETS
from schemas.run import Run
from tasks.plot import plot

COSTS = {"measurements": {"accuracy": 0.9756, "calibration error": 0.0123, "a new metric": 0.42}}


@pytest.fixture(scope="module")
def plot_inputs(run: Run) -> tuple:
    """Return what the plot task gets for the run."""
    return run.training_result, run.evaluation, run.decision, run.dataset


@pytest.fixture(scope="module")
def pictures(run: Run, plot_inputs: tuple) -> dict[str, bytes]:
    """Return the PNGs of a run, those of `plot` and those of `validate`, in the order of the report."""
    return plot.fn(*plot_inputs) | plots.draw(validation_report.SECTIONS, run.dataset.validation)


def test_the_report_starts_with_accuracy_interval_and_the_original(run):
    head = training_report.training_report(run, 7, markdown.as_links)[:400]
    assert head.startswith("# Version 7: 97.56% of 10,000 test digits")
    assert "95 % interval 97.24% to 97.84%" in head
    assert "0.00 percentage points better than the original project, 97.56%" in head


def test_the_confusion_matrix_is_a_table_with_the_counts(run):
    text = training_report.training_report(run, 1, markdown.as_links)
    line = next(line for line in text.splitlines() if line.startswith("| **4** | 0"))
    assert line == "| **4** | 0 | 0 | 0 | 0 | **961** | 0 | 0 | 0 | 0 | 244 |"


def test_all_rows_of_a_table_have_the_cells_of_its_header(run):
    """Otherwise the UI shows the table as raw text."""
    for block in training_report.training_report(run, 1, markdown.as_links).split("\n\n"):
        lines = block.splitlines()
        if lines[0].startswith("|"):
            assert len({line.count("|") for line in lines}) == 1
            assert re.fullmatch(r"\|( :-- \|)+( --: \|)*", lines[1])


def test_the_report_has_data_recipe_time_and_libraries(run):
    text = training_report.training_report(run, 1, markdown.as_links)
    for part in (
        "### Quarantined rows\n\n| check",
        "57,000",
        "3,000",
        "`ffffffffffffffff`",
        "| seed | 0 |",
        "| epochs |",
        "2.21.0",
    ):
        assert part in text
    assert "Orchestration took 9.4% of it, the start-up (imports, a temporary Prefect server) 38%" in text


def test_plots_are_linked_in_the_file_and_embedded_in_the_artifact(run, pictures):
    linked = training_report.training_report(run, 1, markdown.as_links)
    assert re.findall(r"!\[.*?\]\((.*?)\)", linked) == [f"{name}.png" for name in pictures]
    whole = training_report.training_report(run, 1, markdown.as_data_uris(pictures))
    data = re.findall(r"\(data:image/png;base64,(.*?)\)", whole)
    assert [base64.b64decode(picture) for picture in data] == list(pictures.values())


def test_plots_beside_a_written_report_can_be_embedded_later(run, pictures, tmp_path):
    (tmp_path / "report.md").write_text(training_report.training_report(run, 1, markdown.as_links))
    for name, picture in pictures.items():
        (tmp_path / f"{name}.png").write_bytes(picture)
    embedded = training_report.training_report(run, 1, markdown.as_data_uris(pictures))
    assert markdown.embed_pictures(tmp_path / "report.md") == embedded


def test_a_new_section_appears_in_the_report_with_its_plot(run, plot_inputs, pictures, monkeypatch, tmp_path):
    section = Section(
        "Toy",
        lambda run, address: f"{run.training_result.training_rows} rows\n\n![Toy]({address('toy')})",
        {"toy": lambda inputs: Figure() if inputs.evaluation else None},
    )
    monkeypatch.setattr(training_report, "SECTIONS", (*training_report.SECTIONS, section))
    version.write(tmp_path, 1, "a run", run, plot.fn(*plot_inputs))
    assert (tmp_path / "report.md").read_text().endswith("## Toy\n\n57000 rows\n\n![Toy](toy.png)\n")
    assert (tmp_path / "toy.png").read_bytes().startswith(b"\x89PNG")


def test_a_section_without_text_is_left_out(run, monkeypatch):
    monkeypatch.setattr(training_report, "SECTIONS", (Section("Toy", lambda _run, _address: ""),))
    assert "Toy" not in training_report.training_report(run, 1, markdown.as_links)


def test_the_artifact_stays_under_500_kilobytes(run, pictures):
    assert len(training_report.training_report(run, 1, markdown.as_data_uris(pictures))) < 500_000


def test_a_run_without_mistakes_says_none(run):
    flawless = dataclasses.replace(run, evaluation=dataclasses.replace(run.evaluation, mistakes=()))
    assert "## Mistakes\n\nNone." in training_report.training_report(flawless, 1, markdown.as_links)


def test_the_class_table_has_a_row_for_every_digit(run):
    rows = training_report.class_table(run.metrics())
    assert [row["digit"] for row in rows] == list(range(10))
    assert rows[3] == {"digit": 3, "precision": "97.00%", "recall": "98.00%", "F1": "97.50%", "images": 1003}


def test_a_decision_without_changed_rows_has_no_plot_of_them(plot_inputs):
    result, evaluation, _, dataset = plot_inputs
    first = Decision(promoted=True, reason="the first", champion=None, rows=9, accuracy=0.98, **COSTS)
    assert set(plot.fn(result, evaluation, first, dataset)) == {
        "confusion_matrix",
        "robustness",
        "learning_curve",
        "mistakes",
    }


def test_the_report_has_each_slice_with_its_test_and_the_robustness(run):
    text = training_report.training_report(run, 1, markdown.as_links)
    assert "| digit: 4 | 982 | 96.00% | 95.00% to 97.00% | 12 | 9 | 0.81 |" in text
    assert "| file: few.csv | 3 | 100.00% | 44.00% to 100.00% |  |  | too few rows |" in text
    assert "75.00% of 4 test digits are recognised under a corruption" in text
    assert "+20.00 percentage points against the champion" in text


def test_the_report_has_processor_time_memory_and_energy(run):
    text = training_report.training_report(run, 1, markdown.as_links)
    assert (
        "Processor time 36 s, peak memory 900 MiB, child processes included; about 0.12 Wh, if a busy core takes"
        in text
    )


def test_metrics_are_plain_json(run):
    metrics = json.loads(json.dumps(run.metrics()))
    assert metrics["corruptions"] == {"fog": 1.0, "stripe": 0.5}
    assert metrics["slices"][0]["slice"] == "4"
    assert metrics["resources"]["watt_hours"] == pytest.approx(0.12)
    assert metrics["accuracy"] == 0.9756
    assert metrics["confusion_matrix"][4] == [0, 0, 0, 0, 961, 0, 0, 0, 0, 244]
    assert metrics["dataset"] == {
        "name": "mnist",
        "fingerprint": "f" * 64,
        "training_rows": 57_000,
        "validation_rows": 3_000,
        "test_rows": 10_000,
    }
    assert metrics["mistakes"][0] == {"row": 0, "label": 4, "predicted": 9, "confidence": 0.999}
    assert metrics["recipe"] == PRESETS["fast"].recipes["mlp"].model_dump(mode="json")


def test_the_decision_comes_before_the_details(run):
    text = training_report.training_report(run, 4, markdown.as_links)
    assert "**Promoted to champion**: it fixes 30 mistakes of version 3 and makes 9 new ones." in text
    assert text.index("## Decision") < text.index("## Confusion matrix")
    assert "Compared on 9,950 test rows (left out: 40 repeated, 10 trained on). Training rows that are new" in text
    assert "| right where the other is wrong | 30 | 9 |" in text
    assert "| lower bound of the gain over version 2 | +0.08 |" in text
    assert "| a new metric | 0.42 |" in text
    refused = dataclasses.replace(
        run, decision=Decision(promoted=False, reason="too low", champion=None, rows=9, accuracy=0.5, **COSTS)
    )
    assert "**Not promoted**: too low." in training_report.training_report(refused, 4, markdown.as_links)


def test_the_card_has_purpose_metrics_data_and_environment(run):
    contents = card.card(run, 4, "a run")
    text = card.card_markdown(contents)
    for part in (
        "# Model card: version 4",
        "Promoted: it fixes 30 mistakes",
        "For single handwritten digits",
        "Not for letters",
        "97.56% of 10,000 test digits (95 % interval 97.24% to 97.84%), 244 mistakes",
        "It abstains below a confidence of 0.8300, chosen on held-out rows: with 95 % confidence at least 99.5 % of",
        "It answers 97.00% of the test rows, 99.930% of them rightly",
        "mnist: 57,000 training rows, 3,000 held out",
        "a processor, 2 cores",
        "0123456789ab",
        "Parent: 3.",
    ):
        assert part in text, part
    assert json.loads(json.dumps(contents))["parent"] == 3
    always_abstains = contents | {"abstention": {"threshold": None, "coverage": 0.0, "accuracy": None}}
    assert "It abstains always" in card.card_markdown(always_abstains)


def test_the_environment_names_processor_and_libraries():
    environment = card.environment(SimpleNamespace(workers=1, precision="float32"))
    assert environment["cores"] >= 1
    assert environment["processor"]
    assert environment["libraries"]["tensorflow"]
