"""Inspect the data of a source: check its rows, split it, check it as a whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from schemas.digits import CLASSES
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.results import CheckResult, Dataset, Validation
from schemas.row_checks import ROW_CHECKS
from schemas.shards import ShardManifest
from tasks.inbox.merger import InboxMerger, add_accepted
from tasks.sharding import checked_shards
from tasks.sources.frames import QUARANTINE_COLUMNS
from tasks.validation import data_checks, profiles, row_faults
from tasks.validation.check_rows import check_frame
from tasks.validation.drift import drifts
from tasks.validation.split import select_test_rows
from tasks.validation.valid_rows import ValidRows

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import Drift, Part, RawDataset
    from schemas.rules import Rules
    from tasks.sharding.shard_cache import ShardCache
    from tasks.validation.check_rows import CheckedPart
    from tasks.validation.row_faults import RowKeys

MAX_QUARANTINED_ROWS = 20_000
"""Rows of a sharded part that the quarantine holds at most, so that memory is bounded; all of them are counted."""


@dataclass
class Inspection:
    """What has been found so far.

    `parts` are the input parts as their rows were checked, `valid` the rows of each part that are valid so far, with
    the test part that is split off. `faults` holds the positions of quarantined input rows by part and reason.
    """

    raw: RawDataset
    rules: Rules
    reference: Profile
    results: list[CheckResult]
    parts: dict[Part, CheckedPart] = field(default_factory=dict)
    valid: dict[Part, ValidRows] = field(default_factory=dict)
    faults: dict[Part, dict[str, NDArray[np.int64]]] = field(default_factory=dict)
    drifts: list[Drift] = field(default_factory=list)
    profile: Profile | None = None


def inspect(
    raw: RawDataset,
    rules: Rules,
    reference: Profile,
    cache: ShardCache | None = None,
    settle: Callable[[InboxMerger], None] = add_accepted,
) -> tuple[Validation, Dataset | None]:
    """Validate the data of a source and of its inbox against the rules; the dataset is None if an error was found.

    All checks are made that the results of earlier ones allow, so that one run reports all that is wrong.

    Args:
        raw: The data; it isn't changed.
        rules: The rules.
        reference: The profile that drift and orientation are measured against.
        cache: Needed for shards. They give the same result as the same rows in one frame.
        settle: Decides which files of the inbox are added to the training part.
    """
    inspection = Inspection(raw, rules, reference, results=data_checks.check_columns(raw))
    if not inspection.results:
        inspection.parts = {part: _check_rows(rows, rules, cache) for part, rows in raw.parts.items()}
        if raw.inbox_files:
            merger = InboxMerger(raw, inspection.parts, rules)
            settle(merger)
            inspection.raw, inspection.parts["train"] = merger.merged()
        _check_reading(inspection)
        if all(checked.n_input for checked in inspection.parts.values()):
            _quarantine_copies(inspection)
            _split(inspection)
            _check_whole(inspection)
    validation = _validation(inspection)
    return validation, None if validation.errors else _dataset(inspection, validation)


def fingerprint(train: RowKeys, test: RowKeys) -> str:
    """Digest both parts' labels and images in their order: SHA-256 of each part's name, length, labels, row digests.

    A row's digest depends on its 784 pixels alone, so neither the format nor the cut into files matters.
    """
    digest = hashlib.sha256()
    for name, part in ((b"train", train), (b"test", test)):
        digest.update(name + len(part.labels).to_bytes(8, "little"))
        digest.update(part.labels.tobytes())
        digest.update(part.digests.astype("<u8").tobytes())
    return digest.hexdigest()


def _check_rows(rows: pd.DataFrame | ShardManifest, rules: Rules, cache: ShardCache | None) -> CheckedPart:
    if not isinstance(rows, ShardManifest):
        return check_frame(rows, rules.repair)
    if cache is None:
        raise ValueError("shards need a cache")
    return checked_shards.of_manifest(rows, rules, cache)


def _check_reading(inspection: Inspection) -> None:
    for part, checked in inspection.parts.items():
        inspection.results += data_checks.check_shards(part, checked, inspection.rules)
        inspection.results += data_checks.check_scale(part, checked)
        inspection.valid[part] = ValidRows.of(checked)
        inspection.faults[part] = dict(checked.faults)


def _quarantine_copies(inspection: Inspection) -> None:
    valid = inspection.valid
    faults = row_faults.copy_faults(valid["train"].keys, valid["test"].keys if "test" in valid else None)
    for part, of_part in faults.items():
        valid[part], positions = valid[part].without(of_part)
        inspection.faults[part] |= positions


def _split(inspection: Inspection) -> None:
    """Split off a test part where the source has none."""
    valid = inspection.valid
    if "test" not in valid:
        rows = valid["train"]
        selected = select_test_rows(rows.keys, inspection.rules)
        valid["test"], valid["train"] = rows.take(selected), rows.take(~selected)


def _check_whole(inspection: Inspection) -> None:
    rules, results = inspection.rules, inspection.results
    for part, faults in inspection.faults.items():
        results += data_checks.check_budget(part, inspection.parts[part], faults, rules)
    train, test = inspection.valid["train"].images, inspection.valid["test"].images
    results += data_checks.check_classes(train.labels, rules)
    results += data_checks.check_test_rows(train.labels, test.labels, rules)
    if len(train):
        inspection.profile, (histograms,) = profiles.fit_profile(train, inspection.raw.name, inspection.reference)
        _check_images(inspection, "train", histograms)
        if "test" in inspection.parts and len(test):  # rows that were split off look like the others
            _check_images(inspection, "test", profiles.count(test, inspection.reference))
    for drift in inspection.drifts:
        if drift.exceeds_threshold:
            results.append(CheckResult("drift", rules.drift, f"{drift.part} part: {drift.summary}"))


def _check_images(inspection: Inspection, part: Part, histograms: profiles.Histograms) -> None:
    """Check how a part's images look; measure drift where scale, polarity and orientation are right."""
    results = data_checks.check_look(part, histograms, inspection.reference)
    inspection.results += results
    has_scale = not any(result.check == "scale" for result in inspection.results)
    if has_scale and not any(result.severity == "error" for result in results):
        inspection.drifts += drifts(part, histograms, inspection.reference, inspection.rules)


def _dataset(inspection: Inspection, validation: Validation) -> Dataset:
    if inspection.profile is None:
        raise ValueError("data without a profile can't have passed")
    train, test = inspection.valid["train"], inspection.valid["test"]
    return Dataset(
        name=inspection.raw.name,
        train=train.images,
        test=test.images,
        fingerprint=fingerprint(train.keys, test.keys),
        profile=inspection.profile,
        validation=validation,
        memory=inspection.rules.memory if isinstance(inspection.raw.train, ShardManifest) else None,
    )


def _validation(inspection: Inspection) -> Validation:
    raw, valid, profile = inspection.raw, inspection.valid, inspection.profile
    quarantined = {part: _quarantined_positions(inspection, part) for part in raw.parts}
    return Validation(
        name=raw.name,
        source=raw.source,
        test_source=raw.test_source,
        added=raw.added,
        rules=inspection.rules.model_dump(mode="json"),
        n_input={part: _n_input(inspection, part) for part in raw.parts},
        n_valid={part: len(rows.images) for part, rows in valid.items()},
        n_quarantined={part: len(positions) for part, positions in quarantined.items()},
        reasons=_count_reasons(inspection),
        quarantined=_read_quarantined(inspection, quarantined),
        findings=tuple(inspection.results),
        drifts=tuple(inspection.drifts),
        repairs=inspection.rules.repair,
        reference=f"{inspection.reference.name}, {inspection.reference.n_rows:,} rows",
        label_counts={
            part: np.bincount(rows.images.labels, minlength=len(CLASSES)).tolist() for part, rows in valid.items()
        },
        means=None if profile is None else profile.class_means,
        reference_means=inspection.reference.class_means,
    )


def _n_input(inspection: Inspection, part: Part) -> int:
    if part in inspection.parts:
        return inspection.parts[part].n_input
    rows = inspection.raw.parts[part]
    return 0 if isinstance(rows, ShardManifest) else len(rows)


def _quarantined_positions(inspection: Inspection, part: Part) -> NDArray[np.int64]:
    """Return the positions of a part's quarantined rows among its input rows, ascending."""
    return np.unique(np.concatenate([np.empty(0, np.int64), *inspection.faults.get(part, {}).values()]))


def _count_reasons(inspection: Inspection) -> dict[str, dict[Part, int]]:
    """Count the quarantined rows by reason and part."""
    faults = {part: inspection.faults.get(part, {}) for part in inspection.raw.parts}
    return {
        reason: {part: len(of_part.get(reason, ())) for part, of_part in faults.items()}
        for reason in ROW_CHECKS
        if any(reason in of_part for of_part in faults.values())
    }


def _read_quarantined(inspection: Inspection, positions: dict[Part, NDArray[np.int64]]) -> pd.DataFrame:
    """Read the quarantined rows, unchanged, with part, item and reasons."""
    pieces = [_read_part(inspection, part, of_part) for part, of_part in positions.items()]
    return pd.concat([piece for piece in pieces if len(piece)] or pieces[:1], ignore_index=True)


def _read_part(inspection: Inspection, part: Part, positions: NDArray[np.int64]) -> pd.DataFrame:
    rows = inspection.raw.parts[part]
    if isinstance(rows, ShardManifest):
        positions = positions[:MAX_QUARANTINED_ROWS]
    if part in inspection.parts:
        frame = inspection.parts[part].read_input(positions)
    else:
        frame = pd.DataFrame(columns=list(LABELLED_COLUMNS)) if isinstance(rows, ShardManifest) else rows.iloc[:0]
    faults = inspection.faults.get(part, {})
    fails = {reason: np.isin(positions, faults[reason]) for reason in ROW_CHECKS if reason in faults}
    columns = dict(
        zip(QUARANTINE_COLUMNS, (part, frame.index.astype(str), row_faults.reasons(fails, len(positions))), strict=True)
    )
    return pd.concat([pd.DataFrame(columns, index=frame.index), frame], axis=1)
