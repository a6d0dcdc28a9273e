"""`make up` for real: server, deployments and worker; a run through the API, a second one, and the end of all."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from samples import ROOT, clean_environment, write_shards
from serving import api_client, deployment, free_port, run

from artifacts.store.store import Store

pytestmark = [pytest.mark.prefect, pytest.mark.deployment]


def start(environment):
    return subprocess.Popen(
        [sys.executable, ROOT / "deployment" / "up.py"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def await_ready(process):
    """Read what it says until it is ready."""
    told = []
    for line in process.stdout:
        told.append(line)
        if "Ctrl-C ends" in line:
            break
    assert process.poll() is None, "".join(told)
    return told


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """Start everything from nothing; give a client of the API, and end everything by Ctrl-C."""
    port = free_port()
    environment = clean_environment(tmp_path_factory.mktemp("up")) | {"PORT": str(port)}
    process = start(environment)
    told = await_ready(process)
    assert any(f"Prefect UI:  http://127.0.0.1:{port}" in line for line in told)
    with api_client(f"http://127.0.0.1:{port}/api") as client:
        yield client
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert rest.endswith("all has ended\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.fixture
def parameters(tiny_npz, tmp_path_factory):
    quick = {"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "validation_fraction": 0.1}
    return {
        "source": str(tiny_npz),
        "store": str(tmp_path_factory.getbasetemp() / "deployed"),
        "inbox": None,
        "recipe": "plain",
        "overrides": quick,
    }


def test_a_run_of_the_deployment_publishes_and_a_second_one_is_unchanged(api, parameters):
    first = run(api, "train/retrain", parameters)
    assert first["state_name"] == "Completed", first["state"]["message"]
    store = Store(Path(parameters["store"]))
    assert store.champion() == 1
    latest = api.post("/artifacts/latest/filter", json={}).json()
    assert {"training-report", "data-validation", "leaderboard", "history"} <= {artifact["key"] for artifact in latest}
    assert run(api, "train/retrain", parameters)["state_name"] == "Unchanged"
    assert store.versions() == [1]
    assert run(api, "verify/verify", {"store": parameters["store"]})["state_name"] == "Completed"


@pytest.mark.ray
def test_shards_are_staged_and_trained_on_by_ray(api, parameters, tmp_path):
    """As retrain-large has it: by two workers."""
    asked = parameters | {"source": str(write_shards(tmp_path / "shards", rows=2400, count=6)), "test_source": None}
    asked["store"] = str(tmp_path / "store")
    ended = run(api, "train/retrain-large", asked)
    assert ended["state_name"] == "Completed", ended["state"]["message"]
    card = Store(tmp_path / "store").card(1)
    assert card["environment"]["workers"] == 2
    assert card["figures"]["accuracy"] > 0.9


def test_bad_data_fails_at_once_with_its_reason(api, parameters, tmp_path):
    (tmp_path / "bad.csv").write_text("label,pixel0\n1,2\n3\n")
    ended = run(api, "train/retrain", parameters | {"source": str(tmp_path / "bad.csv")})
    assert ended["state_name"] == "Failed"
    assert "line 3: expected 2 columns, as in line 1, got 1" in ended["state"]["message"]


def test_every_parameter_of_the_form_has_its_description(api):
    schema = deployment(api, "train/retrain")["parameter_openapi_schema"]
    assert all(field.get("description") for field in schema["properties"].values())
    for model in schema["definitions"].values():
        assert all(field.get("description") for field in model.get("properties", {}).values())


def test_one_run_at_a_time_and_a_schedule_with_a_time_zone(api):
    found = deployment(api, "train/retrain")
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    (schedule,) = found["schedules"]
    assert schedule["schedule"] == {"cron": "0 3 * * *", "timezone": "Etc/UTC", "day_or": True}


def test_deploying_twice_changes_nothing(api, tmp_path):
    before = api.post("/deployments/filter", json={}).json()
    environment = clean_environment(tmp_path) | {"PREFECT_API_URL": str(api.base_url).rstrip("/"), "PROJECT": str(ROOT)}
    prefect = Path(sys.executable).with_name("prefect")
    command = [prefect, "--no-prompt", "deploy", "--all"]
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True, timeout=120)
    after = api.post("/deployments/filter", json={}).json()
    assert [(d["id"], d["parameters"], d["pull_steps"]) for d in after] == [
        (d["id"], d["parameters"], d["pull_steps"]) for d in before
    ]


def test_a_run_that_fell_silent_is_the_servers_to_end(api):
    """What tests/deployment/test_faults.py tries for real has to be there however often one deploys."""
    found = api.post("/automations/filter", json={}).json()
    assert sorted(automation["name"] for automation in found) == ["digits-lost-runs", "predict__automation_1"]


def test_make_down_ends_what_a_killed_make_up_left(tmp_path):
    port = free_port()
    environment = clean_environment(tmp_path) | {"PORT": str(port)}
    process = start(environment)
    await_ready(process)
    process.kill()
    process.wait()
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    down = [sys.executable, ROOT / "deployment" / "down.py"]
    ended = subprocess.run(down, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout == "ended: server, worker\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    again = subprocess.run(down, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert again.stdout == "nothing of make up is running\n"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"PORT": "99999"}, "error: PORT=99999: 1 to 65535 is allowed\n"),
        ({"PORT": "http"}, "error: PORT=http: 1 to 65535 is allowed\n"),
        (
            {"PREFECT_API_URL": "http://127.0.0.1:9/api"},
            "error: PREFECT_API_URL names http://127.0.0.1:9/api, which doesn't",
        ),
    ],
)
def test_what_cannot_be_started_or_used_is_said_plainly(environment, told, tmp_path):
    process = start(clean_environment(tmp_path) | environment)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith(told)
    assert len(said.splitlines()) == 1


def test_a_port_in_use_is_said_plainly(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(clean_environment(tmp_path) | {"PORT": str(port)})
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told == f"error: port {port} is in use; PORT=4300 make up takes another one\n"
