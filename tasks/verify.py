"""Verify: check that a version matches its card."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from artifacts.store.store import Store
from schemas.errors import StoreError
from schemas.results import VerificationResult
from tasks.orchestration.retries import RETRIED

ROOT = Path(__file__).parents[1]


@task(task_run_name="verify version {version}", **RETRIED)
def verify(store: Store, version: int, *, reproduce: bool) -> VerificationResult:
    """Hash a version's files and evaluate its model again; raise StoreError with all differences from its card.

    `reproduce` also trains again with the card's recipe and compares the weights, bit for bit.
    """
    from artifacts.reports import markdown

    try:
        faults = [f"version {version}: {line}" for line in _rescore(store.verified_dir(version), reproduce=reproduce)]
        faults += [f"version {version}: {line}" for line in store.exports.faults(version, store.card(version))]
    except StoreError as error:
        faults = [str(error)]
    checked = "files, metrics and retrained weights" if reproduce else "files and metrics"
    if not faults and not reproduce and store.card(version)["data"].get("folds"):
        checked = "files and weights; its metrics, of cross-validation, need --reproduce"
    summary = "; ".join(faults) or f"version {version} matches its card: {checked}"
    title = f"Version {version}: {'differs from its card' if faults else 'verified'}"
    lines = "\n".join(f"- {markdown.inert(line)}" for line in faults or [summary])
    create_markdown_artifact(f"# {title}\n\n{lines}\n", key="verification", description=title)
    if faults:
        raise StoreError(summary)
    get_run_logger().info(summary)
    return VerificationResult(version=version, summary=summary)


def _rescore(folder: Path, *, reproduce: bool) -> list[str]:
    """Evaluate in a new process, so that the state of this one can't influence the result."""
    command = [sys.executable, "-m", "tasks.verification.rescore", str(folder.resolve())]
    process = subprocess.run(  # noqa: S603, this project's own module
        [*command, *(["--reproduce"] if reproduce else [])],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if process.returncode:
        last_line = (process.stderr.strip().splitlines() or ["no error message"])[-1]
        return [f"it can't be evaluated ({last_line})"]
    return list(json.loads(process.stdout.splitlines()[-1]))
