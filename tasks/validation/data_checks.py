"""The checks of a part or of all data as a whole; each returns errors, which stop the run, and warnings."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from schemas.counts import count
from schemas.digits import CLASSES
from schemas.errors import join_messages
from schemas.pixel_frame import labelled_column_fault
from schemas.profile import Profile
from schemas.results import RawDataset
from schemas.rules import Rules
from schemas.shards import ShardManifest
from schemas.validation import CheckResult, LabelAgreement, Part
from tasks.validation import labels, profiles
from tasks.validation.check_rows import CheckedPart
from tasks.validation.profiles import Histograms
from tasks.validation.repairs import (
    BYTES,
    INVERSION_NEEDED,
    REPAIR_ADVISED,
    find_scale,
    merge_scales,
    scale_message,
    turn_needed,
)

MAX_LABELS_READ = 1_000
"""Rows with unknown labels, of all, that are read to see whether the labels are 10."""


def check_columns(raw: RawDataset) -> list[CheckResult]:
    """Check that each frame has rows, and a pixel frame's columns; shards are checked when they are read."""
    results = []
    for part, rows in raw.parts.items():
        if isinstance(rows, ShardManifest):
            continue
        if fault := labelled_column_fault(rows):
            message = f"{part} part: {fault}; expected label, pixel0 … pixel783"
            results.append(CheckResult("columns", "error", message))
        elif not len(rows):
            results.append(CheckResult("rows", "error", f"{part} part: no rows"))
    return results


def check_shards(part: Part, checked: CheckedPart, rules: Rules) -> list[CheckResult]:
    """Check that the share of rows in unusable shards is within the limit."""
    if not checked.bad_shards:
        return []
    n_rows = f"{checked.n_unreadable:,} of {checked.n_expected:,} rows"
    shards = count(len(checked.bad_shards), "shard")
    message = f"{shards} of the {part} part, {n_rows}, can't be used: {join_messages(checked.bad_shards)}"
    if checked.n_input and not _exceeds_budget(checked.n_unreadable, checked, rules):
        return [CheckResult("shards", "warning", message)]
    return [CheckResult("shards", "error", f"{message}; {_budget_message(rules)}")]


def check_scale(part: Part, checked: CheckedPart, rules: Rules) -> list[CheckResult]:
    """Check that pixels range from 0 to 255, those of all rows alike."""
    counts, scale = merge_scales(checked.scales), find_scale(checked.scales)
    n_others = counts.total() - counts[scale]
    if _exceeds_budget(n_others, checked, rules):
        ranges = ", ".join(f"{name} in {count(n_rows, 'row')}" for name, n_rows in counts.most_common())
        return [CheckResult("scale", "error", f"{part} part: pixels run {ranges}; bring all rows to one scale")]
    if scale == BYTES or "scale" in rules.repair:
        return []
    others = f" (not in {n_others:,} of {count(checked.n_input, 'row')})" if n_others else ""
    return [CheckResult("scale", "error", f"{part} part: {scale_message(scale, others)}")]


def check_budget(part: Part, checked: CheckedPart, rules: Rules) -> list[CheckResult]:
    """Check that the share of quarantined rows is within the limit.

    If the unreadable rows alone exceed it, `check_shards` has already reported that.
    """
    n_bad = len(checked.quarantined) + checked.n_unreadable
    if not _exceeds_budget(n_bad, checked, rules) or _exceeds_budget(checked.n_unreadable, checked, rules):
        return []
    counts = sorted(((len(positions), reason) for reason, positions in checked.faults.items()), reverse=True)
    if checked.n_unreadable:
        counts.insert(0, (checked.n_unreadable, "in shards that can't be used"))
    reasons = ", ".join(f"{n_rows:,} {reason}" for n_rows, reason in counts[:3])
    message = f"{n_bad:,} of {checked.n_expected:,} {part} rows had to be quarantined ({reasons})"
    return [CheckResult("budget", "error", f"{message}; {_budget_message(rules)}")]


def check_classes(train: NDArray[np.uint8], rules: Rules) -> list[CheckResult]:
    """Check that every class has training rows, and warn of rare classes."""
    shares = np.bincount(train, minlength=len(CLASSES)) / max(len(train), 1)
    results = []
    if missing := [str(label) for label in CLASSES if shares[label] == 0]:
        message = f"no training rows of {', '.join(missing)}; all of 0 to 9 are needed"
        results.append(CheckResult("classes", "error", message))
    if rare := [f"{label} ({shares[label]:.2%})" for label in CLASSES if 0 < shares[label] < rules.min_class_share]:
        message = f"few training rows of {', '.join(rare)}; each class should have at least {rules.min_class_share:.2%}"
        results.append(CheckResult("classes", "warning", message))
    return results


def check_test_rows(train: NDArray[np.uint8], test: NDArray[np.uint8], rules: Rules) -> list[CheckResult]:
    """Check that there are enough test rows, of each class that is trained on."""
    results = []
    if len(test) < rules.min_test_rows:
        message = f"{len(test):,} test rows; --min-test-rows requires {rules.min_test_rows:,}"
        results.append(CheckResult("test rows", "error", message))
    untested = np.setdiff1d(train, test)
    if len(untested) and len(test):
        message = f"no test rows of {', '.join(map(str, untested))}"
        results.append(CheckResult("test rows", "warning", message))
    return results


def advise_cross_validation(n_folds: int, rules: Rules) -> list[CheckResult]:
    """Warn that there is no test part."""
    message = (
        f"--test-fraction {rules.test_fraction:g} gives fewer test rows than --min-test-rows {rules.min_test_rows}: "
        f"all rows are trained on, and the metrics are estimates of {n_folds}-fold cross-validation"
    )
    return [CheckResult("test rows", "warning", message)]


def check_polarity_and_orientation(part: Part, histograms: Histograms, reference: Profile) -> list[CheckResult]:
    """Check a part's polarity, and its orientation against the reference's class means."""
    results = []
    bright = histograms.bright / histograms.labels.sum()
    is_inverted = bright >= profiles.INVERTED_SHARE
    if is_inverted:
        results.append(CheckResult("polarity", "error", f"{part} part: {INVERSION_NEEDED}"))
    elif bright > profiles.MAX_BRIGHT_SHARE:
        results.append(CheckResult("polarity", "warning", f"{part} part: {profiles.bright_message(bright)}"))
    means = 255 - histograms.class_means if is_inverted else histograms.class_means
    if turn := turn_needed(means, histograms.labels, reference.class_means):
        message = f"{part} part: the images are turned{REPAIR_ADVISED}{turn}"
        results.append(CheckResult("orientation", "error", message))
    return results


def check_labels(part: Part, checked: CheckedPart, agreement: LabelAgreement, rules: Rules) -> list[CheckResult]:
    """Check that a part's labels mean what its images show."""
    if _has_ten_for_zero(checked):  # labels 1 to 10: 10 stands for the digit that no other label stands for
        digits = agreement.digits or CLASSES
        agreement = dataclasses.replace(agreement, digits=(0, *digits[1:], digits[0]))
    fault = labels.fault(agreement)
    if not fault:
        return []
    advice = labels.relabel_advice(agreement.digits) if agreement.digits else "; --wrong-labels warning trains anyway"
    return [CheckResult("labels", rules.wrong_labels, f"{part} part: {fault}{advice}")]


def _has_ten_for_zero(checked: CheckedPart) -> bool:
    unknown = checked.faults.get("label unknown", np.empty(0, np.int64))
    if not len(unknown) or (checked.images.labels == 0).any():
        return False
    return bool((checked.read_input(unknown[:MAX_LABELS_READ])["label"] == len(CLASSES)).all())


def _exceeds_budget(n_rows: int, checked: CheckedPart, rules: Rules) -> bool:
    return n_rows > rules.max_quarantined * checked.n_expected


def _budget_message(rules: Rules) -> str:
    return f"--max-quarantined allows {rules.max_quarantined:g} of them"
