"""Faults around a run, with real processes: it is cancelled or killed, its worker or its server is lost.

Server and worker are started apart from each other, as in production, so that each can be killed and restarted.
"""

import time
from pathlib import Path

import pytest
from deployed import Deployed
from serving import (
    deployment,
    descendants,
    enable_predict_trigger,
    kill,
    set_predict_output,
    trigger,
    wait_for_run,
)

from artifacts.store.store import Store

pytestmark = [pytest.mark.prefect, pytest.mark.deployment]

CANCEL_SECONDS = 60
OUTAGE_SECONDS = 31
PATIENCE_SECONDS = 50
"""After the last heartbeat, which are 30 seconds apart; automations.yaml has 90."""
N_SIMULTANEOUS = 2
DEADLINE_SECONDS = 10
"""The shortest that Prefect takes."""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    deployed = Deployed(tmp_path_factory.mktemp("faults"))
    try:
        deployed.start_server()
        deployed.deploy()
        deployed.update_automations(PATIENCE_SECONDS)
        enable_predict_trigger(deployed.api, enabled=False)
        deployed.start_worker()
        yield deployed
    finally:
        deployed.end()


def parameters_of_training(source, store, epochs):
    overrides = {"epochs": epochs, "batch_size": 4, "learning_rate": 0.001, "validation_fraction": 0.1}
    return {"source": str(source), "store": str(store), "inbox": "", "recipe": "plain", "overrides": overrides}


@pytest.fixture
def idle(deployed):
    """Cancel the endless training that earlier tests left: while it runs, others are queued."""
    if deployed.training:
        cancel(deployed, deployed.training)


@pytest.fixture
def parameters(idle, tiny_npz, tmp_path):
    return parameters_of_training(tiny_npz, tmp_path / "store", epochs=4)


@pytest.fixture
def long_training(idle, tiny_npz, tmp_path):
    """Return parameters of a training that takes long enough to be interrupted."""
    return parameters_of_training(tiny_npz, tmp_path / "store", epochs=60)


@pytest.fixture(scope="module")
def endless(tiny_npz, tmp_path_factory):
    """Return parameters of one training that several tests interrupt; it doesn't end by itself."""
    return parameters_of_training(tiny_npz, tmp_path_factory.mktemp("endless") / "store", epochs=10_000)


@pytest.fixture
def training(deployed, endless):
    """Return the run of the endless training: the one that resumed it in the test before, or a new one."""
    if deployed.training is None:
        deployed.training = start_training(deployed, endless)
    return deployed.training


def checkpoints(parameters):
    return list(Path(parameters["store"]).glob("work/*/epoch-*.npz"))


def start_training(deployed, parameters):
    """Return the run when it has written a checkpoint."""
    run_id = trigger(deployed.api, "train/retrain", parameters)
    deployed.wait_for(lambda: checkpoints(parameters), "a checkpoint")
    return run_id


def cancel(deployed, run_id):
    """Cancel the endless training; wait until its process has ended."""
    deployed.training = None
    deployed.set_state(run_id, type="CANCELLING", name="Cancelling")
    deployed.wait_for(
        lambda: not deployed.flow_processes() and deployed.state(run_id)["name"] == "Cancelled",
        "the run is cancelled",
        CANCEL_SECONDS,
    )


def assert_resumes(deployed, run_id):
    deployed.wait_for(lambda: "resuming after epoch" in deployed.run_log(run_id), "the run resumes")
    deployed.training = run_id


def assert_published(deployed, run_id, parameters, versions=(1,)):
    flow_run = wait_for_run(deployed.api, run_id)
    assert flow_run["state_name"] == "Promoted", (deployed.states(run_id), flow_run["state"], deployed.logs())
    store = Store(Path(parameters["store"]))
    assert tuple(store.versions()) == versions
    assert [fault for version in versions for fault in store.faults(version)] == []
    assert store.unreported() == []
    assert checkpoints(parameters) == []


def test_run_with_a_killed_process_crashes_and_resumes_on_retry(deployed, training):
    kill(deployed.flow_processes())
    assert wait_for_run(deployed.api, training)["state_name"] == "Crashed"
    # The worker notices the end of its process later, and would mark a retry that has begun as crashed.
    deployed.wait_for(lambda: not descendants(deployed.worker), "the worker's process ends")
    time.sleep(3)
    deployed.set_state(training, type="SCHEDULED", name="AwaitingRetry")  # as Retry in the UI does
    assert_resumes(deployed, training)


def test_next_run_resumes_after_the_worker_is_killed(deployed, training, endless):
    deployed.kill(deployed.worker)
    following = trigger(deployed.api, "train/retrain", endless)
    deployed.start_worker()
    assert wait_for_run(deployed.api, training)["state_name"] == "Crashed", "its output went to the worker"
    assert_resumes(deployed, following)


def test_lost_machine_marks_the_run_as_crashed_and_the_next_one_resumes(deployed, training, endless):
    deployed.kill(deployed.worker)
    kill(deployed.flow_processes())
    following = trigger(deployed.api, "train/retrain", endless)
    deployed.update_automations(PATIENCE_SECONDS)  # the server has to remember the last heartbeat
    deployed.start_worker()
    assert_resumes(deployed, following)
    assert deployed.state(training)["name"] == "Crashed"
    assert "no heartbeat" in deployed.state(training)["message"]


def test_cancelled_run_ends_soon_and_leaves_its_checkpoints(deployed, training, endless):
    cancel(deployed, training)
    assert "Crashed" not in deployed.states(training)
    assert Store(Path(endless["store"])).versions() == []
    assert checkpoints(endless)


def test_server_outage_loses_neither_model_nor_report(deployed, long_training):
    deployed.update_automations(patience=90)  # heartbeats are lost, too
    run_id = start_training(deployed, long_training)
    lease = deployed.state(run_id)["state_details"]["deployment_concurrency_lease_id"]
    deployed.kill(deployed.server)
    restart_time = time.monotonic() + OUTAGE_SECONDS
    last_checkpoint = f"epoch-{long_training['overrides']['epochs']:05}"
    deployed.wait_for(
        lambda: any(last_checkpoint in path.name for path in checkpoints(long_training)), "training without a server"
    )
    time.sleep(max(0, restart_time - time.monotonic()))
    deployed.start_server()
    # Else Prefect would end a run that trains on for some minutes.
    deployed.api.post(f"/v2/concurrency_limits/leases/{lease}/renew").raise_for_status()
    assert_published(deployed, run_id, long_training)
    query = {"artifacts": {"flow_run_id": {"any_": [run_id]}}}
    keys = {artifact["key"] for artifact in deployed.api.post("/artifacts/filter", json=query).json()}
    assert {"training-report", "training-classes", "leaderboard", "history"} <= keys


def test_simultaneous_runs_are_queued_and_publish_a_version_each(deployed, parameters):
    seeded = [parameters | {"overrides": parameters["overrides"] | {"seed": seed}} for seed in range(N_SIMULTANEOUS)]
    run_ids = [trigger(deployed.api, "train/retrain", parameters) for parameters in seeded]
    max_running = 0

    def have_all_ended():
        nonlocal max_running
        query = {"flow_runs": {"id": {"any_": run_ids}}}
        states = [found["state_type"] for found in deployed.api.post("/flow_runs/filter", json=query).json()]
        max_running = max(max_running, states.count("RUNNING"))
        return set(states) <= {"COMPLETED", "FAILED", "CRASHED"}

    deployed.wait_for(have_all_ended, "all runs end", 600)
    assert max_running == 1
    assert {deployed.state(run_id)["name"] for run_id in run_ids} <= {"Promoted", "Refused"}
    store = Store(Path(parameters["store"]))
    assert store.versions() == list(range(1, N_SIMULTANEOUS + 1))
    assert [fault for version in store.versions() for fault in store.faults(version)] == []
    assert sorted(event["version"] for event in store.history()) == store.versions()
    assert {store.card(version)["recipe"]["seed"] for version in store.versions()} == set(range(N_SIMULTANEOUS))


@pytest.fixture
def every_minute(deployed, parameters):
    """Schedule a retraining every minute; return the id of the deployment."""
    retrain = deployment(deployed.api, "train/retrain")["id"]
    schedules = [{"schedule": {"cron": "* * * * *", "timezone": "Etc/UTC"}, "active": True, "parameters": parameters}]
    created = deployed.api.post(f"/deployments/{retrain}/schedules", json=schedules).raise_for_status().json()
    yield retrain
    deployed.api.delete(f"/deployments/{retrain}/schedules/{created[0]['id']}").raise_for_status()
    deployed.wait_for(lambda: not deployed.flow_processes(), "its runs end")


@pytest.fixture
def predicting(deployed, parameters, tmp_path):
    """Let a promotion in the test's store start a prediction; return the path of the predictions."""
    predict = deployment(deployed.api, "predict/predict")
    change = {"parameters": predict["parameters"] | {"input": parameters["source"]}}
    deployed.api.patch(f"/deployments/{predict['id']}", json=change).raise_for_status()
    set_predict_output(deployed.api, parameters["store"], tmp_path / "predictions.csv")
    enable_predict_trigger(deployed.api, enabled=True)
    yield tmp_path / "predictions.csv"
    enable_predict_trigger(deployed.api, enabled=False)


def test_schedule_starts_a_run_whose_promotion_starts_a_prediction(deployed, predicting, every_minute):
    deployed.wait_for(predicting.exists, "a scheduled run publishes a champion, which predicts")
    assert len(predicting.read_text().splitlines()) == 1 + 200
    query = {"deployments": {"id": {"any_": [every_minute]}}, "flow_runs": {"tags": {"all_": ["auto-scheduled"]}}}
    assert deployed.api.post("/flow_runs/filter", json=query).json()


@pytest.fixture
def short_deadline(deployed, idle):
    """Shorten the deadline of a retraining, and let the worker start no run."""
    query = {"automations": {"name": {"any_": ["digits-alarm-retraining"]}}}
    (automation,) = deployed.api.post("/automations/filter", json=query).raise_for_status().json()
    automation["trigger"]["within"] = DEADLINE_SECONDS
    fields = {name: automation[name] for name in ("name", "description", "enabled", "trigger", "actions")}
    deployed.api.put(f"/automations/{automation['id']}", json=fields).raise_for_status()
    deployed.api.patch("/work_pools/digits", json={"is_paused": True}).raise_for_status()
    yield f"prefect.automation.{automation['id']}"
    deployed.api.patch("/work_pools/digits", json={"is_paused": False}).raise_for_status()


def test_missed_deadline_raises_an_alarm(deployed, short_deadline, parameters):
    def alarms():
        wanted = {"event": {"name": ["prefect.automation.triggered"]}, "resource": {"id": [short_deadline]}}
        return deployed.api.post("/events/filter", json={"filter": wanted}).raise_for_status().json()["events"]

    time.sleep(1)  # the server reads its automations again
    missed = trigger(deployed.api, "train/retrain", parameters)
    deployed.wait_for(alarms, "an alarm", DEADLINE_SECONDS + 20)
    (alarm,) = alarms()
    assert alarm["payload"]["triggering_event"]["event"] == "prefect.flow-run.Late"
    deployed.set_state(missed, type="CANCELLED", name="Cancelled")
