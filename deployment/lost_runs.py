"""Runs that were left behind: their worker, and perhaps the machine, stopped before they could report their end."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import psutil

RUN_ID = "PREFECT__FLOW_RUN_ID"
"""The environment variable by which Prefect names a process's run to it."""


def crash(api: httpx.Client, pool: str) -> list[str]:
    """Mark the active runs of a pool whose processes are gone as crashed; return their names.

    Only while no worker starts runs, and for a server whose runs have their processes on this machine.
    """
    runs = active_runs(api, pool)
    alive = run_ids_of_processes() if runs else set()
    lost = [run for run in runs if run["id"] not in alive and is_unchanged(api, run)]
    for run in lost:
        state = {"type": "CRASHED", "message": "its process is gone; the next run resumes from the last checkpoint"}
        api.post(f"/flow_runs/{run['id']}/set_state", json={"state": state}).raise_for_status()
    return [run["name"] for run in lost]


def active_runs(api: httpx.Client, pool: str) -> list[dict[str, Any]]:
    """Return the runs of a work pool that hold a place in a queue: those that have begun and not ended."""
    states = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
    query = {"flow_runs": states, "work_pools": {"name": {"any_": [pool]}}}
    runs: list[dict[str, Any]] = api.post("/flow_runs/filter", json=query).raise_for_status().json()
    return runs


def run_ids_of_processes() -> set[str]:
    """Return the runs of this user's processes. A PID wouldn't do, since another process may have it by now."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found.add(process.environ().get(RUN_ID, ""))
    return found


def is_unchanged(api: httpx.Client, run: dict[str, Any]) -> bool:
    """Check whether a run still is in the state that was read: its process may have reported its end just now."""
    current: dict[str, Any] = api.get(f"/flow_runs/{run['id']}").raise_for_status().json()
    return bool(current["state_id"] == run["state_id"])
