"""Alarms are silent in a good fortnight, and each fault raises its own."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families
from samples import publish

from artifacts.store.store import Store
from schemas.watch import WatchRules
from tasks import watch_store
from tasks.orchestration import events
from tasks.watching import alarms, status, textfiles

MADE = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = status.StoreStatus(champion=7, made=MADE, accuracy=0.99, free_mib=50_000)
RULES = WatchRules(max_champion_days=30, min_free_mib=1024)


def night(*, store=GOOD, days=1.0, inbox=(2, 0), drifted=(False, True, True)):
    """Return the alarms of a night with what is measured then."""
    reasons = {
        "champion": alarms.champion_age(store, RULES, MADE + timedelta(days=days)),
        "disk": alarms.free_disk(store, RULES),
        "inbox": alarms.inbox(*inbox),
        "drift": alarms.drift(drifted),
    }
    return {name for name, reason in reasons.items() if reason}


def test_a_good_fortnight_raises_no_alarm():
    inboxes = [(0, 0), (1, 0), (1, 5)]
    drifts = [[], [True], [True, True], [True, True, False]]
    for days in range(14):
        assert night(days=days, inbox=inboxes[days % 3], drifted=drifts[days % 4]) == set()
    assert night(store=status.StoreStatus()) == set(), "a new store, in an object store"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("champion", {"days": 30.1}),
        ("disk", {"store": dataclasses.replace(GOOD, free_mib=1023)}),
        ("inbox", {"inbox": (0, 1)}),
        ("drift", {"drifted": (True, True, True)}),
    ],
)
def test_each_fault_raises_its_alarm(name, fault):
    assert night(**fault) == {name}


def test_a_training_logs_and_emits_its_alarms_and_writes_metrics(tmp_path, monkeypatch, caplog):
    emitted = []
    monkeypatch.setattr(events, "emit_event", lambda event, **_: emitted.append(event))
    for module in (events, watch_store):
        monkeypatch.setattr(module, "get_run_logger", lambda: caplog)
    caplog.warning = lambda *_: None
    store = Store(tmp_path / "store")
    publish(store, promoted=True)
    watch_store.watch_store.fn(store, "Refused", "", WatchRules(max_champion_days=1, min_free_mib=2**40))
    assert emitted == ["digits.alarm.champion", "digits.alarm.disk"]
    metrics = read_metrics(tmp_path / "store")
    assert metrics["digits_champion_version"] == ({"store": store.uri}, 1)
    assert metrics["digits_champion_accuracy"] == ({"store": store.uri}, 0.99)
    assert metrics["digits_champion_made_timestamp_seconds"][1] == MADE.timestamp()
    assert metrics["digits_training_timestamp_seconds"][0]["outcome"] == "refused"


def test_metrics_count_the_files_of_the_inbox(tmp_path):
    store = Store(tmp_path / "store")
    publish(store)
    (tmp_path / "inbox" / "done").mkdir(parents=True)
    (tmp_path / "inbox" / "done" / "a.csv").touch()
    textfiles.write_training(store, "Promoted", MADE, str(tmp_path / "inbox"), pytest.fail)
    text = (tmp_path / "store" / "training.prom").read_text()
    assert f'digits_inbox_files{{folder="done",store="{store.uri}"}} 1.0' in text
    assert f'digits_inbox_files{{folder="rejected",store="{store.uri}"}} 0.0' in text


def test_metrics_that_cannot_be_written_are_a_warning(tmp_path):
    store = Store(tmp_path / "store")
    publish(store)
    (tmp_path / "store" / "store.prom").mkdir()
    warnings = []
    textfiles.write_store(store, status.read(store), warnings.append)
    assert [line for line in warnings if "store.prom: can't be written" in line]


def read_metrics(folder):
    """Return the labels and the value of each metric of a store with one sample."""
    texts = [(folder / name).read_text() for name in ("store.prom", "training.prom")]
    families = [family for text in texts for family in text_string_to_metric_families(text)]
    return {sample.name: (sample.labels, sample.value) for family in families for sample in family.samples}
