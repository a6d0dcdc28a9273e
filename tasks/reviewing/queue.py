"""Rank the review queue, and write its first images into a folder for a person: a CSV file, and pictures to move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from artifacts.files import new_folder
from artifacts.uri import error_reason
from schemas.digits import SIDE
from schemas.errors import InputError
from schemas.review import REASONS, Correction
from schemas.rules import DEFAULT_RULES
from schemas.text import printable
from tasks.inbox import corrections
from tasks.inbox.folder import WALK_ERRORS, Inbox
from tasks.inbox.reader import Reader

TABLE = "review.csv"
SCALE = 8
"""Enlargement of the pictures: 28 pixels are too few to look at."""


def rank(queue: pd.DataFrame, corrected: Iterable[str]) -> pd.DataFrame:
    """Return an entry for each image that isn't corrected yet, in the order in which a person should look.

    The worst of each reason take turns: scores of different reasons can't be compared. `reasons` has all of an image's.
    """
    waiting = queue[~queue["item"].isin([*corrected]) & queue["reason"].isin([*REASONS])]
    by_score = waiting.sort_values("score", ascending=False, kind="stable")
    kinds = by_score["reason"].map({reason: number for number, reason in enumerate(REASONS)})
    ranked = by_score.iloc[np.lexsort((kinds, by_score.groupby("reason").cumcount()))]
    reasons = ranked.groupby("item")["reason"].agg(", ".join)
    first = ranked.drop_duplicates("item", ignore_index=True)
    return first.assign(reasons=first["item"].map(reasons))


def read_corrections(inbox: Path, warn: Callable[[str], None]) -> tuple[Correction, ...]:
    """Read all corrections of an inbox, those that wait included; warn of those that can't be read."""
    found: list[Correction] = []
    with Reader(DEFAULT_RULES) as reader:
        for path in Inbox(inbox).files():
            with suppress(*WALK_ERRORS, InputError):  # a training with this inbox names what isn't readable at all
                if corrections.is_corrections(path):
                    file, _ = reader.read(path, is_accepted=True)
                    found += file.corrections
                    if file.fault:
                        warn(f"{printable(file.fault)}; left out")
    return corrections.newest(found)


def write(entries: pd.DataFrame, folder: Path) -> None:
    """Write the entries' pictures, the folders to move them into, and a CSV file to type into."""
    table = pd.DataFrame(
        {
            "item": entries["item"],
            "label": "",
            "given": entries["label"].astype(str).replace("-1", ""),
            "proposed": entries["proposed"],
            "reasons": entries["reasons"],
            "text": entries["text"],
            "origin": (entries["part"] + " " + entries["origin"]).str.strip(),
        }
    )
    try:
        with new_folder(folder) as temporary:
            table.to_csv(temporary / TABLE, index=False)
            for name in corrections.ANSWERS:
                (temporary / name).mkdir()
            entry: Any  # a row of a frame
            for number, entry in enumerate(entries.itertuples(), 1):
                answer = f"predicted{entry.proposed}" if entry.label < 0 else f"given{entry.label}-or{entry.proposed}"
                image = np.frombuffer(entry.pixels, np.uint8).reshape(SIDE, SIDE)
                picture = Image.fromarray(image.repeat(SCALE, axis=0).repeat(SCALE, axis=1))
                picture.save(temporary / f"{number:04}-{answer}-{entry.item}.png")
    except OSError as error:
        raise InputError(f"--output {folder}: can't be written ({error_reason(error)})") from error
