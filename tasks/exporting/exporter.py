"""Export a version: convert its model, ask each export about all test rows in its own runtime, and keep what agrees."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

import numpy as np

from artifacts.store import version_files
from artifacts.store.store import MODEL, Store
from artifacts.uri import error_reason
from schemas.digits import SIDE
from schemas.errors import InputError
from schemas.exports import MAX_DIFFERENCE, MAX_INT8_SIZE, MAX_LOSS_POINTS, Agreement, Export, ExportFormat
from schemas.images import Images
from schemas.results import Dataset
from tasks.exporting import answer, convert
from tasks.exporting.convert import CALIBRATION, EXPECTED, FAULT_SUFFIX, TEST
from tasks.exporting.formats import FORMATS, Format

ROOT = Path(__file__).parents[2]
CALIBRATION_ROWS = 500
"""Number of training rows from which the ranges of an int8 export's values are estimated."""
TIMEOUT_SECONDS = 600
"""Time for a conversion, or for the answers of an export: a runtime that hangs must not hold up the schedule."""
ROUNDING = 1e-9
"""Tolerance of a difference of two accuracies in points."""


class _RejectedError(Exception):
    """An export that can't be made, or doesn't agree with the model."""


def export(store: Store, version: int, formats: Sequence[ExportFormat], dataset: Dataset) -> tuple[Export, ...]:
    """Export a version in some formats; an export that fails has a `fault` and isn't kept.

    Raises StoreError if the version's files have changed.
    """
    model = store.verified_dir(version) / MODEL
    try:
        with tempfile.TemporaryDirectory(prefix="export-") as work:
            folder = Path(work)
            _write_images(folder, dataset)
            message = _run(convert.__name__, str(model.resolve()), work, *formats)[1]
            return tuple(_keep(store, version, name, folder, dataset.test, message) for name in formats)
    except OSError as error:  # a full disk
        return tuple(
            Export(version, name, store.exports.uri(version, name), {}, error_reason(error)) for name in formats
        )


def read_data(store: Store, version: int) -> Dataset:
    """Read the data that a version's card names; raise InputError if it is gone or has changed."""
    from tasks.verification import rescore

    stated = store.card(version)["data"]
    dataset = rescore.read_data(stated, store.shards, version_files.read_corrections(store.local_dir(version)))
    if dataset.fingerprint != stated["fingerprint"]:
        raise InputError(
            f"version {version}: {stated['source']} has changed since it was trained, so that its exports can't be "
            "compared on the same test rows; restore the data, or train again with --export"
        )
    return dataset


def _write_images(folder: Path, dataset: Dataset) -> None:
    """Write the test images, and training images for calibration, rows × 28 × 28, for the other processes."""
    test, rows = dataset.test, np.linspace(0, len(dataset.train) - 1, CALIBRATION_ROWS).astype(np.int64)
    np.save(folder / CALIBRATION, dataset.train.read(np.unique(rows)).reshape(-1, SIDE, SIDE))
    shape = (len(test), SIDE, SIDE)
    file = np.lib.format.open_memmap(folder / TEST, mode="w+", dtype=np.uint8, shape=shape)
    for piece in test.pieces():
        file[piece] = test.read(piece).reshape(-1, SIDE, SIDE)
    file.flush()


def _keep(  # noqa: PLR0913, what a conversion left
    store: Store, version: int, name: ExportFormat, work: Path, test: Images, message: str
) -> Export:
    """Check a converted model and add it to the store."""
    path, card = store.exports.uri(version, name), store.card(version)
    try:
        latency_ms = _answer(name, work, message)
        agreement = _agreement(work, name, test)
        n_bytes = sum(file.stat().st_size for file in (work / name).rglob("*") if file.is_file())
        _check(agreement, FORMATS[name], n_bytes / (store.local_dir(version) / MODEL).stat().st_size)
    except _RejectedError as error:
        return Export(version, name, path, {}, str(error))
    record = {
        "version": version,
        "format": name,
        "made": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "weights_digest": card["weights_digest"],
        "data": card["data"]["fingerprint"],
        "agreement": dataclasses.asdict(agreement),
        "bytes": n_bytes,
        "latency_ms": latency_ms,
        "libraries": {package: installed(package) for package in ("tensorflow", "keras", *FORMATS[name].packages)},
    }
    return Export(version, name, path, store.exports.add(version, name, work / name, record))


def _answer(name: ExportFormat, work: Path, message: str) -> float:
    """Let an export answer the test images in a process of its own; return the time of a single image in ms."""
    fault, path = work / f"{name}{FAULT_SUFFIX}", work / name / FORMATS[name].file
    if fault.exists():
        raise _RejectedError(fault.read_text("utf-8"))
    if not path.exists() or not (work / EXPECTED).exists():
        raise _RejectedError(f"can't be converted ({message})")
    code, message = _run(answer.__name__, name, str(path), str(work / TEST), str(work / f"{name}.npy"))
    if code:
        raise _RejectedError(f"can't be used without the training's libraries ({message})")
    return float(message)


def _run(module: str, *arguments: str) -> tuple[int, str]:
    """Run a module of this project; return its exit code, and the last line that it wrote."""
    try:
        process = subprocess.run(  # noqa: S603, this project's own module
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"no result within {TIMEOUT_SECONDS} seconds"
    output = process.stderr if process.returncode else process.stdout
    return process.returncode, (output.strip().splitlines() or [f"exit code {process.returncode}"])[-1]


def _agreement(work: Path, name: ExportFormat, test: Images) -> Agreement:
    """Compare an export's answers with those of `model.keras`."""
    expected, actual = (np.load(work / file, mmap_mode="r") for file in (EXPECTED, f"{name}.npy"))
    digits, keras_digits = actual.argmax(axis=1), expected.argmax(axis=1)
    return Agreement(
        n_rows=len(expected),
        different_labels=int((digits != keras_digits).sum()),
        max_difference=float(np.abs(actual - expected).max()),
        accuracy=float((digits == test.labels).mean()),
        keras_accuracy=float((keras_digits == test.labels).mean()),
    )


def _check(agreement: Agreement, spec: Format, size: float) -> None:
    """Raise _RejectedError if answers differ too much, or an int8 export is too large.

    `size` is a share of the model's size.
    """
    lost = 100 * (agreement.keras_accuracy - agreement.accuracy)
    if not np.isfinite(agreement.max_difference):
        raise _RejectedError("some of its answers aren't numbers")
    if spec.is_quantized:
        if lost > MAX_LOSS_POINTS + ROUNDING:
            raise _RejectedError(
                f"it loses {lost:.2f} percentage points of accuracy; up to {MAX_LOSS_POINTS} are allowed"
            )
        if size > MAX_INT8_SIZE:
            raise _RejectedError(f"it has {size:.0%} of the size of {MODEL}; up to {MAX_INT8_SIZE:.0%} are allowed")
    elif agreement.different_labels or agreement.max_difference > MAX_DIFFERENCE:
        raise _RejectedError(
            f"{agreement.different_labels:,} of {agreement.n_rows:,} test rows get another label than by {MODEL}, and "
            f"probabilities differ by up to {agreement.max_difference:.2g}; {MAX_DIFFERENCE:g} is allowed"
        )
