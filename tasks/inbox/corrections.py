"""Corrections in the inbox: what people answered on images of the review queue, as a CSV file or a folder.

A CSV file has columns `item` and `label`. In a folder, images lie in subfolders `0` to `9` and `none`; it may hold such
a CSV file, too. Images are identified by their pixels, so that a correction holds wherever their rows are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError
from schemas.images import InMemoryImages
from schemas.pixel_frame import labelled_frame
from schemas.review import (
    ABSENT,
    ADDED,
    CONFIRMED,
    ITEM,
    LEFT_OUT,
    NOT_A_DIGIT,
    RELABELLED,
    REPLACED,
    TEST,
    Correction,
    item_of,
)
from schemas.validation import Part
from tasks.sources.csv_text import SAMPLE_BYTES, read_sample
from tasks.sources.files import DIGIT_NAMES, entries, is_text, open_regular
from tasks.validation import row_faults
from tasks.validation.check_rows import CheckedPart

ANSWERS: dict[str, int | None] = {name: int(name) for name in DIGIT_NAMES} | {NOT_A_DIGIT: None}
EXPECTED = f"a digit, or {NOT_A_DIGIT}"
MAX_COLUMNS = 100
"""Columns from which on a table has pixels of its own, such as corrected rows of the quarantine."""
MAX_SIDE = 1024
"""Pixels of a picture's side; the queue's pictures have fewer."""


def is_corrections(path: Path) -> bool:
    """Check whether a file, or a folder, of the inbox has corrections."""
    if not path.is_dir():
        return _is_table(path)
    return any(_is_table(file) for file in entries(path) if file.is_file()) or bool(_pictures(path))


def read(path: Path) -> tuple[Correction, ...]:
    """Read a file or a folder of corrections; raise InputError for what can't be understood."""
    files = [file for file in entries(path) if file.is_file() and _is_table(file)] if path.is_dir() else [path]
    found = [correction for file in files for correction in _read_table(file)]
    found += [_read_picture(picture, label) for picture, label in _pictures(path)] if path.is_dir() else []
    unique: dict[str, Correction] = {}
    for correction in found:
        other = unique.setdefault(correction.item, correction)
        if other.label != correction.label:
            answers = " and ".join(NOT_A_DIGIT if one.label is None else str(one.label) for one in (other, correction))
            raise InputError(f"{path.name}: {correction.item} has two labels, {answers}; one is needed")
    if not unique:
        raise InputError(
            f"{path.name}: all labels are empty; write {EXPECTED}, or move pictures to folders of that name"
        )
    # A folder's files may come from several hands; the newest says when it was finished.
    when = max(one.when for one in found)
    return tuple(replace(one, file=path.name, when=when) for one in unique.values())


def newest(corrections: Iterable[Correction]) -> tuple[Correction, ...]:
    """Return the corrections, the oldest first; those that a newer one replaces have that outcome."""
    in_order = sorted(corrections, key=lambda one: (one.when, one.file))
    last = {one.item: number for number, one in enumerate(in_order)}
    return tuple(
        one if last[one.item] == number else replace(one, outcome=REPLACED) for number, one in enumerate(in_order)
    )


def new_pictures(
    corrections: Iterable[Correction], known: NDArray[np.uint64]
) -> tuple[tuple[Correction, ...], pd.DataFrame]:
    """Return the corrections, and the labelled images of those that belong to no data; `known` are the others' digests.

    An image that was of a part when it was queued isn't added: the source may have dropped it on purpose.
    """
    digests = set(known.tolist())
    marked = tuple(
        replace(one, outcome=ADDED)
        if one.pixels and not one.part and not one.outcome and one.label is not None and one.digest not in digests
        else one
        for one in corrections
    )
    added = [one for one in marked if one.outcome == ADDED]
    pixels = np.frombuffer(b"".join(one.pixels for one in added), np.uint8).reshape(-1, PIXEL_COUNT)
    frame = labelled_frame(pixels, np.array([one.label for one in added], np.uint8))
    return marked, frame.set_axis([one.item for one in added])


def apply(
    corrections: tuple[Correction, ...], parts: Mapping[Part, CheckedPart], *, with_test: bool
) -> tuple[tuple[Correction, ...], dict[Part, CheckedPart]]:
    """Correct the labels of the parts, which are split; return the corrections with their outcomes, and the parts.

    Test rows keep their labels unless `with_test`; in cross-validation, the training rows are the test rows.
    """
    pending = {one.digest: one for one in corrections if not one.outcome}
    outcomes = {digest: LEFT_OUT if one.label is None and not one.part else ABSENT for digest, one in pending.items()}
    corrected = dict(parts)
    for part, checked in parts.items():
        if part == "test" and checked is parts["train"]:
            corrected["test"] = corrected["train"]
        elif part == "test" and not with_test:
            found = np.isin(checked.digests[:, 0], np.array([*pending], np.uint64))
            outcomes |= dict.fromkeys(checked.digests[found, 0].tolist(), TEST)
        else:
            corrected[part], changes = _correct(checked, pending)
            outcomes |= changes
    return tuple(one if one.outcome else replace(one, outcome=outcomes[one.digest]) for one in corrections), corrected


def _correct(part: CheckedPart, corrections: Mapping[int, Correction]) -> tuple[CheckedPart, dict[int, str]]:
    labels, is_digit, outcomes = part.images.labels.copy(), np.ones(len(part.images), bool), {}
    for row in np.flatnonzero(np.isin(part.digests[:, 0], np.array([*corrections], np.uint64))):
        digest = int(part.digests[row, 0])
        label = corrections[digest].label
        outcomes[digest] = LEFT_OUT if label is None else CONFIRMED if label == labels[row] else RELABELLED
        labels[row], is_digit[row] = labels[row] if label is None else label, label is not None
    if not outcomes:
        return part, {}
    images = InMemoryImages(part.images.read(slice(None)), labels)
    return part._replace(images=images).take(is_digit), outcomes


def _is_table(path: Path) -> bool:
    """Check whether a file is text whose first line names the columns."""
    if path.suffix.lower() not in {".csv", ".tsv", ".txt"}:
        return False
    with open_regular(path) as file:
        if not is_text(file.read(SAMPLE_BYTES)):
            return False
    _, lines = read_sample(path)
    names = _header(lines)
    return {"item", "label"} <= {*names} and len(names) < MAX_COLUMNS


def _header(lines: list[str]) -> list[str]:
    return [name.strip().strip('"').lower() for name in re.split(r"[,;\t]", lines[0])] if lines else []


def _read_table(path: Path) -> Iterator[Correction]:
    when = _modified(path)
    for line, row in _table_rows(path):
        label = row.get("label", "").strip().lower().removesuffix(".0")
        if not label:
            continue
        if label not in ANSWERS:
            raise InputError(f'{path.name}, line {line}, column label: expected {EXPECTED}, got "{label}"')
        item = row.get("item", "").strip()
        if not re.fullmatch(ITEM, item):
            expected = "expected image-…, as in the file that `review` wrote"
            raise InputError(f'{path.name}, line {line}, column item: {expected}, got "{item}"')
        yield Correction(item, ANSWERS[label], row.get("by", "").strip() or _owner(path), when, path.name)


def _table_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the fields of each line. Lines are parsed one by one: no stray quote can hide the next."""
    encoding = "utf-16" if read_sample(path)[0].encoding == "utf-16" else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        first = file.readline()
        separator = max(",;\t", key=first.count)
        names = _header([first.strip()])
        for number, line in enumerate(file, 2):
            try:
                (fields,) = csv.reader([line], delimiter=separator, strict=True)
            except csv.Error as error:
                advice = "remove a quote without its pair, and line breaks between quotes"
                raise InputError(f"{path.name}, line {number}: can't be read ({error}); {advice}") from error
            yield number, dict(zip(names, fields, strict=False))


def _pictures(folder: Path) -> list[tuple[Path, int | None]]:
    """Return what is in subfolders that name an answer; nothing if none of it has the name of a queue's picture."""
    found = [
        (path, label) for name, label in ANSWERS.items() if (folder / name).is_dir() for path in entries(folder / name)
    ]
    return found if any(re.search(ITEM, path.name) for path, _ in found) else []


def _read_picture(path: Path, label: int | None) -> Correction:
    """Read a picture of the queue, which is enlarged, and compare its pixels with its name."""
    name = "/".join(path.parts[-3:])
    if not re.search(ITEM, path.name):
        advice = "give it the name back that `review` gave it, or drop it in another folder, as new data"
        raise InputError(f"{name}: expected a name with image-…; {advice}")
    changed = f"{name}: was changed: it isn't the picture of the review queue; add it as new data"
    try:
        with open_regular(path) as file, Image.open(file, formats=["PNG"]) as picture:
            side = picture.width
            if picture.mode != "L" or picture.height != side or side % SIDE or side > MAX_SIDE:
                raise InputError(changed)
            pixels = np.asarray(picture)[:: side // SIDE, :: side // SIDE]
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(changed) from error
    item = item_of(int(row_faults.digests(pixels.reshape(1, -1))[0, 0]))
    if item not in path.name:
        raise InputError(f"{name}: was changed: its pixels are those of {item}; add it as new data")
    return Correction(item, label, _owner(path), _modified(path.parent, path), name, pixels.tobytes())


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (KeyError, NotImplementedError):
        return f"user {path.stat().st_uid}"


def _modified(*paths: Path) -> str:
    newest_time = max(path.stat().st_mtime for path in paths)
    return datetime.fromtimestamp(newest_time, UTC).isoformat(timespec="milliseconds")
