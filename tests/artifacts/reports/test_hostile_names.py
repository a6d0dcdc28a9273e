"""Names that others choose are shown as they are, in one line, and do nothing: every name in every output."""

import csv
import dataclasses
import json
import logging

import hostile
import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from samples import publish

from artifacts import predictions_table
from artifacts.reports import card, leaderboard, markdown, plots, prediction_report, training_report, validation_report
from artifacts.store.store import Store
from flows import command_line
from schemas.errors import InputError
from schemas.prediction import Example, PredictionBatch
from schemas.rules import DEFAULT_RULES
from schemas.text import MAX_LENGTH, escape, printable
from schemas.validation import CheckResult
from tasks import load
from tasks.inbox.folder import Inbox
from tasks.orchestration import events, run_names

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
INVALID = {"\0", "/", "\ud83d"}
"""Characters that no name of a file has."""


@pytest.fixture(params=hostile.NAMES.values(), ids=hostile.NAMES)
def name(request):
    return request.param


def check_line(text, name):
    """Check that a text is one line without hidden characters, with the name in it."""
    assert text == escape(text)
    assert printable(name)[:1000] in text
    assert len(text) < MAX_LENGTH + 1000


def check_markdown(text, *names):
    """Check that markdown shows names as text, and has only the pictures and tables that the report makes."""
    assert text == "\n".join(map(escape, text.split("\n")))
    tokens = [child for token in PARSER.parse(text) for child in (token.children or [token])]
    assert all("/" not in token.attrs["src"] for token in tokens if token.type == "image")
    assert not [token for token in tokens if token.type.startswith(("html", "link", "s_", "em_"))]
    assert not [token for token in tokens if token.type == "text" and "://" in token.content]
    shown = "".join(token.content for token in tokens if token.type in {"text", "code_inline"})
    for name in names:
        assert printable(name).strip()[:1000] in shown


def count_blocks(text):
    """Return the number of blocks of markdown by type, cells included."""
    return pd.Series([token.type for token in PARSER.parse(text)]).value_counts().to_dict()


def check_report(write, name):
    """Check that a report shows a name, and that its blocks are those of a harmless name's report."""
    check_markdown(write(name), name)
    assert count_blocks(write(name)) == count_blocks(write("a"))


def test_errors_are_one_line(name, capsys):
    check_line(str(InputError(f"{name}: not a picture")), name)
    for message in (str(InputError(name)), f"unexpected argument {name}"):
        with pytest.raises(SystemExit):
            command_line.fail(1, message)
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        check_line(line[:-1], " ".join(name.split()) if message != str(InputError(name)) else name.strip(" "))


@pytest.mark.parametrize("logger", ["prefect.flow_runs", "prefect.task_runs"])
def test_log_lines_are_one_line(name, logger):
    record = logging.LogRecord(logger, logging.INFO, "", 0, "%s: not a picture", (name,), None)
    assert logging.getLogger(logger).filter(record)
    check_line(record.getMessage(), name)


def test_events_and_run_names_are_one_line(name, monkeypatch):
    emitted = []
    monkeypatch.setattr(events, "emit_event", lambda _event, resource, payload: emitted.append((resource, payload)))
    events.emit(events.DATA_REFUSED, "data", name, name)
    events.emit_version(events.PROMOTED, "store", 1, name)
    (resource, payload), (_, version) = emitted
    for text in (*resource.values(), payload["reason"], version["reason"]):
        check_line(text, name)
    monkeypatch.setattr(run_names.flow_run, "name", name, raising=False)
    check_line(run_names.namer(lambda **_: name)(), name)


def test_report_of_an_unreadable_source_shows_the_name(name, monkeypatch):
    artifacts = []
    monkeypatch.setattr(load, "create_markdown_artifact", lambda text, **_: artifacts.append(text))
    monkeypatch.setattr(load.events, "emit_event", lambda *_, **__: None)
    with pytest.raises(InputError):
        load.load.fn(name, None, DEFAULT_RULES)
    check_markdown(artifacts[0], name)


def test_validation_report_shows_the_name(validation, name):
    def report(name):
        changed = dataclasses.replace(
            validation,
            name=name,
            findings=(CheckResult("labels", "error", f"{name}: unknown"),),
            reference=name,
            label_agreement={f"done/{name}": validation.label_agreement["test"]},
        )
        return validation_report.validation_report(changed, markdown.as_links, f"store/{name}")

    check_report(report, name)


def test_training_report_and_card_show_the_name(run, name):
    def changed(name):
        decision = dataclasses.replace(run.decision, reason=name)
        validation = dataclasses.replace(run.dataset.validation, name=name)
        dataset = dataclasses.replace(run.dataset, validation=validation)
        return dataclasses.replace(run, decision=decision, dataset=dataset, recipe_name=name)

    check_report(lambda name: training_report.training_report(changed(name), 4, markdown.as_links), name)
    check_report(lambda name: card.card_markdown(card.card(changed(name), 4, name)), name)
    content = json.dumps(card.card(changed(name), 4, name))
    assert content.isascii()
    assert json.loads(content)["data"]["name"] == name


def test_prediction_report_and_summary_show_the_name(prediction, name):
    example = dataclasses.replace(prediction.least_confident[0], item=name)

    def changed(name):
        findings = (CheckResult("checks", "warning", name),)
        return dataclasses.replace(prediction, source=name, output=name, reference=name, findings=findings)

    check_report(lambda name: prediction_report.prediction_report(changed(name), markdown.as_links), name)
    few = dataclasses.replace(changed(name), labels=np.eye(10, dtype=int)[7], least_confident=(example,))
    lines = prediction_report.summary(few).split("\n")
    assert len(lines) == len(prediction_report.summary(dataclasses.replace(few, source="a")).split("\n"))
    for line in lines:
        assert line == escape(line)


def test_captions_show_names_without_mathematics():
    pictures = [Example(name, np.zeros((28, 28)), 1, 0.5, 2, abstained=False) for name in hostile.NAMES.values()]
    figure = plots.example_sheet("$x $\\frac", pictures)
    assert plots.png(figure)
    for caption in figure.axes[0].texts:
        for line in caption.get_text().split("\n"):
            assert line == escape(line)


def test_leaderboard_and_history_show_the_name(tmp_path, name, monkeypatch):
    store = Store(tmp_path / "store")
    publish(store)
    store.promote(1, replaced=None, run=name, reason=name)
    event = json.loads(next((tmp_path / "store" / "history").glob("*2.json")).read_text())
    check_line(event["reason"], name)
    check_line(event["run"], name)
    card = {**store.card(1), "data": {"name": name}}
    monkeypatch.setattr(store, "card", lambda _: card)
    (row,) = markdown.inert_rows([summary.row for summary in leaderboard.summaries(store, [])])
    check_markdown(row["trained"], name)
    check_report(
        lambda name: leaderboard.history_report([{**event, "reason": name, "run": name}], markdown.as_links), name
    )


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_file_has_the_name_and_no_formula(tmp_path, name, suffix):
    column, n_rows = np.zeros(2, np.uint8), 2
    batch = PredictionBatch(
        items=pd.Index([name, "a.png"], dtype=object),
        pixels=np.zeros((n_rows, 784), np.uint8),
        label=column,
        confidence=np.array([0.5, 1e-7], np.float32),
        second=column,
        abstained=column.astype(bool),
        unlike_training=column.astype(bool),
        distance=np.zeros(n_rows, np.float32),
        fault=np.array(["", ""], object),
        reason=np.array(["", ""], object),
        true_label=np.zeros(n_rows, np.int16),
    )
    path = tmp_path / f"predictions{suffix}"
    with predictions_table.writer(path) as write:
        write(batch)
    if suffix == ".parquet":
        assert pd.read_parquet(path)["item"].tolist() == [printable(name), "a.png"]
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [len(row) for row in rows] == [7, 7, 7]
    assert rows[1][0] in {printable(name), f"'{printable(name)}"}
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r\uff1d"))]
    assert float(rows[2][2]) == pytest.approx(1e-7)


@pytest.mark.parametrize("name", [name for name in hostile.NAMES.values() if len(name) < 200 and not INVALID & {*name}])
def test_inbox_rejects_the_file_and_says_why(tmp_path, name):
    inbox = Inbox(tmp_path / "inbox")
    with inbox.locked(print):
        (tmp_path / "inbox" / name).write_text("hello")
        target = inbox.reject(tmp_path / "inbox" / name, str(InputError(f"{name}: text")))
    reason = target.with_name(f"{target.name}.reason.txt").read_text()
    assert reason.count("\n") == 1
    check_line(reason[:-1], name)
