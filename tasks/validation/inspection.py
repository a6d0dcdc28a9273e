"""Inspect what a source holds: judge its rows, split it, hold the whole to the checks of the data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from schemas import pixel_frame
from schemas.digits import CLASSES
from schemas.errors import listed
from schemas.pixel_frame import LABELLED_COLUMNS
from schemas.results import CheckResult, Dataset, Validation
from schemas.row_checks import MEANINGS
from schemas.shards import ShardManifest
from tasks.sharding import checked_shards
from tasks.sources.frames import QUARANTINE_COLUMNS
from tasks.validation import check_rows, profiles, row_faults, split
from tasks.validation.drift import drifts
from tasks.validation.repairs import INVERSION_NEEDED, REPAIR_ADVISED, SCALE_NEEDED, turn_needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from schemas.images import Images
    from schemas.profile import Profile
    from schemas.results import Drift, Part, RawDataset
    from schemas.rules import Rules, Severity
    from tasks.sharding.shard_cache import ShardCache
    from tasks.validation.check_rows import CheckedPart
    from tasks.validation.profiles import Histograms


MOST_KEPT = 20_000
"""Rows set aside of a sharded part that the quarantine keeps, so that memory is bounded; all of them are counted."""


class ValidRows(NamedTuple):
    """Rows that are still in: their images and digests, and where they stood in which part that came."""

    images: Images
    digests: NDArray[np.uint64]
    origin: Part
    positions: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Give their labels."""
        return self.images.labels

    def take(self, marked: NDArray[np.bool_]) -> ValidRows:
        """Give the marked ones; all of them without a copy."""
        if marked.all():
            return self
        wanted = np.flatnonzero(marked)
        return ValidRows(self.images.take(wanted), self.digests[wanted], self.origin, self.positions[wanted])


def inspect(
    loaded: RawDataset, rules: Rules, reference: Profile, staging: ShardCache | None = None
) -> tuple[Validation, Dataset | None]:
    """Hold what a source gave to the rules; the dataset is None when an error was found.

    Nothing of `loaded` is changed. `staging` is needed for a sharded source, whose rows give what the same rows in one
    frame give: they are judged one by one, and the rest is counted over all of them in their order. Every check is made
    that the outcome of those before allows, so that one run tells all that is wrong.
    """
    inspection = Inspection(loaded, rules, reference, staging)
    inspection.run()
    validation = inspection.validation()
    return validation, None if validation.errors else inspection.dataset(validation)


def fingerprint(train: row_faults.RowKeys, test: row_faults.RowKeys) -> str:
    """Digest labels and rows of both parts, in their order: SHA-256 of each part's name, length, labels, row digests.

    A row's digest depends on its 784 bytes alone, so neither the format counts that rows came in nor how they were cut
    into files.
    """
    digest = hashlib.sha256()
    for name, part in ((b"train", train), (b"test", test)):
        digest.update(name + len(part.labels).to_bytes(8, "little"))
        digest.update(part.labels.tobytes())
        digest.update(part.digests.astype("<u8").tobytes())
    return digest.hexdigest()


def _unfit_told(part: Part, found: CheckedPart) -> str:
    faults = found.bad_shards
    count = "1 shard" if len(faults) == 1 else f"{len(faults):,} shards"
    rows = f"{count} of the {part} part, {found.n_unreadable:,} of {found.n_expected:,} rows, can't be used"
    return f"{rows}: {listed(faults)}"


def _nothing_of(held: pd.DataFrame | ShardManifest) -> pd.DataFrame:
    return pd.DataFrame(columns=list(LABELLED_COLUMNS)) if isinstance(held, ShardManifest) else held.iloc[:0]


class Inspection:
    """An inspection under way: the rows that are still in, those set aside, and what was found."""

    def __init__(self, loaded: RawDataset, rules: Rules, reference: Profile, staging: ShardCache | None) -> None:
        """Begin with nothing found."""
        self._loaded, self._rules, self._reference, self._staging = loaded, rules, reference, staging
        self._judged: dict[Part, CheckedPart] = {}
        self._kept: dict[Part, ValidRows] = {}
        self._faults: dict[Part, dict[str, NDArray[np.int64]]] = {part: {} for part in loaded.parts}
        self._findings: list[CheckResult] = []
        self._drifts: list[Drift] = []
        self._profile: Profile | None = None

    def run(self) -> None:
        """Make the checks."""
        self._check_columns()
        if self._findings:
            return
        self._judge_values()
        if not all(found.n_input for found in self._judged.values()):
            return
        for part, faults in row_faults.copy_faults(self._kept["train"], self._kept.get("test")).items():
            self._set_aside(part, faults)
        if "test" not in self._kept:
            self._split()
        self._check_budget()
        self._check_counts()
        if len(self._kept["train"].images):
            self._check_images()

    def dataset(self, validation: Validation) -> Dataset:
        """Give what passed."""
        if self._profile is None:
            raise ValueError("nothing was inspected")
        train, test = self._kept["train"], self._kept["test"]
        return Dataset(
            name=self._loaded.name,
            train=train.images,
            test=test.images,
            fingerprint=fingerprint(train, test),
            profile=self._profile,
            validation=validation,
            memory=self._rules.memory if isinstance(self._loaded.train, ShardManifest) else None,
        )

    def validation(self) -> Validation:
        """Give what was found."""
        set_aside = {part: self._failing(part) for part in self._faults}
        return Validation(
            name=self._loaded.name,
            source=self._loaded.source,
            test_source=self._loaded.test_source,
            added=self._loaded.added,
            rules=self._rules.model_dump(mode="json"),
            n_input={part: self._came(part) for part in self._loaded.parts},
            n_valid={part: len(kept.images) for part, kept in self._kept.items()},
            n_quarantined={part: len(positions) for part, positions in set_aside.items()},
            reasons=self._reasons(),
            quarantined=self._quarantined(set_aside),
            findings=tuple(self._findings),
            drifts=tuple(self._drifts),
            repairs=self._rules.repair,
            reference=f"{self._reference.name}, {self._reference.n_rows:,} rows",
            label_counts={
                part: np.bincount(kept.labels, minlength=len(CLASSES)).tolist() for part, kept in self._kept.items()
            },
            means=None if self._profile is None else self._profile.class_means,
            reference_means=self._reference.class_means,
        )

    def _came(self, part: Part) -> int:
        held = self._loaded.parts[part]
        return self._judged[part].n_input if part in self._judged or isinstance(held, ShardManifest) else len(held)

    def _found(self, check: str, severity: Severity, message: str) -> None:
        self._findings.append(CheckResult(check, severity, message))

    def _check_columns(self) -> None:
        for part, frame in self._loaded.parts.items():
            if isinstance(frame, ShardManifest):
                continue  # each shard is asked when it is read
            fault = pixel_frame.labelled_column_fault(frame)
            if fault:
                self._found("columns", "error", f"{part} part: {fault}; label, pixel0 … pixel783 are needed")
            elif not len(frame):
                self._found("rows", "error", f"{part} part: no rows")

    def _judge_values(self) -> None:
        for part, held in self._loaded.parts.items():
            self._judged[part] = found = self._judge(held)
            if found.bad_shards:
                told = _unfit_told(part, found)
                if found.n_input and not self._is_over_budget(found.n_unreadable, found):
                    self._found("shards", "warning", told)
                else:
                    self._found("shards", "error", f"{told}; {self._budget_told}")
            if found.unit_scale:
                self._found("scale", "error", f"{part} part: {SCALE_NEEDED}")
            self._kept[part] = ValidRows(found.images, found.digests, part, found.positions)
            self._faults[part] |= found.faults

    def _judge(self, held: pd.DataFrame | ShardManifest) -> CheckedPart:
        if not isinstance(held, ShardManifest):
            return check_rows.of_frame(held, self._rules.repair)
        if self._staging is None:
            raise ValueError("there is no place to stage shards in")
        return checked_shards.of_manifest(held, self._rules, self._staging)

    def _split(self) -> None:
        whole = self._kept["train"]
        tested = split.test_rows(whole.digests, whole.labels, self._rules)
        self._kept["test"], self._kept["train"] = whole.take(tested), whole.take(~tested)

    def _set_aside(self, part: Part, faults: Mapping[str, NDArray[np.bool_]]) -> None:
        """Take rows out of what is in of a part, and note where they came from and why."""
        kept = self._kept[part]
        self._faults[part] |= {reason: kept.positions[failing] for reason, failing in faults.items()}
        self._kept[part] = kept.take(~row_faults.failing(faults, len(kept.images)))

    def _check_budget(self) -> None:
        for part, faults in self._faults.items():
            found = self._judged[part]
            count = len(self._failing(part)) + found.n_unreadable
            if self._is_over_budget(count, found) and not self._is_over_budget(found.n_unreadable, found):
                reasons = sorted(((len(failing), reason) for reason, failing in faults.items()), reverse=True)
                if found.n_unreadable:
                    reasons.insert(0, (found.n_unreadable, "in shards that can't be used"))
                told = ", ".join(f"{number:,} {reason}" for number, reason in reasons[:3])
                self._found(
                    "budget",
                    "error",
                    f"{count:,} of {found.n_expected:,} {part} rows had to be set aside ({told}); {self._budget_told}",
                )

    @property
    def _budget_told(self) -> str:
        return f"--max-quarantined allows {self._rules.max_quarantined:g} of them"

    def _is_over_budget(self, count: int, found: CheckedPart) -> bool:
        """Tell whether so many rows of a part are more than may be set aside."""
        return count > self._rules.max_quarantined * found.n_expected

    def _failing(self, part: Part) -> NDArray[np.int64]:
        """Give the positions of the rows of a part, as they came, that some check failed."""
        return np.unique(np.concatenate([np.empty(0, np.int64), *self._faults[part].values()]))

    def _check_counts(self) -> None:
        train, test = self._kept["train"].labels, self._kept["test"].labels
        shares = np.bincount(train, minlength=len(CLASSES)) / max(len(train), 1)
        missing = [str(label) for label in CLASSES if shares[label] == 0]
        if missing:
            self._found("classes", "error", f"no training rows of {', '.join(missing)}; all of 0 to 9 are needed")
        rarest = self._rules.min_class_share
        rare = [f"{label} ({shares[label]:.2%})" for label in CLASSES if 0 < shares[label] < rarest]
        if rare:
            self._found("classes", "warning", f"few training rows of {', '.join(rare)}; less than {rarest:.2%} is few")
        if len(test) < self._rules.min_test_rows:
            self._found(
                "test rows",
                "error",
                f"{len(test):,} test rows; --min-test-rows asks for {self._rules.min_test_rows:,}",
            )
        untested = np.setdiff1d(train, test)
        if len(untested) and len(test):
            self._found("test rows", "warning", f"no test rows of {', '.join(map(str, untested))}")

    def _check_images(self) -> None:
        """Make the training part's profile; check each part's polarity, orientation, drift."""
        train = self._kept["train"].images
        self._profile, (counts,) = profiles.fit_profile(train, self._loaded.name, self._reference)
        self._check_look("train", counts)
        test = self._kept["test"].images
        if "test" in self._loaded.parts and len(test):  # rows split off are of the same kind
            self._check_look("test", profiles.count(test, self._reference))
        for drift in self._drifts:
            if drift.exceeds_threshold:
                self._found("drift", self._rules.drift, f"{drift.part} part: {drift.summary}")

    def _check_look(self, part: Part, counts: Histograms) -> None:
        """Check a part's polarity and orientation; where they are as they should be, measure drift."""
        bright = counts.bright / counts.labels.sum()
        inverted = bright >= profiles.BRIGHT_REFUSED
        if inverted:
            self._found("polarity", "error", f"{part} part: {INVERSION_NEEDED}")
        elif bright > profiles.BRIGHT_WARNED:
            self._found("polarity", "warning", f"{part} part: {profiles.bright_told(bright)}")
        means = 255 - counts.class_means if inverted else counts.class_means
        turn = turn_needed(means, counts.labels, self._reference.class_means)
        if turn:
            self._found("orientation", "error", f"{part} part: the images are turned{REPAIR_ADVISED}{turn}")
        scaled = not any(finding.check == "scale" for finding in self._findings)
        if scaled and not inverted and not turn:
            self._drifts += drifts(part, counts, self._reference, self._rules)

    def _reasons(self) -> dict[str, dict[Part, int]]:
        """Count the rows set aside, by reason and part."""
        found = {reason for faults in self._faults.values() for reason in faults}
        return {
            reason: {part: len(faults.get(reason, ())) for part, faults in self._faults.items()}
            for reason in MEANINGS
            if reason in found
        }

    def _quarantined(self, set_aside: Mapping[Part, NDArray[np.int64]]) -> pd.DataFrame:
        """Gather the rows set aside, as they came."""
        pieces = []
        for part, failing in set_aside.items():
            held = self._loaded.parts[part]
            positions = failing[:MOST_KEPT] if isinstance(held, ShardManifest) else failing
            piece = self._judged[part].as_came(positions) if part in self._judged else _nothing_of(held)
            faults = self._faults[part]
            marked = {reason: np.isin(positions, faults[reason]) for reason in MEANINGS if reason in faults}
            reasons = row_faults.reasons(marked, len(positions))
            told = pd.DataFrame({"part": part, "item": piece.index.astype(str), "reasons": reasons}, index=piece.index)
            pieces.append(pd.concat([told[list(QUARANTINE_COLUMNS)], piece], axis=1))
        return pd.concat([piece for piece in pieces if len(piece)] or pieces[:1], ignore_index=True)
