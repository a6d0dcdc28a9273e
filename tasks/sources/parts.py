"""Recognise the parts of a source, and what isn't data, by the names that people use. Imports no slow library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from schemas.counts import count
from tasks.sources.files import DIGIT_NAMES, HEAD, entries, has_label_folders, is_hidden, open_regular
from tasks.sources.picture_formats import is_picture

PartName = Literal["train", "test", "validation"]
WORDS: dict[PartName, str] = {
    "train": "train(?:ing)?",
    "test": "test(?:ing)?|t10k",
    "validation": "val(?:id(?:ation)?)?",
}
"""The words for a part, alone or with one of CONTENTS: `train`, `xtrain`, `trainingSet`, `test_images`."""
CONTENTS = "images?|labels?|data|set|[xy]"
PATTERNS = {
    part: re.compile(rf"(?<![a-z])(?:{CONTENTS})?(?:{words})(?:{CONTENTS})?(?![a-z])") for part, words in WORDS.items()
}
MAX_DEPTH = 8
MAX_CHILDREN = 3
"""Entries by which a folder is known to hold more than one; it may have a million."""
DOCUMENT = re.compile(r"(read.?me|licen[cs]e|copying|changelog).*|.*\.(md|txt|rst|html?|pdf|json|ya?ml)", re.IGNORECASE)
"""Names of files that describe the data beside them."""

Content = TypeVar("Content")


def part_of(name: str) -> PartName | None:
    """Return the part that a name stands for; None if it names none, or several."""
    found = [part for part, pattern in PATTERNS.items() if pattern.search(name.lower())]
    return found[0] if len(found) == 1 else None


def is_ignored(path: Path) -> bool:
    """Check whether something beside data isn't data: a hidden or system file, or one that describes the data."""
    return is_hidden(path.name) or (DOCUMENT.fullmatch(path.name) is not None and path.is_file())


def root_of(folder: Path) -> Path:
    """Return the folder that holds the data: `folder`, or the one below it in which everything is, as in unpacked zips.

    torchvision keeps its downloads in `MNIST/raw`, beside a folder of its own.
    """
    for _ in range(MAX_DEPTH):
        children = list(islice((child for child in folder.iterdir() if not is_ignored(child)), MAX_CHILDREN))
        if {child.name for child in children} == {"raw", "processed"}:
            children = [folder / "raw"]
        if len(children) != 1 or not children[0].is_dir() or children[0].is_symlink():
            break
        if children[0].name in DIGIT_NAMES:
            break
        folder = children[0]
    return folder


def part_folders(folder: Path) -> list[tuple[PartName, Path]]:
    """Return the part and the root of each subfolder that is named like a part."""
    return [(part, root_of(entry)) for entry in entries(folder) if entry.is_dir() and (part := part_of(entry.name))]


def is_picture_folder(folder: Path) -> bool:
    """Check whether a folder, or one of its parts, has subfolders named 0 to 9."""
    return any(map(has_label_folders, (folder, *(root for _, root in part_folders(folder)))))


def picture_fault(folder: Path) -> str:
    """Return why pictures in a folder have no labels, and what to do; "" if there are none."""
    root = root_of(folder)
    for part in (root, *(part_root for _, part_root in part_folders(root))):
        children = [child for child in entries(part) if not is_ignored(child)]
        if any(map(_is_picture, children[:MAX_CHILDREN])):
            return "pictures without labels; put them into subfolders named 0 to 9"
        named = [child.name for child in children if child.is_dir() and any(map(_is_picture, entries(child)[:1]))]
        if named:
            return f"pictures in subfolders {', '.join(named[:3])}{', …' if named[3:] else ''}; name them 0 to 9"
    return ""


def _is_picture(path: Path) -> bool:
    if not path.is_file():
        return False
    with open_regular(path) as file:
        return is_picture(file.read(HEAD))


def choose_parts(
    found: Mapping[PartName, Content], sizes: Mapping[PartName, str]
) -> tuple[Content, Content | None, tuple[str, ...]]:
    """Return the part to train on, that to test with, if there is one, and notes on the others.

    Without a test part, the validation part is tested with. A part alone is trained on, whatever its name. `sizes`
    describe the parts for the notes.
    """
    if len(found) == 1:
        return next(iter(found.values())), None, ()
    validation = f"the validation part ({sizes.get('validation', '')})"
    if "test" not in found:
        return found["train"], found["validation"], (f"{validation} is the test part",)
    if "train" not in found:
        return found["validation"], found["test"], (f"{validation} is trained on",)
    return found["train"], found["test"], (f"{validation} isn't read",) if "validation" in found else ()


def note_left_out(names: Sequence[str], why: str, noun: str = "file") -> tuple[str, ...]:
    """Return a note on files or the like that aren't read, if there are any."""
    if not names:
        return ()
    listed = f"{', '.join(names[:3])}{', …' if names[3:] else ''}"
    return (f"{count(len(names), noun)} left out ({why}): {listed}",)
