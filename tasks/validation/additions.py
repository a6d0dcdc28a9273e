"""Add the rows of further files to those that a source has to train on, each file held to the rules by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from artifacts.markdown import count
from schemas.errors import InputError
from schemas.pixel_frame import labelled_column_fault, labels_of
from tasks.sources import catalogue
from tasks.validation import inspection, rows
from tasks.validation.repairs import is_unit_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from schemas.profile import Profile
    from schemas.results import Loaded
    from schemas.rules import Rules

OF_THE_WHOLE = {"classes", "test rows", "drift"}
"""Checks that a file needn't pass: it may hold sevens alone, and few."""


class Additions:
    """What a source has to train on, and the files that were added to it so far."""

    def __init__(self, base: Loaded, rules: Rules) -> None:
        """Begin with the source alone, whose columns must be those of a pixel frame."""
        self._base, self._rules = base, rules
        self._frames, self._sound = [base.train], [_sound(base.train)]
        self._tested = None if base.test is None else _sound(base.test)
        self._files: list[str] = []

    def add(self, path: Path) -> int:
        """Add the rows of a file that aren't there yet; give their number."""
        frame = _read(path, self._rules)
        sound = _sound(frame)
        known = self._known(sound)
        self._frames.append(frame[~frame.index.isin(set(sound.index[known]))])
        self._sound.append(sound[~known])
        self._files.append(str(path))
        return len(self._frames[-1])

    def judge(self, path: Path, reference: Profile) -> None:
        """Raise InputError, with every reason, unless a file is fit to be added."""
        frame = _read(path, self._rules)
        self._check_alone(path, frame, reference)
        sound = _sound(frame)
        self._check_beside(path, sound[~self._known(sound)])

    def loaded(self) -> Loaded:
        """Give the source with all that was added."""
        if not self._files:
            return self._base
        name = f"{self._base.name} and {count(len(self._files), 'file')} of the inbox"
        return dataclasses.replace(self._base, name=name, train=pd.concat(self._frames), added=tuple(self._files))

    def _known(self, sound: pd.DataFrame) -> NDArray[np.bool_]:
        """Mark the rows whose image is there with the same label."""
        known = {pair for there in self._sound for pair in _pairs(there)}
        return np.array([pair in known for pair in _pairs(sound)], bool)

    def _check_alone(self, path: Path, frame: pd.DataFrame, reference: Profile) -> None:
        """Hold a file to the checks that any data has to pass."""
        alone = dataclasses.replace(self._base, name=path.name, train=frame, test=None)
        found, _ = inspection.inspect(alone, self._rules, reference)
        errors = [error.message for error in found.errors if error.check not in OF_THE_WHOLE]
        if not errors and is_unit_scale(frame) != is_unit_scale(self._base.train):
            errors = ["its pixels don't have the scale of the source's"]
        if errors:
            raise InputError(f"{path.name}: {'; '.join(errors)}")

    def _check_beside(self, path: Path, new: pd.DataFrame) -> None:
        """Hold a file's new rows to the budget for what contradicts the others or is among the test rows."""
        if not len(new):
            return
        together = pd.concat([*self._sound, new], ignore_index=True)
        faults = rows.copy_faults(together, self._tested)["train"]
        failing = {reason: marked[-len(new) :] for reason, marked in faults.items() if marked[-len(new) :].any()}
        number = int(rows.failing(failing, len(new)).sum())
        if number > self._rules.max_quarantined * len(new):
            told = ", ".join(f"{marked.sum():,} {reason}" for reason, marked in failing.items())
            raise InputError(
                f"{path.name}: {number:,} of {count(len(new), 'new row')} don't go with what is there ({told}); "
                f"--max-quarantined allows {self._rules.max_quarantined:g} of them"
            )


def with_files(base: Loaded, files: Sequence[str], rules: Rules) -> Loaded:
    """Give a source with the rows of files that were added to it before."""
    additions = Additions(base, rules)
    for path in files:
        additions.add(Path(path))
    return additions.loaded()


def _read(path: Path, rules: Rules) -> pd.DataFrame:
    """Read all rows of a file, called after it and what they are called in it."""
    parts = catalogue.load(str(path), None, rules).parts
    several = len(parts) > 1
    named = [
        frame.set_axis([f"{path.name}:{f'{part} ' * several}{item}" for item in frame.index])
        for part, frame in parts.items()
    ]
    frame = pd.concat(named)
    fault = labelled_column_fault(frame)
    if fault:
        raise InputError(f"{path.name}: {fault}; label, pixel0 … pixel783 are needed")
    return frame


def _sound(frame: pd.DataFrame) -> pd.DataFrame:
    """Give the rows that are those of a digit."""
    return rows.take(frame, ~rows.failing(rows.value_faults(frame), len(frame)))


def _pairs(frame: pd.DataFrame) -> list[tuple[bytes, int]]:
    return list(zip(rows.digests(frame), labels_of(frame).tolist(), strict=True))
