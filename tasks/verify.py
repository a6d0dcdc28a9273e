"""Verify: prove that a version is what its card says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from schemas.errors import StoreError
from schemas.results import VerificationResult
from tasks.orchestration.retries import RETRIED
from tasks.orchestration.stopwatch import timed
from tasks.verification.differences import differences

if TYPE_CHECKING:
    from artifacts.store.store import Store

VERIFICATION_KEY = "verification"
ROOT = Path(__file__).parents[1]


@task(task_run_name="verify version {version}", **RETRIED)
@timed
def verify(store: Store, version: int, *, reproduce: bool) -> VerificationResult:
    """Hash every file, score the model in a fresh process, compare with the card; raise StoreError naming what differs.

    `reproduce` also trains anew by the card's recipe and compares the weights, bit for bit.
    """
    faults = store.faults(version) or _differences(store, version, reproduce=reproduce)
    proven = "its files, its figures" + (" and its weights, trained anew" if reproduce else "")
    told = "; ".join(faults) or f"version {version} is what its card says: {proven}"
    verdict = "not what its card says" if faults else "verified"
    create_markdown_artifact(
        f"# Version {version}: {verdict}\n\n" + "\n".join(f"- {line}" for line in faults or [told]) + "\n",
        key=VERIFICATION_KEY,
        description=f"Version {version}: {verdict}",
    )
    if faults:
        raise StoreError(told)
    get_run_logger().info(told)
    return VerificationResult(version=version, summary=told)


def _differences(store: Store, version: int, *, reproduce: bool) -> list[str]:
    card = store.card(version)
    command = [sys.executable, "-m", "tasks.verification.rescore", str(store.local_dir(version).resolve())]
    ended = subprocess.run(  # noqa: S603, this project's own module
        [*command, *(["--reproduce"] if reproduce else [])], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no word why"])[-1]
        return [f"version {version}: it can't be scored ({last})"]
    found = json.loads(ended.stdout.splitlines()[-1])
    if "fault" in found:
        return [f"version {version}: it can't be scored ({found['fault']})"]
    pairs = [
        (card["figures"], found["figures"], "figures"),
        (card.get("abstention"), found["abstention"], "abstention"),
        (card["data"]["fingerprint"], found["data"], "the data's fingerprint"),
        (card["weights_digest"], found["weights"], "the weights' digest"),
    ]
    if reproduce:
        pairs.append((card["weights_digest"], found["reproduced"], "the digest of the weights trained anew"))
    return [f"version {version}: {line}" for pair in pairs for line in differences(*pair)]
