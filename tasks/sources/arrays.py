"""Find the images and labels among named arrays, and read them, from any container: .npz, .npy, .mat, HDF5, IDX.

To add a container, write a function that opens it as a mapping of `StoredArray`, and make an `ArrayReader` of it.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.errors import InputError, first_line
from schemas.rules import InputRules, Rules
from tasks.sources.files import check_expanded
from tasks.sources.frames import Frames, images_to_frame
from tasks.sources.labels import parse_labels
from tasks.sources.parts import WORDS, PartName, choose_parts, note_left_out, part_of
from tasks.sources.sizes import SIDES, check_size

Array = NDArray[np.generic]
Shape = tuple[int, ...]
IMAGE_SHAPES = ((SIDE, SIDE), (PIXEL_COUNT,))
OTHER_SHAPES = tuple(shape for side in SIDES if side != SIDE for shape in ((side, side), (side * side,)))
"""Shapes of images that are resized; the rows come first."""
# The words of names that tell an array's content, in the order of preference.
IMAGE_WORDS = ("x", "images", "image", "imgs", "img", "pixels", "data", "features", "inputs")
LABEL_WORDS = ("y", "labels", "label", "targets", "target", "classes", "class")
OTHER_WORDS = {"set", "dataset", "mnist", "emnist", "qmnist", "usps"}
NUMBER_KINDS, TEXT_KINDS = "biuf", "US"


class StoredArray(ABC):
    """An array in a file, which is read when it is needed: as a whole, or some rows at a time."""

    def __init__(self, path: Path, name: str, shape: Shape, dtype: np.dtype[np.generic]) -> None:
        self.path, self.name, self.shape, self.dtype = path, name, shape, dtype

    @property
    def where(self) -> str:
        """The beginning of error messages."""
        return f"{self.path}, {self.name}"

    @property
    def n_bytes(self) -> int:
        """The size in memory that the file declares."""
        return self.dtype.itemsize * math.prod(self.shape)

    def check(self) -> None:
        """Raise InputError unless the array is of numbers or text."""
        if self.dtype.kind not in NUMBER_KINDS + TEXT_KINDS:
            raise InputError(f"{self.path}: expected numbers in {self.name}, got {self.dtype}")

    @abstractmethod
    def read(self) -> Array:
        """Read the array."""

    @abstractmethod
    def read_rows(self, n_rows: int) -> Iterator[Array]:
        """Read the array `n_rows` rows at a time; an empty one once."""


class SlicedArray(StoredArray):
    """An array in memory, or a dataset of HDF5, which is read when it is sliced."""

    def __init__(self, path: Path, name: str, values: Any) -> None:  # noqa: ANN401, h5py has no types
        super().__init__(path, name, tuple(values.shape), values.dtype)
        self._values = values

    def read(self) -> Array:
        return np.asarray(self._values[()])

    def read_rows(self, n_rows: int) -> Iterator[Array]:
        return (np.asarray(self._values[start : start + n_rows]) for start in range(0, max(self.shape[0], 1), n_rows))


Arrays: TypeAlias = Mapping[str, StoredArray]


class Pair(NamedTuple):
    """An array of images and, if there is one, that of their labels."""

    images: StoredArray
    labels: StoredArray | None = None

    def read(self) -> pd.DataFrame:
        """Read the images and their labels."""
        pixels = _to_rows(self.images.read())
        labels = _to_labels(self.labels.read(), len(pixels), self.labels.where) if self.labels else None
        return images_to_frame(pixels, labels)

    def batches(self, n_rows: int) -> Iterator[pd.DataFrame]:
        """Read the images and their labels `n_rows` rows at a time."""
        labels = _label_rows(self.labels, _n_rows(self.images.shape), n_rows) if self.labels else repeat(None)
        start = 0
        for pixels, batch_labels in zip(_image_rows(self.images, n_rows), labels, strict=False):
            stop = start + len(pixels)
            yield images_to_frame(pixels, batch_labels, pd.RangeIndex(start, stop))
            start = stop


class ArrayReader(NamedTuple):
    """Reads files of named arrays, which `open` opens; `kind` names such a file in messages."""

    kind: str
    open: Callable[[Path, InputRules], AbstractContextManager[Arrays]]

    def read(self, path: Path, rules: Rules) -> Frames:
        """Read the part to train on and, if there is one, that to test with."""
        with self._opened(path, rules) as arrays:
            train, test, notes = _labelled_parts(path, arrays, rules)
            pairs = [pair for pair in (train, test) if pair]
            n_bytes = sum(array.n_bytes for pair in pairs for array in pair if array)
            check_expanded(path, n_bytes, rules.max_expanded_mib)
            return Frames(train.read(), test and test.read(), notes)

    def check(self, path: Path, rules: InputRules) -> None:
        """Raise InputError unless the names and shapes of the arrays are those of labelled images."""
        with self._opened(path, rules) as arrays:
            _labelled_parts(path, arrays, rules)

    def batches(self, path: Path, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
        """Read the test part, if there is one, or all rows, with labels if there are some; one may have any name."""
        with self._opened(path, rules) as arrays:
            parts = _find_pairs(arrays)
            pair = next((parts[part] for part in ("test", None, "train", "validation") if part in parts), None)
            if pair is None:
                raise InputError(f"{path}: no array x_test, x or x_train; found {_summary(arrays)}")
            _check_pair(pair, rules)
            yield from pair.batches(n_rows)

    @contextmanager
    def _opened(self, path: Path, rules: InputRules) -> Iterator[Arrays]:
        try:
            with self.open(path, rules) as arrays:
                yield arrays
        except InputError:
            raise
        except Exception as error:  # damaged content makes zipfile, NumPy, SciPy and h5py raise many kinds
            raise InputError(f"{path}: not a readable {self.kind} file ({first_line(error)})") from error


def _image_rows(images: StoredArray, n_rows: int) -> Iterator[Array]:
    if _layout(images.shape) == 0:
        return images.read_rows(n_rows)
    return _cut(_to_rows(images.read()), n_rows)


def _label_rows(labels: StoredArray, n_images: int, n_rows: int) -> Iterator[Array]:
    if labels.shape[:1] == (n_images,):
        return (_to_labels(rows, len(rows), labels.where) for rows in labels.read_rows(n_rows))
    return _cut(_to_labels(labels.read(), n_images, labels.where), n_rows)


def _cut(rows: Array, n_rows: int) -> Iterator[Array]:
    return (rows[start : start + n_rows] for start in range(0, max(len(rows), 1), n_rows))


def _labelled_parts(path: Path, arrays: Arrays, rules: InputRules) -> tuple[Pair, Pair | None, tuple[str, ...]]:
    """Return the arrays to read, and notes; raise InputError if there are none, or for their shapes."""
    labelled = {part: pair for part, pair in _find_pairs(arrays).items() if pair.labels}
    pairs = {part: pair for part, pair in labelled.items() if part}
    if "train" not in pairs and None in labelled:
        pairs["train"] = labelled[None]
    if "train" not in pairs:
        raise InputError(f"{path}: no arrays x_train, y_train, x_test, y_test, or x, y; found {_summary(arrays)}")
    for pair in pairs.values():
        _check_pair(pair, rules)
    train, test, notes = choose_parts(
        pairs, {part: f"{_n_rows(pair.images.shape):,} rows" for part, pair in pairs.items()}
    )
    in_pairs = {array for pair in pairs.values() for array in pair}
    unread = sorted(name for name, array in arrays.items() if array not in in_pairs)
    return train, test, notes + note_left_out(unread, "no images or labels", "array")


def _find_pairs(arrays: Arrays) -> dict[PartName | None, Pair]:
    """Find images and labels by part: by name or, if no name is known, the only ones that their shapes allow."""
    named: dict[tuple[PartName | None, bool], list[tuple[int, str]]] = {}
    for name in arrays:
        if role := _role(name):
            part, is_label, preference = role
            named.setdefault((part, is_label), []).append((preference, name))
    first = {key: arrays[min(candidates)[1]] for key, candidates in named.items()}
    pairs = {part: Pair(images, first.get((part, True))) for (part, is_label), images in first.items() if not is_label}
    return pairs or _pair_by_shape(arrays)


def _pair_by_shape(arrays: Arrays) -> dict[PartName | None, Pair]:
    images = [array for array in arrays.values() if _layout(array.shape) is not None]
    others = [array for array in arrays.values() if array not in images]
    return {None: Pair(*images, *others)} if len(images) == 1 and len(others) <= 1 else {}


def _role(name: str) -> tuple[PartName | None, bool, int] | None:
    """Return the part that an array's name tells, whether it has labels, and how usual the name is; None if unknown."""
    part = part_of(name)
    rest = re.sub("|".join(WORDS.values()), " ", name.lower()) if part else name.lower()
    words = [word for word in re.findall(r"[a-z]+|\d+", rest) if word not in OTHER_WORDS]
    for is_label, known in ((False, IMAGE_WORDS), (True, LABEL_WORDS)):
        if len(words) == 1 and words[0] in known:
            return part, is_label, known.index(words[0])
    return None


def _check_pair(pair: Pair, rules: InputRules) -> None:
    """Raise InputError unless these are images of numbers and, if there are labels, one for each."""
    images, labels = pair
    axis = _layout(images.shape)
    if axis is None or (labels and not _are_labels(labels.shape, images.shape[axis])):
        raise InputError(_shape_fault(images, labels))
    check_size(images.where, _n_pixels(images.shape), rules)
    for array in filter(None, pair):
        array.check()


def _shape_fault(images: StoredArray, labels: StoredArray | None) -> str:
    if labels is None:
        return f"{images.path}: expected {images.name} as (rows, 28, 28), got {images.shape}"
    if _layout(images.shape) == 0 and len(labels.shape) == 1:
        return f"{labels.where}: {labels.shape[0]:,} labels for the {images.shape[0]:,} images of {images.name}"
    shapes = f"{images.name} is {images.shape} and {labels.name} {labels.shape}"
    return f"{images.path}: {shapes}; expected (rows, 28, 28) and (rows,)"


def _n_rows(images: Shape) -> int:
    return images[_layout(images) or 0]


def _n_pixels(images: Shape) -> int:
    """Return the number of pixels of each image in an array."""
    return math.prod(images[:-1] if _layout(images) else images[1:])


def _layout(shape: Shape) -> int | None:
    """Return the axis of the rows, the first or the last, of an array of images; None if it has another shape."""
    for axis, image in ((0, shape[1:]), (-1, shape[:-1])):
        if tuple(side for side in image if side != 1) in IMAGE_SHAPES:
            return axis
    if tuple(side for side in shape[1:] if side != 1) in OTHER_SHAPES:
        return 0
    return None


def _are_labels(shape: Shape, n_rows: int) -> bool:
    """Check whether an array has one label a row, or one-hot columns, with the rows along either axis."""
    sides = sorted(side for side in shape if side != 1)
    one_hot = sorted(side for side in (n_rows, len(CLASSES)) if side != 1)
    return sides == one_hot or (len(sides) <= 1 and int(np.prod(shape)) == n_rows)


def _to_rows(pixels: Array) -> Array:
    """Return images as rows × pixels."""
    if _layout(pixels.shape) == -1:
        pixels = np.moveaxis(pixels, -1, 0)
    return pixels.reshape(len(pixels), math.prod(pixels.shape[1:]))


def _to_labels(labels: Array, n_rows: int, where: str) -> Array:
    """Return one label a row, given as a number or text, or in one-hot encoding."""
    if labels.dtype.kind in TEXT_KINDS:
        labels = parse_labels(labels.ravel().tolist(), where).reshape(labels.shape)
    if labels.size == n_rows:
        return labels.reshape(n_rows)
    one_hot = labels.squeeze()
    one_hot = one_hot.reshape(n_rows, -1) if n_rows in (labels.shape[0], one_hot.shape[0]) else one_hot.T
    if not (np.isin(one_hot, (0, 1)).all() and (one_hot.sum(axis=1) == 1).all()):
        raise InputError(
            f"{where}: expected a label in each row, or {len(CLASSES)} columns with a single 1 in each row"
        )
    return np.asarray(one_hot.argmax(axis=1), np.uint8)


def _summary(arrays: Arrays) -> str:
    return ", ".join(sorted(arrays)[:8]) or "none"
