"""Find the images and labels among named arrays, and read them, from any container of such: .npz, .npy, .mat, HDF5."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from schemas.digits import CLASSES, PIXEL_COUNT, SIDE
from schemas.errors import InputError
from schemas.rules import InputRules, Rules
from tasks.sources.files import check_expanded
from tasks.sources.frames import Frames, image_batches, images_to_frame
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


class Arrays(Protocol):
    """The arrays of a file or folder, by name."""

    @property
    def path(self) -> Path:
        """The path, for messages."""

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of every array."""

    def n_bytes(self, name: str) -> int:
        """Return the size of an array in memory."""

    def check(self, name: str) -> None:
        """Raise InputError unless an array is of numbers or text."""

    def read(self, name: str) -> Array:
        """Read an array."""

    def read_rows(self, name: str, n_rows: int) -> Iterator[Array]:
        """Read an array `n_rows` rows at a time."""


class Pair(NamedTuple):
    """The names of an array of images and, if there is one, that of their labels."""

    images: str
    labels: str | None = None


def read_arrays(arrays: Arrays, rules: Rules) -> Frames:
    """Read the part to train on and, if there is one, that to test with. Error messages name the array."""
    train, test, notes = _labelled_parts(arrays, rules)
    pairs = [pair for pair in (train, test) if pair]
    check_expanded(arrays.path, sum(arrays.n_bytes(name) for pair in pairs for name in pair), rules.max_expanded_mib)
    return Frames(*(_read_pair(arrays, *pair) for pair in pairs), notes=notes)  # type: ignore[misc, arg-type]


def check_arrays(arrays: Arrays, rules: InputRules) -> None:
    """Raise InputError unless the names and shapes of the arrays are those of labelled images."""
    _labelled_parts(arrays, rules)


def array_batches(arrays: Arrays, rules: InputRules, n_rows: int) -> Iterator[pd.DataFrame]:
    """Read the test part, if there is one, or all rows, with labels if there are some."""
    shapes = arrays.shapes()
    parts = _find_pairs(shapes)
    pair = next((parts[part] for part in ("test", None, "train", "validation") if part in parts), None)
    if pair is None:
        raise InputError(f"{arrays.path}: no array x_test, x or x_train; found {_summary(shapes)}")
    labels = None
    if pair.labels:
        n_images = _check_shapes(arrays.path, (pair.images, pair.labels), shapes, rules)
        labels = _label_rows(arrays, pair.labels, shapes[pair.labels], n_images, n_rows)
    elif _layout(shapes[pair.images]) is None:
        raise InputError(f"{arrays.path}: expected {pair.images} as (rows, 28, 28), got {shapes[pair.images]}")
    else:
        check_size(f"{arrays.path}, {pair.images}", _n_pixels(shapes[pair.images]), rules)
    yield from image_batches(_image_rows(arrays, pair.images, shapes[pair.images], n_rows), labels)


def _read_pair(arrays: Arrays, images: str, labels: str) -> pd.DataFrame:
    pixels = _to_rows(arrays.read(images))
    return images_to_frame(pixels, _to_labels(arrays.read(labels), len(pixels), f"{arrays.path}, {labels}"))


def _image_rows(arrays: Arrays, name: str, shape: Shape, n_rows: int) -> Iterator[Array]:
    if _layout(shape) == 0:
        yield from arrays.read_rows(name, n_rows)
        return
    pixels = _to_rows(arrays.read(name))
    yield from (pixels[start : start + n_rows] for start in range(0, max(len(pixels), 1), n_rows))


def _label_rows(arrays: Arrays, name: str, shape: Shape, n_images: int, n_rows: int) -> Iterator[Array]:
    where = f"{arrays.path}, {name}"
    if shape[:1] == (n_images,):
        return (_to_labels(rows, len(rows), where) for rows in arrays.read_rows(name, n_rows))
    labels = _to_labels(arrays.read(name), n_images, where)
    return (labels[start : start + n_rows] for start in range(0, max(n_images, 1), n_rows))


def _labelled_parts(
    arrays: Arrays, rules: InputRules
) -> tuple[tuple[str, str], tuple[str, str] | None, tuple[str, ...]]:
    """Return the names of the arrays to read, and notes; raise InputError if there are none, or for their shapes."""
    shapes = arrays.shapes()
    labelled = {part: (pair.images, pair.labels) for part, pair in _find_pairs(shapes).items() if pair.labels}
    pairs = {part: pair for part, pair in labelled.items() if part}
    if "train" not in pairs and None in labelled:
        pairs["train"] = labelled[None]
    if "train" not in pairs:
        raise InputError(
            f"{arrays.path}: no arrays x_train, y_train, x_test, y_test, or x, y; found {_summary(shapes)}"
        )
    sizes = {part: f"{_check_shapes(arrays.path, pair, shapes, rules):,} rows" for part, pair in pairs.items()}
    for name in {name for pair in pairs.values() for name in pair}:
        arrays.check(name)
    train, test, notes = choose_parts(pairs, sizes)
    unread = [name for name in shapes if name not in {name for pair in pairs.values() for name in pair}]
    return train, test, notes + note_left_out(sorted(unread), "no images or labels", "array")


def _find_pairs(shapes: Mapping[str, Shape]) -> dict[PartName | None, Pair]:
    """Find images and labels by part: by name or, if no name is known, the only ones that their shapes allow."""
    named: dict[tuple[PartName | None, bool], list[tuple[int, str]]] = {}
    for name in shapes:
        if role := _role(name):
            part, is_label, preference = role
            named.setdefault((part, is_label), []).append((preference, name))
    first = {key: min(candidates)[1] for key, candidates in named.items()}
    pairs = {part: Pair(name, first.get((part, True))) for (part, is_label), name in first.items() if not is_label}
    return pairs or _pair_by_shape(shapes)


def _pair_by_shape(shapes: Mapping[str, Shape]) -> dict[PartName | None, Pair]:
    images = [name for name, shape in shapes.items() if _layout(shape) is not None]
    others = [name for name in shapes if name not in images]
    if len(images) != 1 or len(others) > 1:
        return {}
    return {None: Pair(images[0], others[0] if others else None)}


def _role(name: str) -> tuple[PartName | None, bool, int] | None:
    """Return the part that an array's name tells, whether it has labels, and how usual the name is; None if unknown."""
    part = part_of(name)
    rest = re.sub("|".join(WORDS.values()), " ", name.lower()) if part else name.lower()
    words = [word for word in re.findall(r"[a-z]+|\d+", rest) if word not in OTHER_WORDS]
    for is_label, known in ((False, IMAGE_WORDS), (True, LABEL_WORDS)):
        if len(words) == 1 and words[0] in known:
            return part, is_label, known.index(words[0])
    return None


def _check_shapes(path: Path, names: tuple[str, str], shapes: Mapping[str, Shape], rules: InputRules) -> int:
    """Return the number of images; raise InputError unless these are images and a label for each."""
    pixels, labels = (shapes[name] for name in names)
    axis = _layout(pixels)
    if axis is None or not _are_labels(labels, pixels[axis]):
        raise InputError(f"{path}: {names[0]} is {pixels} and {names[1]} {labels}; expected (rows, 28, 28) and (rows,)")
    check_size(f"{path}, {names[0]}", _n_pixels(pixels), rules)
    return pixels[axis]


def _n_pixels(shape: Shape) -> int:
    """Return the number of pixels of each image in an array."""
    return math.prod(shape[:-1] if _layout(shape) else shape[1:])


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


def _summary(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(sorted(shapes)[:8]) or "none"
