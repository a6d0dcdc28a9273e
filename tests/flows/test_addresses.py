"""Credentials in addresses are refused by every flag before anything starts, and shown and stored nowhere."""

import logging
from pathlib import Path

import hostile
import pytest
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from artifacts.reports import markdown
from artifacts.uri import check_safe, storage_error
from flows import predict_flow, promote_flow, train_flow, tune_flow, verify_flow
from schemas.compute import LOCAL
from schemas.errors import InputError
from schemas.recipe import Overrides
from schemas.text import printable
from tasks.orchestration import events, run_names

TRAIN = {"source": "mnist", "test_source": "", "inbox": "", "store": "store"} | {
    "recipe": "fast",
    "overrides": Overrides(),
    "compute": LOCAL,
}
PREDICT = {"input": "mnist", "output": Path("p.csv"), "version": 0, "store": "store"}
PROMOTE = {"version": 1, "previous": False, "reason": "better", "store": "store"}
CHECKS = {
    "train --source": (train_flow.check, TRAIN, "source"),
    "train --test-source": (train_flow.check, TRAIN, "test_source"),
    "train --inbox": (train_flow.check, TRAIN, "inbox"),
    "train --store": (train_flow.check, TRAIN, "store"),
    "predict --input": (predict_flow.check, PREDICT, "input"),
    "predict --output": (predict_flow.check, PREDICT, "output"),
    "predict --store": (predict_flow.check, PREDICT, "store"),
    "promote --store": (promote_flow.check, PROMOTE, "store"),
    "verify --store": (verify_flow.check, {"version": 0, "store": "store"}, "store"),
}
FLOWS = [
    train_flow.train_flow,
    predict_flow.predict_flow,
    promote_flow.promote_flow,
    verify_flow.verify_flow,
    tune_flow.tune_flow,
]


@pytest.fixture(params=hostile.ADDRESSES.values(), ids=hostile.ADDRESSES)
def address(request):
    return request.param


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Make the default store one that doesn't exist yet."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("check", "parameters", "flag"), CHECKS.values(), ids=CHECKS)
def test_flags_refuse_credentials(address, check, parameters, flag):
    value = Path(address) if isinstance(parameters[flag], Path) else address
    with pytest.raises(InputError, match="AWS_ACCESS_KEY_ID") as refused:
        check(**{**parameters, flag: value})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_server_refuses_to_store_credentials(flow, address):
    fields = parameter_schema(flow).model_dump_for_openapi()
    for name, field in fields["properties"].items():
        if "pattern" in field:
            schema = {"type": "object", "properties": {name: field}}
            assert validate({name: address}, schema)
            assert not [harmless for harmless in hostile.HARMLESS_ADDRESSES if validate({name: harmless}, schema)]
    assert {name for name, field in fields["properties"].items() if "pattern" in field} >= {"store"}


def test_outputs_hide_credentials(monkeypatch, address):
    emitted = []
    monkeypatch.setattr(events, "emit_event", lambda _event, resource, payload: emitted.append((resource, payload)))
    events.emit(events.DATA_REFUSED, "data", address, f"{address}: unreadable")
    error = OSError(f"403 for {address}/card.json at {address}")
    record = logging.LogRecord("prefect.flow_runs", logging.INFO, "", 0, "%s", (error,), None)
    logging.getLogger("prefect.flow_runs").filter(record)
    texts = {
        "run name": run_names.source(address),
        "error of a library": str(storage_error("digits: can't be used", error)),
        "log": record.getMessage(),
        "event": str(emitted),
        "markdown": markdown.inert(f"{address}: wrong"),
        "code": markdown.code(address),
    }
    assert not [output for output, text in texts.items() if "hunter2" in text]
    assert printable(printable(address)) == printable(address)


@pytest.mark.parametrize("address", hostile.HARMLESS_ADDRESSES)
def test_address_without_credentials_is_taken_as_it_is(address):
    check_safe(address)
    assert printable(address) == address


@pytest.mark.parametrize("address", ["s3://bucket/digits", "file:///tmp/inbox", "s3:/bucket"])
def test_inbox_and_output_are_on_this_machine(address):
    for check, parameters, flag in (CHECKS["train --inbox"], CHECKS["predict --output"]):
        value = Path(f"{address}/p.csv") if flag == "output" else address
        with pytest.raises(InputError, match="a path on this machine is needed"):
            check(**{**parameters, flag: value})
