"""Create or update the work pool, the deployments of prefect.yaml and the automations on a Prefect server.

What was changed in the Prefect UI stays, for example a paused schedule, until prefect.yaml changes. Of automations,
only a pause stays. Process pools get the job template of work_pool.yaml, since another one may let runs choose their
command.

`make up` runs it; for another server: PREFECT_API_URL=… .venv/bin/python deployment/deploy.py
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import httpx
import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleUpdate, DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName
from prefect.client.schemas.responses import DeploymentResponse
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import PrefectHTTPStatusError

ROOT = Path(__file__).parents[1]
PREFECT = str(Path(sys.executable).with_name("prefect"))
AUTOMATIONS = Path(__file__).with_name("automations.yaml")
WORK_POOL = Path(__file__).with_name("work_pool.yaml")
KEPT_FIELDS = {
    "description", "parameters", "paused", "tags", "job_variables", "concurrency_options", "enforce_parameter_schema",
}  # fmt: skip
"""The fields of a deployment that can be changed in the Prefect UI, apart from its schedules and concurrency limit."""


def main() -> None:
    """Create or update everything; exit with one line if the server rejects the password."""
    try:
        deploy()
    except PrefectHTTPStatusError as error:
        if error.response.status_code != httpx.codes.UNAUTHORIZED:
            raise
        sys.exit(
            f"PREFECT_API_URL={os.environ.get('PREFECT_API_URL')}: wrong or no password in PREFECT_API_AUTH_STRING"
        )


def deploy() -> None:
    """Create or update everything; print which deployments lose changes that were made in the UI."""
    content = (ROOT / "prefect.yaml").read_bytes()
    entries, version = yaml.safe_load(content)["deployments"], hashlib.sha256(content).hexdigest()[:12]
    with get_client(sync_client=True) as client:
        before = {deployment.id: deployment for deployment in find(client, entries)}
        disabled = {automation.name for automation in client.read_automations() if not automation.enabled}
        update_pools(client, {entry["work_pool"]["name"] for entry in entries})
        run("deploy", "--all")
        for deployment in find(client, entries):
            former = before.get(deployment.id)
            kept = ui_fields(former) if former and former.version == version else {}
            client.update_deployment(deployment.id, DeploymentUpdate(version=version, **kept))
        update_automations(client)
        for automation in client.read_automations():
            if automation.name in disabled:
                client.pause_automation(automation.id)
    if replaced := sorted(former.name for former in before.values() if former.version != version):
        print(f"prefect.yaml has changed, and replaces what was changed in the Prefect UI: {', '.join(replaced)}")


def find(client: SyncPrefectClient, entries: Sequence[dict[str, str]]) -> list[DeploymentResponse]:
    """Return the server's deployments of these entries of prefect.yaml."""
    name_filter = DeploymentFilterName(any_=[entry["name"] for entry in entries])
    found = client.read_deployments(deployment_filter=DeploymentFilter(name=name_filter))
    entrypoints = {(entry["name"], entry["entrypoint"]) for entry in entries}
    return [deployment for deployment in found if (deployment.name, deployment.entrypoint) in entrypoints]


def ui_fields(deployment: DeploymentResponse) -> dict[str, object]:
    """Return what can be changed in the Prefect UI, as fields of an update."""
    limit = deployment.global_concurrency_limit
    schedules = [
        DeploymentScheduleUpdate(schedule=one.schedule, active=one.active, parameters=one.parameters, slug=one.slug)
        for one in deployment.schedules
    ]
    fields = {name: getattr(deployment, name) for name in KEPT_FIELDS}
    return fields | {"schedules": schedules, "concurrency_limit": limit.limit if limit else None}


def run(*command: str) -> None:
    """Run a command of Prefect; exit with the last line of its output if it fails."""
    process = subprocess.run(  # noqa: S603, Prefect's own command
        [PREFECT, "--no-prompt", *command],
        cwd=ROOT,
        env={"PROJECT": str(ROOT.resolve()), **os.environ},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if process.returncode:
        sys.exit("".join((process.stderr or process.stdout).strip().splitlines()[-1:]))


def update_pools(client: SyncPrefectClient, names: Collection[str]) -> None:
    """Create the work pools that don't exist; replace and name process pools' other job templates."""
    template = yaml.safe_load(WORK_POOL.read_text("utf-8"))
    existing = {pool.name: pool for pool in client.read_work_pools()}
    for name in names:
        if name not in existing:
            client.create_work_pool(WorkPoolCreate(name=name, type="process", base_job_template=template))
        elif existing[name].type == "process" and existing[name].base_job_template != template:
            client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
            print(f"deployment/work_pool.yaml replaces another job template of the work pool: {name}")


def update_automations(client: SyncPrefectClient) -> None:
    """Create the automations of automations.yaml, or update those with the same name that differ.

    An update makes the server forget the heartbeats so far, and so the runs that were lost since the last one.
    """
    for fields in yaml.safe_load(AUTOMATIONS.read_text("utf-8")):
        automation = AutomationCore.model_validate(fields)
        # `prefect automation create` would add a second one of the same name.
        existing = client.read_automations_by_name(automation.name)
        if not existing:
            client.create_automation(automation)
        elif behavior(existing[0]) != behavior(automation):
            client.update_automation(existing[0].id, automation)


def behavior(automation: AutomationCore) -> dict[str, object]:
    """Return what an automation does, apart from what the server adds and from a pause."""
    fields = set(AutomationCore.model_fields) - {"enabled"}
    return automation.model_dump(include=fields, exclude={"trigger": {"id"}})


if __name__ == "__main__":
    main()
