"""What goes wrong around a run, with real processes: it is cancelled, killed, its worker or its server is gone.

Server and worker are processes of their own here, as in a team, so that each can be killed and started again.
"""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest
from samples import ROOT, clean_environment
from serving import api_client, ask_each_champion, deployment, ended, free_port, run

from artifacts.store.store import Store

pytestmark = [pytest.mark.prefect, pytest.mark.deployment]

PREFECT = Path(sys.executable).with_name("prefect")
PATIENCE = 200
CANCELLED_WITHIN_SECONDS = 30


class Deployed:
    """A server with its deployments, and a worker, each to be killed and started again."""

    def __init__(self, home):
        self.home = home
        self.url = f"http://127.0.0.1:{free_port()}/api"
        quick = {"PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "4", "PREFECT_WORKER_QUERY_SECONDS": "2"}
        self.environment = clean_environment(home) | quick | {"PREFECT_API_URL": self.url, "PROJECT": str(ROOT)}
        self.api = api_client(self.url)
        self.server = self.worker = None

    def start_server(self):
        port = httpx.URL(self.url).port
        self.server = self._start("server", "start", "--host", "127.0.0.1", "--port", str(port))
        self.await_that(self._answers, "the server answers")

    def deploy(self):
        pool = [PREFECT, "--no-prompt", "work-pool", "create", "digits", "--type", "process", "--overwrite"]
        automations = [sys.executable, "deployment/automations.py"]
        for command in (pool, [PREFECT, "--no-prompt", "deploy", "--all"], automations):
            subprocess.run(command, cwd=ROOT, env=self.environment, check=True, capture_output=True, timeout=120)

    def start_worker(self):
        self.worker = self._start("worker", "start", "--pool", "digits")

    def kill(self, process):
        """Kill a process without a word, as when the power fails; what it started goes on."""
        process.kill()
        process.wait()

    def training(self):
        """Give the processes that flows run in."""
        everything = psutil.process_iter(["cmdline", "environ"])
        ours = [p for p in everything if (p.info["environ"] or {}).get("PREFECT_API_URL") == self.url]
        return [p for p in ours if "PREFECT__FLOW_RUN_ID" in p.info["environ"]]

    def trigger(self, parameters, name="train/retrain"):
        identity = deployment(self.api, name)["id"]
        created = self.api.post(f"/deployments/{identity}/create_flow_run", json={"parameters": parameters})
        return created.raise_for_status().json()["id"]

    def state(self, identity):
        return self.api.get(f"/flow_runs/{identity}").raise_for_status().json()["state"]

    def set_state(self, identity, **state):
        answer = self.api.post(f"/flow_runs/{identity}/set_state", json={"state": state}).raise_for_status().json()
        assert answer["status"] == "ACCEPT", answer

    def states(self, identity):
        found = self.api.get("/flow_run_states/", params={"flow_run_id": identity}).raise_for_status().json()
        return [state["name"] for state in found]

    def told(self, identity):
        """Give what a run logged."""
        wanted = {"logs": {"flow_run_id": {"any_": [identity]}}, "limit": 200, "sort": "TIMESTAMP_ASC"}
        return "\n".join(log["message"] for log in self.api.post("/logs/filter", json=wanted).json())

    def await_that(self, holds, what, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while not (found := holds()):
            assert time.monotonic() < deadline, f"{what}: not within {patience} s\n{self.words()}"
            time.sleep(0.5)
        return found

    def words(self):
        """Give the last that server and worker said, for who reads why a test failed."""
        return "\n".join(path.read_text()[-3000:] for path in self.home.glob("*.log"))

    def end(self):
        for process in (self.worker, self.server):
            if process and process.poll() is None:
                process.terminate()
                process.wait(60)
        for process in self.training():
            process.kill()
        self.api.close()

    def _start(self, *command):
        with (self.home / f"{command[0]}.log").open("ab") as words:
            return subprocess.Popen(
                [PREFECT, *command], cwd=ROOT, env=self.environment, stdout=words, stderr=words, start_new_session=True
            )

    def _answers(self):
        try:
            return self.api.get("/health").is_success
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    there = Deployed(tmp_path_factory.mktemp("faults"))
    try:
        there.start_server()
        there.deploy()
        ask_each_champion(there.api, enabled=False)
        there.start_worker()
        yield there
    finally:
        there.end()


@pytest.fixture
def parameters(tiny_npz, tmp_path):
    quick = {"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "validation_fraction": 0.1}
    store = str(tmp_path / "store")
    return {"source": str(tiny_npz), "store": store, "inbox": None, "recipe": "plain", "overrides": quick}


@pytest.fixture
def long(parameters):
    """Give parameters of a training that takes long enough to be disturbed."""
    return parameters | {
        "overrides": parameters["overrides"] | {"epochs": 250, "batch_size": 4, "learning_rate": 0.001}
    }


def checkpoints(parameters):
    return list(Path(parameters["store"]).glob("work/*/epoch-*.npz"))


def training_begun(deployed, parameters):
    identity = deployed.trigger(parameters)
    deployed.await_that(lambda: checkpoints(parameters), "a checkpoint")
    return identity


def assert_published(deployed, identity, parameters, versions=(1,)):
    found = ended(deployed.api, identity)
    assert found["state_name"] == "Completed", (deployed.states(identity), found["state"], deployed.words())
    store = Store(Path(parameters["store"]))
    assert tuple(store.versions()) == versions
    assert [fault for version in versions for fault in store.faults(version)] == []
    assert store.unreported() == []
    assert checkpoints(parameters) == []


def test_a_cancelled_run_ends_soon_and_the_next_one_goes_on_where_it_was(deployed, long):
    identity = training_begun(deployed, long)
    deployed.set_state(identity, type="CANCELLING", name="Cancelling")
    gone = deployed.await_that(
        lambda: not deployed.training() and deployed.state(identity)["name"] == "Cancelled",
        "the run is cancelled",
        CANCELLED_WITHIN_SECONDS,
    )
    assert gone
    assert "Crashed" not in deployed.states(identity), "nobody is told of a crash"
    assert Store(Path(long["store"])).versions() == []
    assert checkpoints(long)
    again = deployed.trigger(long)
    assert_published(deployed, again, long)
    assert "resuming after epoch" in deployed.summary(again)


def test_a_run_whose_process_is_killed_has_crashed_and_retry_goes_on_where_it_was(deployed, long):
    identity = training_begun(deployed, long)
    for process in deployed.training():
        process.kill()
    assert ended(deployed.api, identity)["state_name"] == "Crashed"
    time.sleep(8)  # no person is quicker; until then the worker may say once more that it crashed
    deployed.set_state(identity, type="SCHEDULED", name="AwaitingRetry")  # as Retry in the UI does
    assert_published(deployed, identity, long)
    assert "resuming after epoch" in deployed.summary(identity)


def test_when_a_worker_is_killed_another_one_goes_on(deployed, long):
    identity = training_begun(deployed, long)
    deployed.kill(deployed.worker)
    following = deployed.trigger(long)
    deployed.start_worker()
    assert ended(deployed.api, identity)["state_name"] == "Crashed", "its words went to the worker"
    assert_published(deployed, following, long)
    assert "resuming after epoch" in deployed.summary(following)


def test_when_the_machine_is_gone_the_run_counts_as_crashed_and_the_next_goes_on(deployed, long):
    identity = training_begun(deployed, long)
    deployed.kill(deployed.worker)
    for process in deployed.training():
        process.kill()
    following = deployed.trigger(long)
    deployed.start_worker()
    assert_published(deployed, following, long)
    assert deployed.state(identity)["name"] == "Crashed"
    assert "nothing was heard of it" in deployed.state(identity)["message"]
    assert "resuming after epoch" in deployed.summary(following)


def test_a_server_that_is_away_for_a_minute_costs_neither_model_nor_report(deployed, long):
    identity = training_begun(deployed, long)
    deployed.kill(deployed.server)
    away_until = time.monotonic() + 60
    last = "epoch-00250"
    deployed.await_that(lambda: any(last in path.name for path in checkpoints(long)), "training without a server")
    time.sleep(max(0, away_until - time.monotonic()))
    deployed.start_server()
    assert_published(deployed, identity, long)
    wanted = {"artifacts": {"flow_run_id": {"any_": [identity]}}}
    keys = {artifact["key"] for artifact in deployed.api.post("/artifacts/filter", json=wanted).json()}
    assert {"training-report", "training-classes", "leaderboard", "history"} <= keys
    assert run(deployed.api, "train/retrain", long)["state_name"] == "Unchanged", "the worker is there again"


def test_ten_runs_at_once_run_one_by_one_and_the_store_is_whole(deployed, parameters):
    seeds = [parameters | {"overrides": parameters["overrides"] | {"seed": seed}} for seed in range(10)]
    identities = [deployed.trigger(of_seed) for of_seed in seeds]
    most = 0

    def all_ended():
        nonlocal most
        wanted = {"flow_runs": {"id": {"any_": identities}}}
        states = [found["state_type"] for found in deployed.api.post("/flow_runs/filter", json=wanted).json()]
        most = max(most, states.count("RUNNING"))
        return set(states) <= {"COMPLETED", "FAILED", "CRASHED"}

    deployed.await_that(all_ended, "all end", 600)
    assert most == 1
    assert {deployed.state(identity)["name"] for identity in identities} == {"Completed"}
    store = Store(Path(parameters["store"]))
    assert store.versions() == list(range(1, 11))
    assert [fault for version in store.versions() for fault in store.faults(version)] == []
    assert sorted(event["version"] for event in store.history()) == list(range(1, 11))
    assert {store.card(version)["recipe"]["seed"] for version in store.versions()} == set(range(10))


def test_a_tick_of_the_schedule_starts_a_run_by_itself(deployed, parameters):
    found = deployment(deployed.api, "train/retrain")
    tick = [{"schedule": {"cron": "* * * * *", "timezone": "Etc/UTC"}, "active": True, "parameters": parameters}]
    made = deployed.api.post(f"/deployments/{found['id']}/schedules", json=tick).raise_for_status().json()
    try:
        store = Store(Path(parameters["store"]))
        deployed.await_that(store.versions, "a version that nobody asked for")
    finally:
        deployed.api.delete(f"/deployments/{found['id']}/schedules/{made[0]['id']}").raise_for_status()
    wanted = {"deployments": {"id": {"any_": [found["id"]]}}, "flow_runs": {"tags": {"all_": ["auto-scheduled"]}}}
    assert deployed.api.post("/flow_runs/filter", json=wanted).json()


def test_a_new_champion_is_asked_about_the_images_that_wait(deployed, parameters, tmp_path):
    found = deployment(deployed.api, "predict/predict")
    answers = tmp_path / "answers.csv"
    usual = found["parameters"]
    change = {"parameters": usual | {"input": parameters["source"], "output": str(answers)}}
    deployed.api.patch(f"/deployments/{found['id']}", json=change).raise_for_status()
    ask_each_champion(deployed.api, enabled=True)
    try:
        assert run(deployed.api, "train/retrain", parameters)["state_name"] == "Completed"
        deployed.await_that(answers.exists, "predictions that nobody asked for")
    finally:
        ask_each_champion(deployed.api, enabled=False)
        deployed.api.patch(f"/deployments/{found['id']}", json={"parameters": usual}).raise_for_status()
    assert len(answers.read_text().splitlines()) == 1 + 200
