"""Find what differs between a version and its card."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import StoreError

if TYPE_CHECKING:
    from artifacts.store.store import Store

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-6
"""Relative and absolute tolerance of floats: other machines may round the last digits differently."""


def find_faults(store: Store, version: int, *, reproduce: bool) -> list[str]:
    """Hash a version's files, evaluate its model in a new process, and return all differences from its card."""
    try:
        folder = store.verified_dir(version)
        card = store.card(version)
    except StoreError as error:
        return [str(error)]
    result = _rescore(folder, reproduce=reproduce)
    if "fault" in result:
        return [f"version {version}: it can't be evaluated ({result['fault']})"]
    pairs = [
        (card["figures"], result["figures"], "figures"),
        (card.get("abstention"), result["abstention"], "abstention"),
        (card["data"]["fingerprint"], result["data"], "the fingerprint of the data"),
        (card["weights_digest"], result["weights"], "the digest of the weights"),
    ]
    if reproduce:
        pairs.append((card["weights_digest"], result["reproduced"], "the digest of the retrained weights"))
    return [f"version {version}: {line}" for pair in pairs for line in differences(*pair)]


def _rescore(folder: Path, *, reproduce: bool) -> dict[str, Any]:
    """Run `rescore.py` in a process of its own, so that nothing of this one can influence the result."""
    command = [sys.executable, "-m", "tasks.verification.rescore", str(folder.resolve())]
    ended = subprocess.run(  # noqa: S603, this project's own module
        [*command, *(["--reproduce"] if reproduce else [])], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        last_line = (ended.stderr.strip().splitlines() or ["no error message"])[-1]
        return {"fault": last_line}
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def differences(stated: Any, actual: Any, where: str) -> list[str]:  # noqa: ANN401, any JSON
    """Name every value in which two pieces of JSON differ: `figures.recall.4 is 0.98, the card says 0.99`."""
    if isinstance(stated, dict) and isinstance(actual, dict):
        keys = sorted({*stated, *actual})
        return [line for key in keys for line in differences(stated.get(key), actual.get(key), f"{where}.{key}")]
    if isinstance(stated, list) and isinstance(actual, list) and len(stated) == len(actual):
        pairs = enumerate(zip(stated, actual, strict=True))
        return [line for index, (a, b) in pairs for line in differences(a, b, f"{where}[{index}]")]
    if isinstance(stated, float) and isinstance(actual, float):
        same = math.isclose(stated, actual, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    else:
        same = stated == actual
    return [] if same else [f"{where} is {actual}, the card says {stated}"]
