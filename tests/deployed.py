"""A Prefect server with this project's deployments, and a worker, each of which a test can kill and restart."""

import subprocess
import sys
import time
from pathlib import Path

import deploy
import httpx
import psutil
import pytest
import up
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from samples import ROOT, clean_environment
from serving import api_client, free_port, kill

PREFECT = Path(sys.executable).with_name("prefect")
TIMEOUT_SECONDS = 200


class Deployed:
    """A server with its deployments, and a worker."""

    def __init__(self, home):
        self.home = home
        self.url = f"http://127.0.0.1:{free_port()}/api"
        intervals = {
            "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "4",
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "2",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
        }
        self.environment = clean_environment(home) | intervals | up.FLOW_SETTINGS | up.SERVER_SETTINGS
        self.environment |= {"PREFECT_API_URL": self.url, "PROJECT": str(ROOT)}
        self.api = api_client(self.url)
        self.server = self.worker = None
        self.training = None

    def start_server(self):
        port = httpx.URL(self.url).port
        self.server = self._start("server", "start", "--host", "127.0.0.1", "--port", str(port))
        self.wait_for(self._answers, "the server answers")

    def deploy(self):
        command = [sys.executable, "deployment/deploy.py"]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, capture_output=True, timeout=120)

    def update_automations(self, patience):
        """Update the automations as `make up` does, with other seconds after the last heartbeat of a lost run."""
        automations = self.home / "automations.yaml"
        automations.write_text(deploy.AUTOMATIONS.read_text("utf-8").replace("within: 90", f"within: {patience}"))
        api = {PREFECT_API_URL: self.url}
        with pytest.MonkeyPatch.context() as patch, temporary_settings(api), get_client(sync_client=True) as client:
            patch.setattr(deploy, "AUTOMATIONS", automations)
            deploy.update_automations(client)

    def start_worker(self):
        self.worker = self._start("worker", "start", "--pool", "digits")

    def kill(self, process):
        """Kill a process, as a power failure does, but not its children."""
        process.kill()
        process.wait()

    def flow_processes(self):
        """Return the processes of flow runs."""
        processes = psutil.process_iter(["environ"])
        ours = [p for p in processes if (p.info["environ"] or {}).get("PREFECT_API_URL") == self.url]
        return [p for p in ours if "PREFECT__FLOW_RUN_ID" in p.info["environ"]]

    def state(self, run_id):
        return self.api.get(f"/flow_runs/{run_id}").raise_for_status().json()["state"]

    def set_state(self, run_id, **state):
        response = self.api.post(f"/flow_runs/{run_id}/set_state", json={"state": state}).raise_for_status().json()
        assert response["status"] == "ACCEPT", response

    def states(self, run_id):
        found = self.api.get("/flow_run_states/", params={"flow_run_id": run_id}).raise_for_status().json()
        return [state["name"] for state in found]

    def run_log(self, run_id):
        """Return the messages that a run has logged."""
        query = {"logs": {"flow_run_id": {"any_": [run_id]}}, "limit": 200, "sort": "TIMESTAMP_ASC"}
        return "\n".join(log["message"] for log in self.api.post("/logs/filter", json=query).json())

    def wait_for(self, condition, description, seconds=TIMEOUT_SECONDS):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{description}: not within {seconds} s\n{self.logs()}"
            time.sleep(0.5)

    def logs(self):
        """Return the last output of server and worker."""
        return "\n".join(path.read_text()[-3000:] for path in self.home.glob("*.log"))

    def end(self):
        for process in (self.worker, self.server):
            if process and process.poll() is None:
                process.terminate()
                process.wait(60)
        kill(self.flow_processes())
        self.api.close()

    def _start(self, *command):
        with (self.home / f"{command[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [PREFECT, *command], cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def _answers(self):
        try:
            return self.api.get("/health").is_success
        except httpx.HTTPError:
            return False
