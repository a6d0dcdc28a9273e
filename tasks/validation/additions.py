"""Add the rows of further files to those that a source has to train on, each file held to the rules by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from artifacts.markdown import count
from schemas.errors import InputError
from schemas.pixel_frame import labelled_column_fault, labels_of, pixels_of
from schemas.shards import Manifest
from tasks.sources import catalogue
from tasks.validation import inspection, judged, rows
from tasks.validation.repairs import highest, is_unit_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import Loaded
    from schemas.rules import Rules

OF_THE_WHOLE = {"classes", "test rows", "drift"}
"""Checks that a file needn't pass: it may hold sevens alone, and few."""


class Sound(NamedTuple):
    """The rows of a frame that are those of a digit: what they are called in it, their digests (rows × 2), labels."""

    items: pd.Index
    digests: NDArray[np.uint64]
    labels: NDArray[np.uint8]

    def of(self, marked: NDArray[np.bool_]) -> Sound:
        """Give the marked rows."""
        return Sound(self.items[marked], self.digests[marked], self.labels[marked])

    def with_others(self, others: Sequence[Sound]) -> Sound:
        """Give other rows with these behind them."""
        every = [*others, self]
        items = pd.Index(np.concatenate([one.items for one in every]))
        return Sound(
            items, np.concatenate([one.digests for one in every]), np.concatenate([one.labels for one in every])
        )

    def pairs(self) -> set[tuple[int, ...]]:
        """Give what each row shows, and as what."""
        return set(self._pairs())

    def among(self, pairs: set[tuple[int, ...]]) -> NDArray[np.bool_]:
        """Mark the rows that show the same as others, as the same."""
        return np.array([pair in pairs for pair in self._pairs()], bool)

    def _pairs(self) -> list[tuple[int, ...]]:
        return list(map(tuple, np.column_stack([self.digests, self.labels]).tolist()))


class Additions:
    """What a source has to train on, and the files that were added to it so far."""

    def __init__(self, base: Loaded, rules: Rules) -> None:
        """Begin with the source alone; raise InputError unless it is read whole, with a pixel frame's columns."""
        train, *tests = [_whole(base.name, part) for part in base.parts.values()]
        self._base, self._rules = base, rules
        self._frames, self._sound = [train], [_sound(train)]
        self._tested = _sound(tests[0]) if tests else None
        self._known = self._sound[0].pairs()
        self._files: list[str] = []

    def add(self, path: Path) -> int:
        """Add the rows of a file that aren't there yet; give their number."""
        frame = _read(path, self._rules)
        sound = _sound(frame)
        there = sound.among(self._known)
        self._frames.append(frame[~frame.index.isin(set(sound.items[there]))])
        self._sound.append(sound.of(~there))
        self._known |= sound.pairs()
        self._files.append(str(path))
        return len(self._frames[-1])

    def judge(self, path: Path, reference: Profile) -> None:
        """Raise InputError, with every reason, unless a file is fit to be added."""
        frame = _read(path, self._rules)
        self._check_alone(path, frame, reference)
        sound = _sound(frame)
        self._check_beside(path, sound.of(~sound.among(self._known)))

    def loaded(self) -> Loaded:
        """Give the source with all that was added."""
        if not self._files:
            return self._base
        name = f"{self._base.name} and {count(len(self._files), 'file')} of the inbox"
        return dataclasses.replace(self._base, name=name, train=pd.concat(self._frames), added=tuple(self._files))

    def _check_alone(self, path: Path, frame: pd.DataFrame, reference: Profile) -> None:
        """Hold a file to the checks that any data has to pass."""
        alone = dataclasses.replace(self._base, name=path.name, train=frame, test=None)
        found, _ = inspection.inspect(alone, self._rules, reference)
        errors = [error.message for error in found.errors if error.check not in OF_THE_WHOLE]
        if not errors and is_unit_scale(highest(frame)) != is_unit_scale(highest(self._frames[0])):
            errors = ["its pixels don't have the scale of the source's"]
        if errors:
            raise InputError(f"{path.name}: {'; '.join(errors)}")

    def _check_beside(self, path: Path, new: Sound) -> None:
        """Hold a file's new rows to the budget for what contradicts the others or is among the test rows."""
        total = len(new.labels)
        if not total:
            return
        faults = rows.copy_faults(new.with_others(self._sound), self._tested)["train"]
        failing = {reason: marked[-total:] for reason, marked in faults.items() if marked[-total:].any()}
        number = int(rows.failing(failing, total).sum())
        if number > self._rules.max_quarantined * total:
            told = ", ".join(f"{marked.sum():,} {reason}" for reason, marked in failing.items())
            raise InputError(
                f"{path.name}: {number:,} of {count(total, 'new row')} don't go with what is there ({told}); "
                f"--max-quarantined allows {self._rules.max_quarantined:g} of them"
            )


def with_files(base: Loaded, files: Sequence[str], rules: Rules) -> Loaded:
    """Give a source with the rows of files that were added to it before."""
    if not files:
        return base
    additions = Additions(base, rules)
    for path in files:
        additions.add(Path(path))
    return additions.loaded()


def _read(path: Path, rules: Rules) -> pd.DataFrame:
    """Read all rows of a file, called after it and what they are called in it."""
    parts = catalogue.load(str(path), None, rules).parts
    several = len(parts) > 1
    named = []
    for part, frame in parts.items():
        whole = _whole(path.name, frame)
        named.append(whole.set_axis([f"{path.name}:{f'{part} ' * several}{item}" for item in whole.index]))
    return pd.concat(named)


def _whole(name: str, frame: pd.DataFrame | Manifest) -> pd.DataFrame:
    """Give a part that is one frame with a pixel frame's columns; raise InputError for another."""
    if isinstance(frame, Manifest):
        raise InputError(f"{name}: shards; an inbox goes with a source that is read whole, and takes single files")
    fault = labelled_column_fault(frame)
    if fault:
        raise InputError(f"{name}: {fault}; label, pixel0 … pixel783 are needed")
    return frame


def _sound(frame: pd.DataFrame) -> Sound:
    right = judged.judge(frame).right
    return Sound(right.index, rows.digests(pixels_of(right)), labels_of(right))
