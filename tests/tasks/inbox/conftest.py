"""An inbox, a source, and the step that reads both, without Prefect."""

import logging

import pytest

from schemas.rules import DEFAULT_RULES
from tasks.inbox import folder
from tasks.sources import datasets


@pytest.fixture
def inbox(tmp_path):
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def base(tiny_npz):
    return datasets.load(str(tiny_npz), None, DEFAULT_RULES)


@pytest.fixture
def stable(monkeypatch):
    """Treat all files as stable: the change time of a file can't be set."""
    monkeypatch.setattr(folder, "STABLE_SECONDS", -60.0)


@pytest.fixture
def tables(monkeypatch):
    """Run the step without Prefect; return the tables that it reports."""
    from inboxes import InProcess

    from tasks import read_inbox
    from tasks.orchestration import process_inbox

    tables = []
    for step in (read_inbox, process_inbox):
        monkeypatch.setattr(step, "get_run_logger", lambda: logging.getLogger("inbox"))
    monkeypatch.setattr(process_inbox, "create_table_artifact", lambda table, **_: tables.append(table))
    monkeypatch.setattr(process_inbox.events, "emit", lambda *_: None)
    monkeypatch.setattr(process_inbox.events, "raise_alarm", lambda *_: None)
    monkeypatch.setattr(read_inbox, "Reader", InProcess)
    return tables
