"""Merge the rows of the inbox's files into a source's training part, whose rows have already been checked."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.counts import count
from schemas.errors import InputError
from schemas.images import Images, InMemoryImages
from schemas.profile import Profile
from schemas.results import InboxFile, RawDataset
from schemas.review import Correction
from schemas.rules import Rules
from schemas.shards import ShardManifest
from schemas.validation import LabelAgreement, Part
from tasks.inbox import corrections
from tasks.inbox.child import read_file
from tasks.inbox.folder import DONE
from tasks.validation import data_checks, labels, profiles, row_faults
from tasks.validation.check_rows import CheckedPart, check_frame
from tasks.validation.labels import LabelChecker
from tasks.validation.repairs import REPAIR_ADVISED, count_scales, find_scale
from tasks.validation.row_faults import RowKeys

Pair = tuple[int, ...]
"""The digest of a row's image, and its label."""
Content = CheckedPart | tuple[Correction, ...]
"""What a file adds: rows, or corrections of others."""
CORRECTIONS = Path("corrections")
"""Stands for a file of the images that corrections add."""


class InboxMerger:
    """Adds the new valid rows of files to a source's training part, and images that people gave a label.

    A row is new if no row so far has the same image and label. Invalid rows aren't added, so that they don't count
    towards the dataset's quarantine limit.
    """

    def __init__(
        self, raw: RawDataset, parts: Mapping[Part, CheckedPart], rules: Rules, label_checker: LabelChecker
    ) -> None:
        if isinstance(raw.train, ShardManifest):
            raise ValueError("files can't be added to shards")  # noqa: TRY004, the caller's mistake
        self.files = raw.inbox_files
        self.label_agreement: dict[str, LabelAgreement] = {}
        self._raw, self._train, self._rules, self._label_checker = raw, parts["train"], rules, label_checker
        self._scale = find_scale(count_scales(raw.train))
        self._source_keys = {part: checked.keys for part, checked in parts.items()}
        self._keys = self._train.keys
        self._source_pairs = frozenset(_pairs(self._train.keys))
        self._known = set(self._source_pairs)
        self._added: dict[Path, CheckedPart] = {}
        self._corrections: dict[Path, tuple[Correction, ...]] = {}
        self._measured: tuple[Images, LabelAgreement] | None = None

    def check_rows(self, file: InboxFile) -> Content:
        """Check a file's rows one by one; raise InputError if it has none, or a scale other than the source's."""
        if file.corrections:
            return file.corrections
        if file.frame is None:
            raise InputError(file.fault)
        if not len(file.frame):
            raise InputError(f"{file.path.name}: train part: no rows")
        if find_scale(count_scales(file.frame)) != self._scale:
            raise InputError(f"{file.path.name}: its pixels don't have the scale of the source's")
        return check_frame(file.frame, self._rules.repair, self._rules.relabel)

    def check(self, file: InboxFile) -> Content:
        """Check a file; return its checked content, or raise InputError with all reasons why it can't be added."""
        part = self.check_rows(file)
        if not isinstance(part, CheckedPart):
            self._check_corrections(file)
            return part
        if errors := self._check_file(part):
            raise InputError(f"{file.path.name}: {'; '.join(errors)}")
        self._check_against_existing_rows(file.path.name, _take_new(part, self._known)[0].keys)
        return part

    def add(self, path: Path, part: Content) -> int:
        """Add the new rows, or the corrections, of a file, unless it was already added; return their number."""
        if path in self._added or path in self._corrections:
            return 0
        if not isinstance(part, CheckedPart):
            self._corrections[path] = part
            return len(part)
        self._added[path] = part
        new, pairs = _take_new(part, self._known)
        self._known.update(pairs)
        self._keys = _concatenate([self._keys, new.keys])
        if len(new.images):
            self.label_agreement[f"{DONE}/{path.name}"] = self._measure(new.images)
        return len(new.images)

    def merged(self) -> tuple[RawDataset, CheckedPart]:
        """Return the source with the names of the added files, and the training part with their rows.

        Rows are in the order of the file names, regardless of which run accepted them.
        """
        paths = sorted(self._added)
        name = f"{self._raw.name} and {count(len(paths), 'file')} of the inbox" if paths else self._raw.name
        raw = dataclasses.replace(self._raw, name=name, added=tuple(map(str, paths)), inbox_files=())
        known, added = set(self._source_pairs), {}
        for path in paths:
            added[path], pairs = _take_new(self._added[path], known)
            known.update(pairs)
        if self._corrections:
            raw, pictures = self._with_corrections(raw)
            added |= {CORRECTIONS: check_frame(pictures, ())} if len(pictures) else {}
        return raw, _append(self._train, added) if added else self._train

    def _with_corrections(self, raw: RawDataset) -> tuple[RawDataset, pd.DataFrame]:
        """Return the source with all corrections, and the images that they add to the training part."""
        found = corrections.newest(itertools.chain(*self._corrections.values()))
        found, frame = corrections.new_pictures(found, self._digests)
        name = f"{raw.name} with {count(len(found), 'correction')}"
        return dataclasses.replace(raw, name=name, corrections=found), frame

    @property
    def _digests(self) -> NDArray[np.uint64]:
        """The first halves of the digests of all images so far."""
        return np.concatenate([keys.digests[:, 0] for keys in (*self._source_keys.values(), self._keys)])

    def _check_corrections(self, file: InboxFile) -> None:
        """Raise InputError for a correction of an unknown image, or of one that can't be trained on."""
        known = set(self._digests.tolist())
        for correction in file.corrections:
            if not correction.pixels and correction.digest not in known:
                where = f"neither in {self._raw.name} nor in the review queue of the store"
                raise InputError(f"{file.path.name}: {correction.item} is {where}; leave it out")
        _, frame = corrections.new_pictures(file.corrections, self._digests)
        faults = check_frame(frame, ()).faults if len(frame) else {}
        for fault, positions in faults.items():
            item = frame.index[positions[0]]
            raise InputError(f"{file.path.name}: {item} can't be trained on ({fault}); leave it out")

    def _check_file(self, part: CheckedPart) -> list[str]:
        """Run the data checks on a single file; it may have few rows, and rows of one class only. Return the errors."""
        part = part.quarantine(row_faults.copy_faults({"train": part.keys})["train"])
        results = data_checks.check_scale("train", part, self._rules) + data_checks.check_budget(
            "train", part, self._rules
        )
        if len(part.images):
            reference = self._reference
            results += data_checks.check_polarity_and_orientation(
                "train", profiles.compute_histograms(part.images, reference), reference
            )
        # No repair is suggested: it would be applied to the source's images, too.
        errors = [result.message.partition(REPAIR_ADVISED)[0] for result in results if result.severity == "error"]
        if not errors and len(part.images) and self._rules.wrong_labels == "error":
            errors = [fault] if (fault := labels.fault(self._measure(part.images))) else []
        return errors

    @cached_property
    def _reference(self) -> Profile:
        return profiles.load_embedded()

    def _measure(self, images: Images) -> LabelAgreement:
        """Measure the labels of a file, once if all of its rows are new."""
        if self._measured is None or self._measured[0] is not images:
            self._measured = images, self._label_checker.measure(images)
        return self._measured[1]

    def _check_against_existing_rows(self, name: str, new: RowKeys) -> None:
        """Raise InputError if adding the file would quarantine too many rows, existing rows included.

        The limit is relative to the file's new rows, so that the dataset stays within its own limit.
        """
        n_new = len(new.labels)
        before, after = self._count_copies(new, []), self._count_copies(new, [new])
        n_more = after.pop("") - before.pop("")
        if n_more > self._rules.max_quarantined * n_new:
            reasons = ", ".join(f"{n_rows - before.get(reason, 0):,} {reason}" for reason, n_rows in after.items())
            raise InputError(
                f"{name}: {count(n_new, 'new row')} would have {count(n_more, 'row')} quarantined ({reasons}); "
                f"--max-quarantined allows {self._rules.max_quarantined:g} of the new ones"
            )

    def _count_copies(self, images: RowKeys, new: list[RowKeys]) -> dict[str, int]:
        """Count the copies of some images among all rows by reason; the key "" has the rows that fail any check."""
        parts = {part: _select(keys, images) for part, keys in (self._source_keys | {"train": self._keys}).items()}
        keys = _concatenate([parts["train"], *new])
        faults = row_faults.copy_faults(parts | {"train": keys})["train"]
        has_fault = row_faults.any_fault(faults, len(keys.labels))
        return {"": int(has_fault.sum())} | {reason: int(fails.sum()) for reason, fails in faults.items()}


def add_accepted(merger: InboxMerger) -> None:
    """Add all files of the inbox, all of which were already accepted."""
    for file in merger.files:
        merger.add(file.path, merger.check_rows(file))


def with_files(
    raw: RawDataset, files: Sequence[str], rules: Rules, corrected: tuple[Correction, ...] = ()
) -> RawDataset:
    """Return a source with the accepted files, and the corrections, of an existing version."""
    accepted = [InboxFile(path, is_accepted=True, frame=read_file(path, rules)) for path in map(Path, files)]
    if corrected:
        corrected = tuple(dataclasses.replace(correction, outcome="") for correction in corrected)
        accepted.append(InboxFile(CORRECTIONS, is_accepted=True, corrections=corrected))
    return dataclasses.replace(raw, inbox_files=tuple(accepted))


def _append(train: CheckedPart, files: dict[Path, CheckedPart]) -> CheckedPart:
    """Return a training part followed by the files' new rows; the index of input rows names the file of each."""
    parts = [train, *files.values()]
    keys = _concatenate([part.keys for part in parts])
    *starts, n_input = np.cumsum([train.n_input, *(len(part.images) for part in files.values())]).tolist()

    def read_input(positions: NDArray[np.int64]) -> pd.DataFrame:
        train_positions, *file_positions = np.split(positions, np.searchsorted(positions, starts))
        frames = [train.read_input(train_positions)]
        for (path, part), start, in_file in zip(files.items(), starts, file_positions, strict=True):
            frame = part.read_input(part.positions[in_file - start])
            frames.append(frame.set_axis([f"{path.name}:{item}" for item in frame.index]))
        return pd.concat(frames)

    return train._replace(
        n_input=n_input,
        images=InMemoryImages(np.concatenate([part.images.read(slice(None)) for part in parts]), keys.labels),
        digests=keys.digests,
        positions=np.concatenate([train.positions, np.arange(train.n_input, n_input)]),
        read_input=read_input,
        origins=(("source", 0), *((path.name, start) for path, start in zip(files, starts, strict=True))),
    )


def _take_new(part: CheckedPart, known: AbstractSet[Pair]) -> tuple[CheckedPart, AbstractSet[Pair]]:
    """Return the part with the rows that aren't known yet (the first of equal ones), and their pairs."""
    rows: dict[Pair, int] = {}
    for row, pair in enumerate(_pairs(part.keys)):
        if pair not in known:
            rows.setdefault(pair, row)
    is_new = np.zeros(len(part.images), bool)
    is_new[list(rows.values())] = True
    return part.take(is_new), rows.keys()


def _select(keys: RowKeys, images: RowKeys) -> RowKeys:
    """Return the rows that may be copies of some images: the first halves of the digests are equal."""
    selected = np.isin(keys.digests[:, 0], images.digests[:, 0])
    return RowKeys(keys.digests[selected], keys.labels[selected])


def _pairs(keys: RowKeys) -> list[Pair]:
    return list(map(tuple, np.column_stack([keys.digests, keys.labels]).tolist()))


def _concatenate(keys: list[RowKeys]) -> RowKeys:
    return RowKeys(*(np.concatenate(columns) for columns in zip(*keys, strict=True)))
