"""Validate the data of a source: check its rows, split off a test part, check the data as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import CLASSES
from schemas.images import Images
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.profile import Profile
from schemas.results import Dataset, RawDataset
from schemas.review import Correction, added_digests
from schemas.row_checks import ROW_CHECKS
from schemas.rules import Rules
from schemas.shards import ShardManifest
from schemas.validation import CheckResult, Drift, LabelAgreement, Part, Validation
from tasks.inbox import corrections
from tasks.inbox.merger import InboxMerger, add_accepted
from tasks.sharding import checked_shards
from tasks.sharding.shard_cache import ShardCache
from tasks.sources.frames import QUARANTINE_COLUMNS
from tasks.validation import data_checks, profiles, row_faults
from tasks.validation.check_rows import CheckedPart, check_frame
from tasks.validation.drift import drifts
from tasks.validation.labels import LabelChecker, PredictDigits
from tasks.validation.row_faults import RowKeys

MAX_QUARANTINED_ROWS = 20_000
"""Quarantined rows of a sharded part that are stored at most, to bound memory; all of them are counted."""
N_FOLDS = 5
"""Folds of the cross-validation if there are too few rows for a test part."""


@dataclass
class Inspection:
    """Results of the checks so far; `parts` has the source's parts, and later the test part that is split off."""

    raw: RawDataset
    rules: Rules
    reference: Profile
    label_checker: LabelChecker
    results: list[CheckResult]
    parts: dict[Part, CheckedPart] = field(default_factory=dict)
    drifts: list[Drift] = field(default_factory=list)
    label_agreement: dict[str, LabelAgreement] = field(default_factory=dict)
    profile: Profile | None = None


def inspect(  # noqa: PLR0913, the inputs of a validation
    raw: RawDataset,
    rules: Rules,
    reference: Profile,
    cache: ShardCache | None = None,
    process_inbox: Callable[[InboxMerger], None] = add_accepted,
    champion: PredictDigits | None = None,
) -> tuple[Validation, Dataset | None]:
    """Validate the data of a source and of its inbox against the rules; the dataset is None if an error was found.

    All checks run that earlier results allow, so that one run reports everything that is wrong. Drift, orientation and
    labels are measured against the reference profile, labels also against the champion. Shards need the cache, and give
    the same result as the same rows in one frame. `process_inbox` adds files of the inbox to the training part.
    """
    inspection = Inspection(
        raw, rules, reference, LabelChecker(reference, champion), results=data_checks.check_columns(raw)
    )
    if not inspection.results:
        inspection.parts = {part: _check_rows(rows, rules, cache) for part, rows in raw.parts.items()}
        if raw.inbox_files:
            merger = InboxMerger(raw, inspection.parts, rules, inspection.label_checker)
            process_inbox(merger)
            inspection.raw, inspection.parts["train"] = merger.merged()
            inspection.label_agreement |= merger.label_agreement
        for part, checked in inspection.parts.items():
            inspection.results += data_checks.check_shards(part, checked, rules)
            inspection.results += data_checks.check_scale(part, checked, rules)
        if all(checked.n_input for checked in inspection.parts.values()):
            _quarantine_copies_and_split(inspection.parts, rules, inspection.raw.corrections)
            # After the split, so that test rows are known; they weren't copies before either.
            applied, inspection.parts = corrections.apply(
                inspection.raw.corrections, inspection.parts, with_test=rules.correct_test_labels
            )
            inspection.raw = replace(inspection.raw, corrections=applied)
            _check_data(inspection)
    validation = _validation(inspection)
    return validation, None if validation.errors else _dataset(inspection, validation)


def is_clean(dataset: Dataset) -> bool:
    """Check whether validation had nothing to report, and wouldn't against the profile of the training rows either.

    That is the reference of the next run if a version of this data becomes the champion. Notes don't count: they depend
    on the files alone.
    """
    validation = dataset.validation
    if validation.findings or not validation.quarantined.empty:
        return False
    rules = Rules.model_validate(validation.rules)
    test = profiles.compute_histograms(dataset.test, dataset.profile)
    return not any(drift.exceeds_threshold for drift in drifts("test", test, dataset.profile, rules))


def fingerprint(train: RowKeys, test: RowKeys) -> str:
    """Return the SHA-256 of both parts' names, lengths, labels and row digests, in row order.

    It doesn't depend on the source's format, or on how rows are divided into files.
    """
    digest = hashlib.sha256()
    for name, part in ((b"train", train), (b"test", test)):
        digest.update(name + len(part.labels).to_bytes(8, "little"))
        digest.update(part.labels.tobytes())
        digest.update(part.digests.astype("<u8").tobytes())
    return digest.hexdigest()


def _check_rows(rows: pd.DataFrame | ShardManifest, rules: Rules, cache: ShardCache | None) -> CheckedPart:
    if not isinstance(rows, ShardManifest):
        return check_frame(rows, rules.repair, rules.relabel)
    if cache is None:
        raise ValueError("shards need a cache")
    return checked_shards.of_manifest(rows, rules, cache)


def _quarantine_copies_and_split(
    parts: dict[Part, CheckedPart], rules: Rules, corrected: tuple[Correction, ...]
) -> None:
    """Quarantine copies; split off a test part if there is none, without images that corrections added."""
    for part, faults in row_faults.copy_faults({part: checked.keys for part, checked in parts.items()}).items():
        parts[part] = parts[part].quarantine(faults)
    if "test" not in parts:
        train = parts["train"]
        added = np.array(added_digests(corrected), np.uint64)
        selected = select_test_rows(train.digests, rules) & ~np.isin(train.digests[:, 0], added)
        if selected.sum() < rules.min_test_rows:
            parts["test"] = train
        else:
            parts["test"], parts["train"] = train.take(selected), train.take(~selected)


def select_test_rows(digests: NDArray[np.uint64], rules: Rules) -> NDArray[np.bool_]:
    """Select the fraction of the rows set by the rules as test rows, each by its image's digest and the seed alone.

    So no row changes sides when others are added: no version is tested on rows that the previous one was trained on.
    """
    keys = _mix_bits(digests[:, 0] ^ _mix_bits(np.array([rules.test_seed], np.uint64)))
    return np.asarray(keys < np.uint64(rules.test_fraction * 2**64))


def _mix_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of each value so that changing one changes half of them (splitmix64; Steele et al. 2014)."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _check_data(inspection: Inspection) -> None:
    rules, results, parts = inspection.rules, inspection.results, inspection.parts
    for part in inspection.raw.parts:
        results += data_checks.check_budget(part, parts[part], rules)
    train, test = parts["train"].images, parts["test"].images
    results += data_checks.check_classes(train.labels, rules)
    results += data_checks.check_test_rows(train.labels, test.labels, rules)
    if parts["test"] is parts["train"]:
        results += data_checks.advise_cross_validation(N_FOLDS, rules)
    if len(train):
        sample = profiles.take_sample(train)
        label_counts = np.bincount(train.labels, minlength=len(CLASSES))
        profile = profiles.fit_profile(sample, inspection.raw.name)
        inspection.profile = replace(profile, label_counts=label_counts)
        _check_images(inspection, "train", sample)
        if "test" in inspection.raw.parts and len(test):
            _check_images(inspection, "test", test)
        elif len(test) and test is not train and "train" in inspection.label_agreement:  # a split-off part
            inspection.label_agreement["test"] = inspection.label_checker.measure(test)
    for drift in inspection.drifts:
        if drift.exceeds_threshold:
            results.append(CheckResult("drift", rules.drift, f"{drift.part} part: {drift.summary}"))


def _check_images(inspection: Inspection, part: Part, images: Images) -> None:
    """Check a part's polarity and orientation; if these and the scale are right, measure drift and check labels."""
    histograms = profiles.compute_histograms(images, inspection.reference)
    results = data_checks.check_polarity_and_orientation(part, histograms, inspection.reference)
    inspection.results += results
    has_scale = not any(result.check == "scale" for result in inspection.results)
    if has_scale and not any(result.severity == "error" for result in results):
        inspection.drifts += drifts(part, histograms, inspection.reference, inspection.rules)
        checked = inspection.parts[part]
        agreement = inspection.label_agreement[part] = inspection.label_checker.measure(checked.images)
        inspection.results += data_checks.check_labels(part, checked, agreement, inspection.rules)


def _dataset(inspection: Inspection, validation: Validation) -> Dataset:
    if inspection.profile is None:
        raise ValueError("data without a profile can't have passed")
    train, test = inspection.parts["train"], inspection.parts["test"]
    return Dataset(
        name=inspection.raw.name,
        train=train.images,
        test=test.images,
        train_digests=train.digests[:, 0].copy(),
        test_digests=test.digests[:, 0].copy(),
        fingerprint=fingerprint(train.keys, test.keys),
        profile=inspection.profile,
        validation=validation,
        memory=inspection.rules.memory if isinstance(inspection.raw.train, ShardManifest) else None,
        n_folds=N_FOLDS if test is train else 0,
        test_origin=test.origin,
        read_items=partial(_read_items, inspection.parts),
    )


def _read_items(parts: Mapping[Part, CheckedPart], part: Part, rows: NDArray[np.int64]) -> list[str]:
    return [str(item) for item in parts[part].read_input(parts[part].positions[rows]).index]


def _validation(inspection: Inspection) -> Validation:
    raw, parts, profile = inspection.raw, inspection.parts, inspection.profile
    # In cross-validation, the training rows are the test rows, too; they count once.
    parts = {part: checked for part, checked in parts.items() if part in raw.parts or checked is not parts["train"]}
    return Validation(
        name=raw.name,
        source=raw.source,
        test_source=raw.test_source,
        added=raw.added,
        rules=inspection.rules.model_dump(mode="json"),
        n_input={
            part: parts[part].n_input if part in parts else 0 if isinstance(rows, ShardManifest) else len(rows)
            for part, rows in raw.parts.items()
        },
        n_valid={part: len(checked.images) for part, checked in parts.items()},
        n_quarantined={part: len(parts[part].quarantined) if part in parts else 0 for part in raw.parts},
        reasons={
            reason: {part: len(parts[part].faults.get(reason, ())) for part in raw.parts}
            for reason in ROW_CHECKS
            if any(reason in checked.faults for checked in parts.values())
        },
        quarantined=_read_quarantined(raw, parts),
        findings=tuple(inspection.results),
        drifts=tuple(inspection.drifts),
        repairs=inspection.rules.repair,
        reference=f"{inspection.reference.name}, {inspection.reference.n_rows:,} rows",
        label_counts={
            part: np.bincount(checked.images.labels, minlength=len(CLASSES)).tolist() for part, checked in parts.items()
        },
        label_agreement=dict(sorted(inspection.label_agreement.items(), key=lambda item: item[0] not in parts)),
        means=None if profile is None else profile.class_means,
        reference_means=inspection.reference.class_means,
        corrections=raw.corrections,
        notes=tuple(dict.fromkeys([*raw.notes, *(note for checked in parts.values() for note in checked.notes)])),
    )


def _read_quarantined(raw: RawDataset, parts: dict[Part, CheckedPart]) -> pd.DataFrame:
    pieces = [_read_part(part, rows, parts[part]) for part, rows in raw.parts.items() if part in parts]
    empty = pd.DataFrame(columns=[*QUARANTINE_COLUMNS, *LABELLED_COLUMNS])
    return pd.concat([piece for piece in pieces if len(piece)] or [*pieces[:1], empty][:1], ignore_index=True)


def _read_part(part: Part, rows: pd.DataFrame | ShardManifest, checked: CheckedPart) -> pd.DataFrame:
    """Read the quarantined rows, unchanged, after columns for part, item and reasons; of shards only the first rows."""
    positions = checked.quarantined[: MAX_QUARANTINED_ROWS if isinstance(rows, ShardManifest) else None]
    frame = checked.read_input(positions)
    fails = {reason: np.isin(positions, checked.faults[reason]) for reason in ROW_CHECKS if reason in checked.faults}
    values = (part, frame.index.astype(str), row_faults.reasons(fails, len(positions)))
    columns = pd.DataFrame(dict(zip(QUARANTINE_COLUMNS, values, strict=True)), index=frame.index)
    return pd.concat([columns, frame], axis=1)
