"""Runs that were left behind: their worker, and perhaps the machine, stopped before they could report their end."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import httpx
import psutil

from schemas.text import printable

RUN_ID = "PREFECT__FLOW_RUN_ID"
"""The environment variable by which Prefect names a process's run to it, and to its children."""


def end_lost_runs(api: httpx.Client, pool: str) -> list[str]:
    """End the active runs of a pool whose processes are gone; return a line for each active run.

    Only while no worker starts runs, and for a server whose runs have their processes on this machine.
    """
    lines = []
    runs = active_runs(api, pool)
    alive = run_ids_of_processes() if runs else set()
    for run in runs:
        if run["id"] in alive:
            lines.append(f"still running, from an earlier worker: {printable(run['name'])}\n")
        elif end(api, run):
            lines.append(f"ended, since its process is gone: {printable(run['name'])}\n")
    return lines


def end(api: httpx.Client, run: dict[str, Any]) -> bool:
    """Mark a run as crashed, or as cancelled if that was requested; return False if it has ended itself meanwhile."""
    current = api.get(f"/flow_runs/{run['id']}").raise_for_status().json()
    if current["state_id"] != run["state_id"]:
        return False
    final = "CANCELLED" if run["state_type"] == "CANCELLING" else "CRASHED"
    state = {"type": final, "message": "its process is gone; the next run resumes from the last checkpoint"}
    answer = api.post(f"/flow_runs/{run['id']}/set_state", json={"state": state}).raise_for_status().json()
    return bool(answer["status"] == "ACCEPT")


def active_runs(api: httpx.Client, pool: str) -> list[dict[str, Any]]:
    """Return the runs of a work pool that hold a place in a queue: those that have begun and not ended."""
    states = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
    query = {"flow_runs": states, "work_pools": {"name": {"any_": [pool]}}, "sort": "ID_DESC"}
    runs: list[dict[str, Any]] = []
    while page := api.post("/flow_runs/filter", json=query | {"offset": len(runs)}).raise_for_status().json():
        runs += page
    return runs


def run_ids_of_processes() -> set[str]:
    """Return the runs of this user's processes. A PID wouldn't do, since another process may have it by now."""
    found = set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if is_engine(process.cmdline()):
                found.add(process.environ().get(RUN_ID, ""))
    return found


def is_engine(command: Sequence[str]) -> bool:
    """Check whether a command is `python -m prefect.…`, as the worker's are; a run's children may outlive it."""
    return any(flag == "-m" and module.startswith("prefect.") for flag, module in pairwise(command))
