"""Make a data set of any size: MNIST's training digits, deformed at random, as Parquet shards.

`python benchmarks/make_large.py --rows 8100000 --out FOLDER` makes as many as MNIST8M has. Each row is one of 60,000
digits with its label, moved by a random affine map and an elastic field of its own (Simard, Steinkraus, Platt 2003).
The seed decides every row, however the rows are cut into shards; memory holds a shard a core.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.interpolate import CubicSpline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

EMBEDDED = Path(__file__).parents[1] / "data" / "mnist.npz"
SIDE = 28
GROUP = 512
"""Rows that are drawn together; shards begin and end anywhere in a group."""
POINTS = 7
"""Of the elastic field, along each side."""
ROTATION, SCALING, SHEAR, SHIFT, ELASTIC = math.radians(9), 0.08, 0.09, 0.9, 0.7
"""The largest turn, stretch, slope and move in pixels, and the standard deviation of the field's points in pixels.

Those of the recipe `best`, which were found on held-out digits (see RECIPES.md).
"""
NAMES = ("label", *(f"pixel{number}" for number in range(SIDE * SIDE)))
ROW_GROUP = 50_000
SHARD = "digits-{}.parquet"


class Part(NamedTuple):
    """A shard to be written: its path, and which rows it has of those that the seed decides."""

    path: Path
    start: int
    stop: int
    seed: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the shards, as many at a time as there are cores, and tell what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder, created if it isn't there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-rows", type=int, default=100_000, help="rows a shard (default 100,000)")
    options = parser.parse_args(arguments)
    if min(options.rows, options.shard_rows) < 1:
        parser.error("--rows and --shard-rows are at least 1")
    parts = planned(options.out, options.rows, options.seed, options.shard_rows)
    others = sorted({*options.out.glob(SHARD.format("*"))} - {part.path for part in parts})
    if others:
        parser.error(f"--out {options.out}: {others[0].name} is of another set; an empty folder is needed")
    made = make(parts)
    json.dump(
        {"rows": options.rows, "shards": len(made), "bytes": sum(path.stat().st_size for path in made)}, sys.stdout
    )


def planned(folder: Path, rows: int, seed: int, shard_rows: int) -> list[Part]:
    """Give the shards of so many rows in their order."""
    return [
        Part(folder / SHARD.format(f"{number:05}"), start, min(start + shard_rows, rows), seed)
        for number, start in enumerate(range(0, rows, shard_rows))
    ]


def make(parts: Sequence[Part]) -> list[Path]:
    """Write shards; give their paths. A shard is there whole or not at all."""
    parts[0].path.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(write, parts))


def write(part: Part) -> Path:
    """Write a shard."""
    table = np.empty((len(NAMES), part.stop - part.start), np.uint8)  # a column after another, as Parquet has them
    done = 0
    for labels, pixels in _groups(part):
        table[0, done : done + len(labels)] = labels
        table[1:, done : done + len(labels)] = pixels.T
        done += len(labels)
    new = part.path.with_name(f".{part.path.name}.new")
    pq.write_table(pa.table(dict(zip(NAMES, table, strict=True))), new, row_group_size=ROW_GROUP, compression="snappy")
    new.replace(part.path)
    return part.path


def _groups(part: Part) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Draw the groups that a shard's rows are in; give of each the rows that are the shard's."""
    for number in range(part.start // GROUP, -(-part.stop // GROUP)):
        labels, pixels = drawn(number, part.seed)
        within = slice(max(part.start - number * GROUP, 0), part.stop - number * GROUP)
        yield labels[within], pixels[within]


def drawn(number: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a group of rows: labels, and pixels as rows × 784."""
    random = np.random.default_rng([seed, number])
    digits, labels = embedded()
    chosen = random.integers(len(labels), size=GROUP)
    return labels[chosen], deformed(digits[chosen], random).reshape(GROUP, -1)


@cache
def embedded() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Give MNIST's training digits, rows × 28 × 28, and their labels."""
    with np.load(EMBEDDED) as arrays:
        return arrays["x_train"], arrays["y_train"]


def deformed(images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Deform each image (of rows × 28 × 28) by itself; what comes from outside is ground."""
    positions = np.clip(_positions(len(images), random), -1, SIDE - 1e-3)
    corner = np.floor(positions).astype(np.int32)
    down, right = np.moveaxis(positions - corner, -1, 0)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float32).ravel()
    width = SIDE + 2
    first = np.arange(len(images), dtype=np.int32)[:, None, None] * width**2
    place = first + (corner[..., 0] + 1) * width + corner[..., 1] + 1
    above = padded[place] * (1 - right) + padded[place + 1] * right
    below = padded[place + width] * (1 - right) + padded[place + width + 1] * right
    return np.rint(above * (1 - down) + below * down).astype(np.uint8)


def _positions(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw where each pixel comes from: images × 28 × 28 × (y, x)."""
    angle, tall, slant, wide, y, x = random.uniform(-1, 1, (6, count)).astype(np.float32)
    sine, cosine = np.sin(angle * ROTATION), np.cos(angle * ROTATION)
    rotation = np.stack([cosine, -sine, sine, cosine], -1).reshape(-1, 2, 2)
    one, none = np.ones_like(tall), np.zeros_like(tall)
    stretch = np.stack([one + tall * SCALING, slant * SHEAR, none, one + wide * SCALING], -1).reshape(-1, 2, 2)
    axis = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    affine = (grid @ np.swapaxes(rotation @ stretch, 1, 2)).reshape(count, SIDE, SIDE, 2) + (SIDE - 1) / 2
    points = random.normal(0, ELASTIC, (count, 2, POINTS, POINTS)).astype(np.float32)
    field = np.moveaxis(_SPREAD @ points @ _SPREAD.T, 1, -1)
    return np.asarray(affine + field + SHIFT * np.stack([y, x], -1)[:, None, None], np.float32)


def _spread() -> NDArray[np.float32]:
    """Give what brings 7 points along a side to 28, by a cubic spline."""
    spline = CubicSpline(np.linspace(0, SIDE - 1, POINTS), np.eye(POINTS))
    return np.asarray(spline(np.arange(SIDE)), np.float32)


_SPREAD = _spread()

if __name__ == "__main__":
    main()
