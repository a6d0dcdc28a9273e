"""`make up` with a real server, deployments and worker: runs through the API, and how everything ends."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest
from samples import ROOT, clean_environment, write_shards
from serving import (
    api_client,
    deployment,
    descendants,
    enable_predict_trigger,
    free_port,
    kill,
    make_up,
    read_password,
    run,
    trigger,
    wait_for_run,
)

from artifacts.store.store import Store

pytestmark = [pytest.mark.prefect, pytest.mark.deployment]


def await_ready(process):
    """Return its output, once it is ready."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops" in line:
            break
    assert process.poll() is None, "".join(lines)
    return lines


@pytest.fixture(scope="module")
def home():
    """Return a folder that other users can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        yield home


@pytest.fixture(scope="module")
def api(home):
    """Run `make up`; yield a client of the API; end it by Ctrl-C."""
    port = free_port()
    process = make_up(clean_environment(home) | {"PORT": str(port)})
    lines = await_ready(process)
    assert any(f"Prefect UI:  http://127.0.0.1:{port}/v2" in line for line in lines)
    assert any(f'PREFECT_API_AUTH_STRING="$(cat {home}/make-up-password)"' in line for line in lines)
    with api_client(f"http://127.0.0.1:{port}/api", read_password(home)) as client:
        yield client
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert output.endswith("everything is stopped\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


@pytest.fixture
def parameters(tiny_npz, tmp_path_factory):
    overrides = {"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "validation_fraction": 0.1}
    return {
        "source": str(tiny_npz),
        "store": str(tmp_path_factory.getbasetemp() / "deployed"),
        "inbox": "",
        "recipe": "plain",
        "overrides": overrides,
    }


@pytest.mark.parametrize(
    ("headers", "has_password", "status"),
    [
        ({}, True, 200),
        ({}, False, 401),
        ({"Authorization": "Basic YWRtaW46cGFzcw=="}, False, 401),
        ({"Host": "rebound.example"}, True, 400),
        ({"Host": "rebound.example:4200"}, True, 400),
    ],
)
def test_server_answers_only_with_its_password_and_host(api, headers, has_password, status):
    auth = api.auth if has_password else None
    answer = httpx.post(f"{api.base_url}flow_runs/count", json={}, headers=headers, auth=auth)
    assert answer.status_code == status


AS_OTHER_USER = """
import encodings.idna, os, sys, urllib.error, urllib.request  # all now: another user may not read them
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print([os.access(path, os.R_OK) for path in sys.argv[2:]])
try:
    print(urllib.request.urlopen(sys.argv[1]).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_other_users_can_neither_read_the_password_nor_use_the_server(api, home):
    """Only root can become another user: else the test is one without the file."""
    (home / "readable").touch(0o644)
    secret = home / ("make-up-password" if os.getuid() == 0 else "no-password")
    command = [sys.executable, "-c", AS_OTHER_USER, f"{api.base_url}admin/version", home / "readable", secret]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert output == "[True, False]\n401\n"


@pytest.mark.parametrize(
    ("origin", "allowed"), [("http://127.0.0.1:{port}", True), ("http://127.0.0.1:1", False), ("null", False)]
)
def test_only_the_servers_own_pages_may_read_its_answers(api, origin, allowed):
    origin = origin.format(port=api.base_url.port)
    answer = api.get("/health", headers={"Origin": origin})
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if allowed else None)


def test_runs_cannot_choose_their_command_or_environment(api, tmp_path):
    marker = tmp_path / "marker"
    (tmp_path / "sitecustomize.py").write_text(f"open({str(marker)!r}, 'w')")
    variables = {"command": f"touch {marker}", "env": {"PYTHONPATH": str(tmp_path)}, "working_dir": str(tmp_path)}
    verify = deployment(api, "verify/verify")
    refused = api.post(f"/deployments/{verify['id']}/create_flow_run", json={"job_variables": variables})
    assert refused.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    request = {name: verify[name] for name in ("flow_id", "work_queue_name")} | {
        "deployment_id": verify["id"],
        "work_pool_name": "digits",
        "parameters": {"store": str(tmp_path)},
        "job_variables": variables,
        "state": {"type": "SCHEDULED"},
    }  # this way, Prefect doesn't check them
    created = api.post("/flow_runs/", json=request).raise_for_status().json()
    assert created["job_variables"] == variables
    assert "there are no versions" in wait_for_run(api, created["id"])["state"]["message"]
    assert not marker.exists()


def test_retrain_publishes_a_version_and_a_second_run_is_unchanged(api, parameters):
    first = run(api, "train/retrain", parameters)
    assert first["state_name"] == "Promoted", first["state"]["message"]
    store = Store(Path(parameters["store"]))
    assert store.champion() == 1
    latest = api.post("/artifacts/latest/filter", json={}).json()
    assert {"training-report", "data-validation", "leaderboard", "history"} <= {artifact["key"] for artifact in latest}
    assert run(api, "train/retrain", parameters)["state_name"] == "Unchanged"
    assert store.versions() == [1]
    assert run(api, "verify/verify", {"store": parameters["store"]})["state_name"] == "Completed"


@pytest.mark.ray
def test_retrain_large_trains_on_shards_with_two_ray_workers(api, parameters, tmp_path):
    sharded = parameters | {"source": str(write_shards(tmp_path / "shards", rows=2400, count=6)), "test_source": ""}
    sharded["store"] = str(tmp_path / "store")
    flow_run = run(api, "train/retrain-large", sharded)
    assert flow_run["state_name"] == "Promoted", flow_run["state"]["message"]
    card = Store(tmp_path / "store").card(1)
    assert card["environment"]["workers"] == 2
    assert card["figures"]["accuracy"] > 0.9


def test_retrain_runs_one_at_a_time_on_a_schedule_with_a_time_zone(api):
    found = deployment(api, "train/retrain")
    assert found["global_concurrency_limit"]["limit"] == 1
    assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    (schedule,) = found["schedules"]
    assert schedule["schedule"] == {"cron": "0 3 * * *", "timezone": "Etc/UTC", "day_or": True}


def deploy(api, home):
    server = {"PREFECT_API_URL": str(api.base_url).rstrip("/"), "PREFECT_API_AUTH_STRING": read_password(home)}
    environment = clean_environment(home) | server
    command = [sys.executable, ROOT / "deployment" / "deploy.py"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout


def test_deploying_again_keeps_what_was_changed_in_the_ui(api, home):
    verify = deployment(api, "verify/verify")
    (schedule,) = verify["schedules"]
    api.patch(f"/deployments/{verify['id']}/schedules/{schedule['id']}", json={"active": False}).raise_for_status()
    added = {"schedule": {"cron": "0 6 1 1 *", "timezone": "Etc/UTC"}, "active": True}
    api.post(f"/deployments/{verify['id']}/schedules", json=[added]).raise_for_status()
    api.patch(f"/deployments/{verify['id']}", json={"parameters": {"store": "other"}}).raise_for_status()
    enable_predict_trigger(api, enabled=False)
    assert deploy(api, home) == ""
    kept = deployment(api, "verify/verify")
    schedules = {one["schedule"]["cron"]: one["active"] for one in kept["schedules"]}
    assert (kept["parameters"], schedules) == ({"store": "other"}, {"0 5 * * *": False, "0 6 1 1 *": True})
    automations = api.post("/automations/filter", json={}).json()
    assert {one["name"]: one["enabled"] for one in automations} == {
        "digits-alarm-retraining": True, "digits-lost-runs": True, "digits-predict-champion": False,
    }  # fmt: skip

    api.patch(f"/deployments/{verify['id']}", json={"version": "of another prefect.yaml"}).raise_for_status()
    replaced = "prefect.yaml has changed, and replaces what was changed in the Prefect UI: verify\n"
    assert deploy(api, home) == replaced
    assert deployment(api, "verify/verify")["parameters"] == {"store": "store"}


def test_make_up_ends_lost_runs_and_make_down_ends_a_killed_make_up(tmp_path, parameters):
    port = free_port()
    environment = clean_environment(tmp_path) | {"PORT": str(port)}
    process = make_up(environment)
    await_ready(process)
    with api_client(f"http://127.0.0.1:{port}/api", read_password(tmp_path)) as api:
        endless = parameters["overrides"] | {"epochs": 10_000, "batch_size": 4}
        lost = trigger(api, "train/retrain", parameters | {"overrides": endless})
        await_state(api, lost, "RUNNING")
        name = api.get(f"/flow_runs/{lost}").json()["name"]
        children = descendants(process)
        process.kill()
        kill(children)
        process.wait()
        process = make_up(environment)
        assert f"ended, since its process is gone: {name}\n" in await_ready(process)
        assert api.get(f"/flow_runs/{lost}").json()["state_name"] == "Crashed"
        following = trigger(api, "train/retrain", parameters)
        await_state(api, following, "RUNNING")
        assert wait_for_run(api, following)["state_type"] == "COMPLETED"
    process.kill()
    process.wait()
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    down = [sys.executable, ROOT / "deployment" / "down.py"]
    ended = subprocess.run(down, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout == "stopped: server, worker\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
    again = subprocess.run(down, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert again.stdout == "no process of make up is running\n"


def await_state(api, run_id, state):
    """Wait for a state that a run has to reach within two minutes of the start of `make up`."""
    deadline = time.monotonic() + 100
    while (current := api.get(f"/flow_runs/{run_id}").json()["state"])["type"] != state:
        assert time.monotonic() < deadline, current
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PORT": "99999"}, "error: PORT=99999: must be a number from 1 to 65535\n"),
        ({"PORT": "http"}, "error: PORT=http: must be a number from 1 to 65535\n"),
        (
            {"PREFECT_API_URL": "http://127.0.0.1:9/api"},
            "error: PREFECT_API_URL=http://127.0.0.1:9/api: no Prefect server answers there",
        ),
    ],
)
def test_bad_port_or_server_address_is_a_one_line_error(environment, message, tmp_path):
    process = make_up(clean_environment(tmp_path) | environment)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith(message)
    assert len(output.splitlines()) == 1


def test_wrong_password_of_another_server_is_a_one_line_error(api, tmp_path):
    url = str(api.base_url).rstrip("/")
    process = make_up(clean_environment(tmp_path) | {"PREFECT_API_URL": url, "PREFECT_API_AUTH_STRING": "admin:wrong"})
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    reason = f"PREFECT_API_URL={url}: wrong or no password in PREFECT_API_AUTH_STRING\n"
    assert output == f"creating or updating the deployments\nerror: the flows can't be deployed: {reason}"


def test_port_in_use_is_a_one_line_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = make_up(clean_environment(tmp_path) | {"PORT": str(port)})
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == f"error: port {port} is in use; choose another one with PORT=4300 make up\n"
