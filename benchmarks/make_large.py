"""Make a data set of any size: MNIST's training digits, deformed at random, as Parquet shards.

`python benchmarks/make_large.py --rows 8100000 --out FOLDER` makes as many as MNIST8M has. Each row is one of 60,000
digits with its label, deformed by a random affine map and elastic field of its own (Simard, Steinkraus, Platt 2003).
The seed decides every row, however the rows are cut into shards. Memory holds one shard per core.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from timing import load_digits

SIDE = 28
COLUMNS = ("label", *(f"pixel{number}" for number in range(SIDE * SIDE)))
SHARD = "digits-{}.parquet"
ROW_GROUP = 50_000
GROUP = 512
"""Rows that are drawn together; a shard may begin and end anywhere in a group."""
POINTS = 7
"""Of the elastic field, along each side."""
ROTATION, SCALING, SHEAR, SHIFT, ELASTIC = math.radians(9), 0.08, 0.09, 0.9, 0.7
"""The largest turn, stretch, slope and move in pixels, and the standard deviation of the field's points in pixels.

Those of the recipe `best`, which were found on held-out digits (see RECIPES.md).
"""


class Shard(NamedTuple):
    """A shard to write: its path, and which of the seed's rows it has."""

    path: Path
    start: int
    stop: int
    seed: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the shards, one per core at a time, and print how many rows, shards and bytes there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True, help="a folder, created if it isn't there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-rows", type=int, default=100_000, help="rows per shard (default 100,000)")
    options = parser.parse_args(arguments)
    if min(options.rows, options.shard_rows) < 1:
        parser.error("--rows and --shard-rows are at least 1")
    shards = plan(options.out, options.rows, options.seed, options.shard_rows)
    others = sorted({*options.out.glob(SHARD.format("*"))} - {shard.path for shard in shards})
    if others:
        parser.error(f"--out {options.out}: {others[0].name} is of another data set; name an empty folder")
    options.out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sizes = [*pool.map(write, shards)]
    json.dump({"rows": options.rows, "shards": len(sizes), "bytes": sum(sizes)}, sys.stdout)


def plan(folder: Path, rows: int, seed: int, shard_rows: int) -> list[Shard]:
    return [
        Shard(folder / SHARD.format(f"{number:05}"), start, min(start + shard_rows, rows), seed)
        for number, start in enumerate(range(0, rows, shard_rows))
    ]


def write(shard: Shard) -> int:
    """Write a shard, whole or not at all; return its size in bytes."""
    table = np.empty((len(COLUMNS), shard.stop - shard.start), np.uint8)  # column after column, as in Parquet
    done = 0
    for labels, pixels in _groups(shard):
        table[0, done : done + len(labels)] = labels
        table[1:, done : done + len(labels)] = pixels.T
        done += len(labels)
    new = shard.path.with_name(f".{shard.path.name}.new")
    columns = pa.table(dict(zip(COLUMNS, table, strict=True)))
    pq.write_table(columns, new, row_group_size=ROW_GROUP, compression="snappy")
    return new.replace(shard.path).stat().st_size


def _groups(shard: Shard) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Draw the groups that have rows of a shard; yield those rows."""
    for number in range(shard.start // GROUP, -(-shard.stop // GROUP)):
        labels, pixels = draw(number, shard.seed)
        within = slice(max(shard.start - number * GROUP, 0), shard.stop - number * GROUP)
        yield labels[within], pixels[within]


def draw(number: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a group of rows: labels, and pixels (rows × 784)."""
    random = np.random.default_rng([seed, number])
    digits = _digits()
    chosen = random.integers(len(digits.y_train), size=GROUP)
    return digits.y_train[chosen], deform(digits.x_train[chosen], random).reshape(GROUP, -1)


_digits = cache(load_digits)


def deform(images: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Deform each image (of rows × 28 × 28) by itself; outside of it is background."""
    positions = np.clip(_positions(len(images), random), -1, SIDE - 1e-3)
    corner = np.floor(positions).astype(np.int32)
    down, right = np.moveaxis(positions - corner, -1, 0)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1))).astype(np.float32).ravel()
    width = SIDE + 2
    first = np.arange(len(images), dtype=np.int32)[:, None, None] * width**2
    index = first + (corner[..., 0] + 1) * width + corner[..., 1] + 1
    above = padded[index] * (1 - right) + padded[index + 1] * right
    below = padded[index + width] * (1 - right) + padded[index + width + 1] * right
    return np.asarray(np.rint(above * (1 - down) + below * down), np.uint8)


def _positions(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw where each pixel is taken from: images × 28 × 28 × (y, x)."""
    angle, tall, slant, wide, y, x = random.uniform(-1, 1, (6, count)).astype(np.float32)
    sine, cosine = np.sin(angle * ROTATION), np.cos(angle * ROTATION)
    rotation = np.stack([cosine, -sine, sine, cosine], -1).reshape(-1, 2, 2)
    one, zero = np.ones_like(tall), np.zeros_like(tall)
    stretch = np.stack([one + tall * SCALING, slant * SHEAR, zero, one + wide * SCALING], -1).reshape(-1, 2, 2)
    axis = np.arange(SIDE, dtype=np.float32) - (SIDE - 1) / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    affine = (grid @ np.swapaxes(rotation @ stretch, 1, 2)).reshape(count, SIDE, SIDE, 2) + (SIDE - 1) / 2
    points = random.normal(0, ELASTIC, (count, 2, POINTS, POINTS)).astype(np.float32)
    field = np.moveaxis(_interpolation() @ points @ _interpolation().T, 1, -1)
    return np.asarray(affine + field + SHIFT * np.stack([y, x], -1)[:, None, None], np.float32)


@cache
def _interpolation() -> NDArray[np.float32]:
    """Return the matrix that interpolates 7 points along a side to 28 by a cubic spline."""
    spline = CubicSpline(np.linspace(0, SIDE - 1, POINTS), np.eye(POINTS))
    return np.asarray(spline(np.arange(SIDE)), np.float32)


if __name__ == "__main__":
    main()
