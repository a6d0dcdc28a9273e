"""Merge the rows of the inbox's files into a source's training part, whose rows are checked already."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from artifacts.reports.markdown import count
from schemas.errors import InputError
from schemas.images import InMemoryImages
from schemas.results import InboxFile
from schemas.shards import ShardManifest
from tasks.inbox.files import read_file
from tasks.validation import data_checks, profiles, row_faults
from tasks.validation.check_rows import CheckedPart, check_frame
from tasks.validation.repairs import REPAIR_ADVISED, highest, is_unit_scale
from tasks.validation.row_faults import RowKeys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import Part, RawDataset
    from schemas.rules import Rules

    Pair = tuple[int, ...]
    """The digest of a row's image, and its label."""


class NewRows(NamedTuple):
    """Which valid rows of a file are new; `first` is the position of their first among the merged input rows."""

    path: Path
    part: CheckedPart
    selected: NDArray[np.intp]
    first: int

    def read_input(self, positions: NDArray[np.int64]) -> pd.DataFrame:
        """Return those of the merged part's input rows, by their positions, that are the file's, named after it."""
        inside = positions[(positions >= self.first) & (positions < self.first + len(self.selected))]
        frame = self.part.read_input(self.part.positions[self.selected[inside - self.first]])
        return frame.set_axis([f"{self.path.name}:{item}" for item in frame.index])


class InboxMerger:
    """Adds files to a source's training part: their valid rows, as far as these are new.

    A row is new if its image, or its image with that label, isn't there yet. Invalid rows stay in their file, so that
    they never add up to a refusal of the whole.
    """

    def __init__(self, raw: RawDataset, parts: Mapping[Part, CheckedPart], rules: Rules) -> None:
        if isinstance(raw.train, ShardManifest):
            raise ValueError("shards take no files of an inbox")  # noqa: TRY004, the caller's mistake
        self.files = raw.inbox_files
        self._is_unit_scale = is_unit_scale(highest(raw.train))
        self._raw, self._rules = raw, rules
        self._train = parts["train"]
        self._test_keys = parts["test"].keys if "test" in parts else None
        self._keys = [self._train.keys]
        self._source_pairs = frozenset(_pairs(self._train.keys))
        self._known = set(self._source_pairs)
        self._added: dict[Path, CheckedPart] = {}

    def check_rows(self, file: InboxFile) -> CheckedPart:
        """Check a file's rows; raise InputError unless there are some, of the source's scale."""
        if file.frame is None:
            raise InputError(file.fault)
        if not len(file.frame):
            raise InputError(f"{file.path.name}: train part: no rows")
        return check_frame(file.frame, self._rules.repair)

    def check_scale(self, file: InboxFile) -> None:
        """Raise InputError unless a file's pixels have the scale of the source's."""
        if file.frame is not None and is_unit_scale(highest(file.frame)) != self._is_unit_scale:
            raise InputError(f"{file.path.name}: its pixels don't have the scale of the source's")

    def check(self, file: InboxFile, part: CheckedPart, reference: Profile) -> None:
        """Raise InputError, with all reasons, unless a file may be added."""
        errors = self._check_alone(part, reference)
        if errors:
            raise InputError(f"{file.path.name}: {'; '.join(errors)}")
        self.check_scale(file)
        self._check_beside(file.path.name, _take(part.keys, _select_new(part.keys, set(self._known))))

    def add(self, path: Path, part: CheckedPart) -> int:
        """Add the new rows of a file, unless it was added; return their number."""
        if path in self._added:
            return 0
        self._added[path] = part
        selected = _select_new(part.keys, self._known)
        self._keys.append(_take(part.keys, selected))
        return len(selected)

    def merged(self) -> tuple[RawDataset, CheckedPart]:
        """Return the source with the names of the added files, and the training part with their rows.

        The rows stand in the order of the files' names, whichever run accepted them.
        """
        paths = sorted(self._added)
        if not paths:
            return dataclasses.replace(self._raw, inbox_files=()), self._train
        name = f"{self._raw.name} and {count(len(paths), 'file')} of the inbox"
        raw = dataclasses.replace(self._raw, name=name, added=tuple(map(str, paths)), inbox_files=())
        known = set(self._source_pairs)
        files, first = [], self._train.n_input
        for path in paths:
            part = self._added[path]
            files.append(NewRows(path, part, _select_new(part.keys, known), first))
            first += len(files[-1].selected)
        return raw, _append(self._train, files, first)

    def _check_alone(self, part: CheckedPart, reference: Profile) -> list[str]:
        """Make the checks that any data has to pass; a file may hold one class, and few rows."""
        part = part.quarantine(row_faults.copy_faults(part.keys, None)["train"])
        results = data_checks.check_scale("train", part) + data_checks.check_budget("train", part, self._rules)
        if len(part.images):
            results += data_checks.check_look("train", profiles.count(part.images, reference), reference)
        # No repair is advised: it would be made on the source's images, too.
        return [result.message.partition(REPAIR_ADVISED)[0] for result in results if result.severity == "error"]

    def _check_beside(self, name: str, new: RowKeys) -> None:
        """Check that not too many rows, earlier ones among them, would be quarantined because of a file's new rows.

        The budget is that of the new rows, so that the whole stays within its budget however many files are added.
        """
        n_new = len(new.labels)
        before, after = self._count_copies([]), self._count_copies([new])
        n_more = after.pop("") - before.pop("")
        if n_more > self._rules.max_quarantined * n_new:
            reasons = ", ".join(f"{n_rows - before.get(reason, 0):,} {reason}" for reason, n_rows in after.items())
            raise InputError(
                f"{name}: {count(n_new, 'new row')} would have {count(n_more, 'row')} quarantined ({reasons}); "
                f"--max-quarantined allows {self._rules.max_quarantined:g} of the new ones"
            )

    def _count_copies(self, new: list[RowKeys]) -> dict[str, int]:
        """Count the copies among all rows by reason; those that fail any check under the key ""."""
        keys = _concatenate([*self._keys, *new])
        faults = row_faults.copy_faults(keys, self._test_keys)["train"]
        total = row_faults.failing(faults, len(keys.labels))
        return {"": int(total.sum())} | {reason: int(fails.sum()) for reason, fails in faults.items()}


def add_accepted(merger: InboxMerger) -> None:
    """Add all files of the inbox, which were accepted before."""
    for file in merger.files:
        merger.add(file.path, merger.check_rows(file))


def with_files(raw: RawDataset, files: Sequence[str], rules: Rules) -> RawDataset:
    """Return a source with the files that were added to it for an earlier version."""
    accepted = (InboxFile(path, is_accepted=True, frame=read_file(path, rules)) for path in map(Path, files))
    return dataclasses.replace(raw, inbox_files=tuple(accepted))


def _append(train: CheckedPart, files: list[NewRows], n_input: int) -> CheckedPart:
    """Return a training part with the files' new rows behind its own."""

    def read_input(positions: NDArray[np.int64]) -> pd.DataFrame:
        pieces = [train.read_input(positions[positions < train.n_input])]
        return pd.concat([*pieces, *(file.read_input(positions) for file in files)])

    keys = _concatenate([train.keys, *(_take(file.part.keys, file.selected) for file in files)])
    pixels = [train.images.read(slice(None)), *(file.part.images.read(file.selected) for file in files)]
    return train._replace(
        n_input=n_input,
        images=InMemoryImages(np.concatenate(pixels), keys.labels),
        digests=keys.digests,
        positions=np.concatenate([train.positions, np.arange(train.n_input, n_input)]),
        read_input=read_input,
    )


def _select_new(keys: RowKeys, known: set[Pair]) -> NDArray[np.intp]:
    """Select the rows that aren't known yet, of equal ones the first, and note them as known."""
    selected = []
    for row, pair in enumerate(_pairs(keys)):
        if pair not in known:
            known.add(pair)
            selected.append(row)
    return np.array(selected, np.intp)


def _pairs(keys: RowKeys) -> list[Pair]:
    return list(map(tuple, np.column_stack([keys.digests, keys.labels]).tolist()))


def _take(keys: RowKeys, rows: NDArray[np.intp]) -> RowKeys:
    return RowKeys(keys.digests[rows], keys.labels[rows])


def _concatenate(keys: list[RowKeys]) -> RowKeys:
    return RowKeys(*(np.concatenate(columns) for columns in zip(*keys, strict=True)))
