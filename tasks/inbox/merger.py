"""Add the rows of further files to those that a source has to train on, each file held to the rules by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from artifacts.reports.markdown import count
from schemas.errors import InputError
from schemas.pixel_frame import labelled_column_fault
from schemas.shards import ShardManifest
from tasks.sources import formats
from tasks.validation import check_rows, inspection, row_faults
from tasks.validation.repairs import REPAIR_ADVISED, highest, is_unit_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import RawDataset
    from schemas.rules import Rules

    Pair = tuple[int, ...]
    """What a row shows, and as what."""

OF_THE_WHOLE = {"classes", "test rows", "drift"}
"""Checks that a file needn't pass: it may hold sevens alone, and few."""
ALLOWED = "an .npz, .csv, .csv.gz or .parquet file, or a folder with IDX files or with pictures in 0 to 9 is allowed"


class RowKeys(NamedTuple):
    """What tells copies among rows: digests of their images, repaired (rows × 2), and their labels."""

    digests: NDArray[np.uint64]
    labels: NDArray[np.uint8]

    def pairs(self) -> list[Pair]:
        """Give what each row shows, and as what."""
        return list(map(tuple, np.column_stack([self.digests, self.labels]).tolist()))


class Rows(NamedTuple):
    """The rows of a frame that are those of a digit, as they came."""

    frame: pd.DataFrame
    copies: RowKeys

    def new(self, known: set[Pair]) -> Rows:
        """Give the first of each that shows something else than what is known, or as something else; note them."""
        marked = np.zeros(len(self.frame), bool)
        for row, pair in enumerate(self.copies.pairs()):
            marked[row] = pair not in known
            known.add(pair)
        return Rows(self.frame[marked], RowKeys(self.copies.digests[marked], self.copies.labels[marked]))


class InboxMerger:
    """What a source has to train on, and the files that were added to it so far."""

    def __init__(self, base: RawDataset, rules: Rules) -> None:
        """Begin with the source alone; raise InputError unless it is read whole, with a pixel frame's columns."""
        self._base, self._rules = base, rules
        train, *tests = [_whole(base.name, part) for part in base.parts.values()]
        self._train, self._copies = train, [_sound(train, rules).copies]
        self._tested = _sound(tests[0], rules).copies if tests else None
        self._of_source = frozenset(self._copies[0].pairs())
        self._known = set(self._of_source)
        self._files: dict[Path, Rows] = {}

    def read(self, path: Path) -> pd.DataFrame:
        """Read all rows of a file; raise InputError if they can't be read."""
        return _read(path, self._rules)

    def add(self, path: Path, frame: pd.DataFrame) -> int:
        """Add the sound rows of a file that aren't there yet; give their number. The others stay in the file."""
        sound = _sound(frame, self._rules)
        self._files[path] = sound
        new = sound.new(self._known)
        self._copies.append(new.copies)
        return len(new.frame)

    def check(self, name: str, frame: pd.DataFrame, reference: Profile) -> None:
        """Raise InputError, with every reason, unless a file of a name and such rows is fit to be added."""
        self._check_alone(name, frame, reference)
        self._check_beside(name, _sound(frame, self._rules).new(set(self._known)).copies)

    def loaded(self) -> RawDataset:
        """Give the source with all that was added: by the files' names, whatever the order they came in."""
        if not self._files:
            return self._base
        known = set(self._of_source)
        files = sorted(self._files)
        added = [_named(path.name, self._files[path].new(known).frame) for path in files]
        name = f"{self._base.name} and {count(len(files), 'file')} of the inbox"
        train = pd.concat([self._train, *added])
        return dataclasses.replace(self._base, name=name, train=train, added=tuple(map(str, files)))

    def _check_alone(self, name: str, frame: pd.DataFrame, reference: Profile) -> None:
        """Hold a file to the checks that any data has to pass."""
        alone = dataclasses.replace(self._base, name=name, train=frame, test=None)
        found, _ = inspection.inspect(alone, self._rules, reference)
        # No repair is advised: it would be made on the source's images, too.
        errors = [
            error.message.partition(REPAIR_ADVISED)[0] for error in found.errors if error.check not in OF_THE_WHOLE
        ]
        if not errors and is_unit_scale(highest(frame)) != is_unit_scale(highest(self._train)):
            errors = ["its pixels don't have the scale of the source's"]
        if errors:
            raise InputError(f"{name}: {'; '.join(errors)}")

    def _check_beside(self, name: str, new: RowKeys) -> None:
        """Hold what a file's new rows would have set aside, old ones among them, to the budget of the new ones.

        So however many files are added, the whole stays within its budget.
        """
        total = len(new.labels)
        before, after = self._failing([]), self._failing([new])
        more = after.pop("") - before.pop("")
        if more > self._rules.max_quarantined * total:
            told = ", ".join(f"{number - before.get(reason, 0):,} {reason}" for reason, number in after.items())
            raise InputError(
                f"{name}: {count(total, 'new row')} would have {count(more, 'row')} set aside ({told}); "
                f"--max-quarantined allows {self._rules.max_quarantined:g} of the new ones"
            )

    def _failing(self, new: list[RowKeys]) -> dict[str, int]:
        """Count the rows that contradict others or are among the test rows, by reason; all of them under no name."""
        every = [*self._copies, *new]
        digests, labels = (np.concatenate([one[column] for one in every]) for column in (0, 1))
        copies = RowKeys(digests, labels)
        faults = row_faults.copy_faults(copies, self._tested)["train"]
        whole = row_faults.failing(faults, len(copies.labels))
        return {"": int(whole.sum())} | {reason: int(marked.sum()) for reason, marked in faults.items()}


def with_files(base: RawDataset, files: Sequence[str], rules: Rules) -> RawDataset:
    """Give a source with the rows of files that were added to it before."""
    if not files:
        return base
    additions = InboxMerger(base, rules)
    for path in map(Path, files):
        additions.add(path, additions.read(path))
    return additions.loaded()


def _read(path: Path, rules: Rules) -> pd.DataFrame:
    """Read all rows of a file, called what they are called in it."""
    found = formats.find(str(path), ALLOWED)
    if found is formats.SHARDS:
        raise InputError(f"{path.name}: shards; {ALLOWED}")
    parts = [
        (part, _whole(path.name, frame))
        for part, frame in zip(("train", "test"), found.read(path, rules), strict=True)
        if frame is not None
    ]
    if len(parts) == 1:
        return parts[0][1]
    return pd.concat([_named(part, frame, " ") for part, frame in parts])


def _named(name: str, frame: pd.DataFrame, mark: str = ":") -> pd.DataFrame:
    return frame.set_axis([f"{name}{mark}{item}" for item in frame.index])


def _whole(name: str, frame: pd.DataFrame | ShardManifest) -> pd.DataFrame:
    """Give a part that is one frame with a pixel frame's columns; raise InputError for another."""
    if isinstance(frame, ShardManifest):
        raise InputError(f"{name}: shards; an inbox goes with a source that is read whole")
    fault = labelled_column_fault(frame)
    if fault:
        raise InputError(f"{name}: {fault}; label, pixel0 … pixel783 are needed")
    return frame


def _sound(frame: pd.DataFrame, rules: Rules) -> Rows:
    found = check_rows.of_frame(frame, rules.repair)
    return Rows(frame.iloc[found.positions], RowKeys(found.digests, found.images.labels))
