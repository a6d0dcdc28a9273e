"""Inspect what a source holds: judge its rows, split it, hold the whole to the checks of the data."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from schemas import pixel_frame
from schemas.digits import CLASSES
from schemas.pixel_frame import blocks, labels_of, pixels_of
from schemas.results import Dataset, Finding, Validation
from tasks.sources.frames import QUARANTINE_COLUMNS
from tasks.validation import profiles, rows, split
from tasks.validation.drift import drifts
from tasks.validation.repairs import INVERSION_NEEDED, SCALE_NEEDED, is_unit_scale, needed, repaired, turn_needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import Drift, Loaded, Part
    from schemas.rules import Rules, Severity


class Origin(NamedTuple):
    """Where a pixel frame's rows came from: a part of the source, and their positions in it."""

    part: Part
    positions: NDArray[np.intp]


def inspect(loaded: Loaded, rules: Rules, reference: Profile) -> tuple[Validation, Dataset | None]:
    """Hold what a source gave to the rules; the dataset is None when an error was found.

    Nothing of `loaded` is changed. Every check is made that the outcome of those before allows, so that one run tells
    all that is wrong.
    """
    inspection = Inspection(loaded, rules, reference)
    inspection.run()
    validation = inspection.validation()
    return validation, None if validation.errors else inspection.dataset(validation)


def fingerprint(train: pd.DataFrame, test: pd.DataFrame) -> str:
    """Digest the rows and labels of both frames, in their order; the format they came in doesn't count."""
    digest = hashlib.sha256()
    for part, frame in ((b"train", train), (b"test", test)):
        digest.update(part + len(frame).to_bytes(8, "little"))
        digest.update(labels_of(frame).tobytes())
        for block in blocks(len(frame)):
            digest.update(pixels_of(frame)[block].tobytes())
    return digest.hexdigest()


class Inspection:
    """An inspection under way: the rows that are still in, those set aside, and what was found."""

    def __init__(self, loaded: Loaded, rules: Rules, reference: Profile) -> None:
        """Begin with nothing found."""
        self._loaded, self._rules, self._reference = loaded, rules, reference
        self._frames: dict[Part, pd.DataFrame] = {}
        self._origins: dict[Part, Origin] = {}
        self._faults: dict[Part, dict[str, NDArray[np.bool_]]] = {part: {} for part in loaded.parts}
        self._findings: list[Finding] = []
        self._drifts: list[Drift] = []
        self._profile: Profile | None = None

    def run(self) -> None:
        """Make the checks."""
        self._check_columns()
        if self._findings:
            return
        self._judge_values()
        for part, faults in rows.copy_faults(self._frames["train"], self._frames.get("test")).items():
            self._set_aside(part, faults)
        if "test" not in self._frames:
            self._split()
        self._check_budget()
        self._check_counts()
        if len(self._frames["train"]):
            self._profile = profiles.profile_of(self._frames["train"], self._loaded.name)
            self._check_images()

    def dataset(self, validation: Validation) -> Dataset:
        """Give what passed, held to the pixel frame's schema once more."""
        if self._profile is None:
            raise ValueError("nothing was inspected")
        for part, frame in self._frames.items():
            pixel_frame.validate(pixel_frame.LABELLED, frame, f"{self._loaded.name}, {part} rows")
        train, test = self._frames["train"], self._frames["test"]
        return Dataset(self._loaded.name, train, test, fingerprint(train, test), self._profile, validation)

    def validation(self) -> Validation:
        """Give what was found."""
        return Validation(
            name=self._loaded.name,
            source=self._loaded.source,
            test_source=self._loaded.test_source,
            added=self._loaded.added,
            rules=self._rules.model_dump(mode="json"),
            came={part: len(frame) for part, frame in self._loaded.parts.items()},
            kept={part: len(frame) for part, frame in self._frames.items()},
            quarantined=self._quarantined(),
            findings=tuple(self._findings),
            drifts=tuple(self._drifts),
            repairs=self._rules.repair,
            reference=f"{self._reference.name}, {self._reference.rows:,} rows",
            label_counts={
                part: np.bincount(labels_of(frame), minlength=len(CLASSES)).tolist()
                for part, frame in self._frames.items()
            },
            means=None if self._profile is None else self._profile.class_means,
            reference_means=self._reference.class_means,
        )

    def _found(self, check: str, severity: Severity, message: str) -> None:
        self._findings.append(Finding(check, severity, message))

    def _check_columns(self) -> None:
        for part, frame in self._loaded.parts.items():
            fault = pixel_frame.labelled_column_fault(frame)
            if fault:
                self._found("columns", "error", f"{part} part: {fault}; label, pixel0 … pixel783 are needed")
            elif not len(frame):
                self._found("rows", "error", f"{part} part: no rows")

    def _judge_values(self) -> None:
        for part, raw in self._loaded.parts.items():
            frame = repaired(raw, needed(raw, self._rules.repair))
            if is_unit_scale(frame):
                self._found("scale", "error", f"{part} part: {SCALE_NEEDED}")
                frame = repaired(frame, ("scale",))  # for the checks that follow to see something
            faults = rows.value_faults(frame)
            self._frames[part], self._origins[part] = frame, Origin(part, np.arange(len(frame)))
            self._set_aside(part, faults)

    def _split(self) -> None:
        whole, came = self._frames["train"], self._origins["train"]
        tested = split.test_rows(whole, self._rules)
        sides: dict[Part, NDArray[np.bool_]] = {"test": tested, "train": ~tested}
        for part, marked in sides.items():
            self._frames[part] = rows.take(whole, marked)
            self._origins[part] = Origin("train", came.positions[marked])

    def _set_aside(self, part: Part, faults: Mapping[str, NDArray[np.bool_]]) -> None:
        """Take rows out of a part's frame, and note where they came from and why."""
        origin, frame = self._origins[part], self._frames[part]
        for reason, failing in faults.items():
            everywhere = self._faults[origin.part].setdefault(
                reason, np.zeros(len(self._loaded.parts[origin.part]), bool)
            )
            everywhere[origin.positions[failing]] = True
        kept = ~rows.failing(faults, len(frame))
        self._frames[part] = rows.take(frame, kept)
        self._origins[part] = Origin(origin.part, origin.positions[kept])

    def _check_budget(self) -> None:
        for part, faults in self._faults.items():
            came = len(self._loaded.parts[part])
            count = int(self._failing(part).sum())
            if count > self._rules.max_quarantined * came:
                reasons = sorted(((int(failing.sum()), reason) for reason, failing in faults.items()), reverse=True)
                told = ", ".join(f"{number:,} {reason}" for number, reason in reasons[:3])
                self._found(
                    "budget",
                    "error",
                    f"{count:,} of {came:,} {part} rows had to be set aside ({told}); "
                    f"--max-quarantined allows {self._rules.max_quarantined:g} of them",
                )

    def _failing(self, part: Part) -> NDArray[np.bool_]:
        """Mark the rows of a part, as they came, that some check failed."""
        return rows.failing(self._faults[part], len(self._loaded.parts[part]))

    def _check_counts(self) -> None:
        train, test = self._frames["train"], self._frames["test"]
        shares = np.bincount(labels_of(train), minlength=len(CLASSES)) / max(len(train), 1)
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
        untested = sorted(set(labels_of(train).tolist()) - set(labels_of(test).tolist()))
        if untested and len(test):
            self._found("test rows", "warning", f"no test rows of {', '.join(map(str, untested))}")

    def _check_images(self) -> None:
        """Check polarity and orientation; where they are as they should be, drift."""
        right = not any(finding.check == "scale" for finding in self._findings)
        for part in self._loaded.parts:  # rows split off are of the same kind
            frame = self._frames[part]
            if not len(frame):
                continue
            counts = profiles.count(frame, self._reference)
            bright = counts.bright / len(frame)
            inverted = bright >= profiles.BRIGHT_REFUSED
            if inverted:
                self._found("polarity", "error", f"{part} part: {INVERSION_NEEDED}")
            elif bright > profiles.BRIGHT_WARNED:
                self._found("polarity", "warning", f"{part} part: {profiles.bright_told(bright)}")
            means = 255 - counts.class_means if inverted else counts.class_means
            turn = turn_needed(means, counts.labels, self._reference.class_means)
            if turn:
                self._found("orientation", "error", f"{part} part: the images are turned: --repair {turn}")
            if right and not inverted and not turn:
                self._drifts += drifts(part, counts, self._reference, self._rules)
        for drift in self._drifts:
            if drift.far:
                self._found("drift", self._rules.drift, f"{drift.part} part: {drift.told}")

    def _quarantined(self) -> pd.DataFrame:
        """Gather the rows set aside, as they came."""
        pieces = []
        for part, faults in self._faults.items():
            raw = self._loaded.parts[part]
            failing = np.flatnonzero(self._failing(part))
            piece = raw.iloc[failing]
            reasons = rows.reasons(faults, len(raw))[failing]
            told = pd.DataFrame({"part": part, "item": piece.index.astype(str), "reasons": reasons}, index=piece.index)
            pieces.append(pd.concat([told[list(QUARANTINE_COLUMNS)], piece], axis=1))
        return pd.concat([piece for piece in pieces if len(piece)] or pieces[:1], ignore_index=True)
