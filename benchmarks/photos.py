"""Measure predictions on pictures as people take them: MNIST's test digits, drawn with pens on paper and photographed.

`python benchmarks/photos.py STORE` writes photos.md with the champion of the store. `--training` draws training digits
with another seed and prints the figures instead: the conversion was tuned on those.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from artifacts.store.store import Store
from schemas.errors import InputError
from schemas.rules import DEFAULT_INPUT_RULES
from tasks.prediction.stream import predictor
from tasks.sources import mnist
from tasks.sources.pictures import decode_picture

PAGE = Path(__file__).with_suffix(".md")
SEEDS = {"train": 7, "test": 2024}
N_PICTURES, N_SEVERAL, N_BLANK = 1000, 300, 300
FINE = 6
"""Pixels of a drawing of which the pen's path is taken, for each of MNIST's."""
INKED = 90
"""Brightness above which a pixel of MNIST's is ink."""
MAX_PEN = 1 / 6
"""Widest pen, as a share of the digit's longer side; wider pens close the loops of MNIST's digits."""
INKS = ((25, 25, 30), (30, 45, 120), (60, 60, 65), (120, 25, 30), (20, 80, 50), (95, 95, 95))
"""Black, blue, grey, red and green pens, and a pencil."""

TEMPLATE = """# Pictures as people take them, measured

`python benchmarks/photos.py STORE` writes this page. It draws MNIST's {part} digits again with pens of 2 to 40 px, at
most a sixth of the digit, in 300 to 1,200 px, turned by up to 10°, on four papers, in four lights that take 10 to 60 %,
in a drawn frame or on a dark table, with a camera's blur, noise and JPEG. Each property is drawn at random, so most
pictures have several. The conversion was tuned on training digits with another seed. Seed {seed}; the champion is
{recipe}.

| pictures | number | answered | right among the answered |
|---|--:|--:|--:|
{table}

Of pictures of one digit, {alarms} are refused as several. Of pictures of two to four digits beside each other, some of
which touch, {caught} are. Of papers without a digit or a frame, {blank} become blank images, which aren't predicted.
"""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Kind:
    """What a picture shows and how it was taken; the figures are given for each value."""

    pen: str
    paper: str
    light: str
    around: str

    @classmethod
    def draw(cls, random: np.random.Generator) -> Kind:
        return cls(
            pen=str(random.choice(["2 to 5 px", "5 to 14 px", "14 to 40 px"])),
            paper=str(random.choice(["plain", "grain", "ruled", "squared"])),
            light=str(random.choice(["even", "falloff", "shadow", "vignette"])),
            around=str(random.choice(["nothing", "frame", "table"], p=[0.7, 0.15, 0.15])),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("--training", action="store_true")
    arguments = parser.parse_args()
    page = measure(Store(arguments.store), "train" if arguments.training else "test")
    if arguments.training:
        print(page)
    else:
        PAGE.write_text(page)


def measure(store: Store, part: str) -> str:
    """Return the page."""
    random = np.random.default_rng(SEEDS[part])
    with np.load(mnist.PATH) as archive:
        images, labels = archive[f"x_{part}"], archive[f"y_{part}"]
    kinds = [Kind.draw(random) for _ in range(N_PICTURES)]
    rows = random.choice(len(images), N_PICTURES, replace=False)
    found = [_read(photograph([images[row]], kind, random)) for row, kind in zip(rows, kinds, strict=True)]
    counts = random.integers(2, 5, N_SEVERAL)
    several = [
        _read(photograph(images[random.integers(len(images), size=n)], Kind.draw(random), random)) for n in counts
    ]
    blank = [_read(photograph([], replace(Kind.draw(random), around="nothing"), random)) for _ in range(N_BLANK)]
    champion = predictor(store, store.resolve_version())
    pixels = np.stack([np.zeros(images[0].size, np.uint8) if isinstance(item, str) else item for item in found])
    probabilities = champion.probabilities(pixels)
    is_answered = (probabilities.max(axis=1) >= (champion.threshold or 0)) & pixels.any(axis=1)
    is_right = probabilities.argmax(axis=1) == labels[rows]
    lines = [_row("all", np.ones(N_PICTURES, bool), is_answered, is_right)]
    for field in fields(Kind):
        values = np.array([getattr(kind, field.name) for kind in kinds])
        lines += [
            _row(f"{field.name}: {value}", values == value, is_answered, is_right) for value in dict.fromkeys(values)
        ]
    n_alarms = sum(isinstance(item, str) for item in found)
    n_caught = sum(isinstance(item, str) for item in several)
    return TEMPLATE.format(
        part="training" if part == "train" else part,
        seed=SEEDS[part],
        recipe=store.card(champion.version)["run"],
        table="\n".join(lines),
        alarms=f"{n_alarms:,} of {N_PICTURES:,}",
        caught=f"{n_caught:,} of {N_SEVERAL:,}",
        blank=f"{sum(not isinstance(item, str) and not item.any() for item in blank):,} of {N_BLANK:,}",
    )


def _read(picture: bytes) -> NDArray[np.uint8] | str:
    """Return the pixels of a picture, or why it is refused."""
    try:
        return decode_picture(io.BytesIO(picture), "the picture", DEFAULT_INPUT_RULES).reshape(-1)
    except InputError as error:
        return str(error)


def _row(name: str, rows: NDArray[np.bool_], is_answered: NDArray[np.bool_], is_right: NDArray[np.bool_]) -> str:
    answered = rows & is_answered
    return f"| {name} | {rows.sum():,} | {answered.sum() / rows.sum():.1%} | {is_right[answered].mean():.1%} |"


def photograph(images: Iterable[NDArray[np.uint8]], kind: Kind, random: np.random.Generator) -> bytes:
    """Return a JPEG of digits that were written beside each other."""
    paths = [trace(image) for image in images]
    side = int(random.integers(300, 1201))
    coverage, length = _draw_ink(paths, side, kind, random)
    ink_contrast = random.uniform(0.75, 1)
    paper = _draw_paper(side, kind.paper, length, random)
    ink = np.array(INKS[random.integers(len(INKS))], np.float32)
    share = coverage[..., None] * np.float32(ink_contrast)
    scene = paper * (1 - share) + ink * share
    if kind.around == "table":
        scene = _lay_on_table(scene, random)
    scene = scene * _light(side, kind.light, random)[..., None]
    scene = ndimage.gaussian_filter(scene, (*[random.uniform(0, side / 800)] * 2, 0))
    scene += random.normal(0, random.uniform(0, 6), scene.shape)
    file = io.BytesIO()
    Image.fromarray(np.uint8(np.clip(scene, 0, 255))).save(file, "JPEG", quality=int(random.integers(35, 96)))
    return file.getvalue()


def trace(image: NDArray[np.uint8]) -> list[Floats]:
    """Return the path of the pen that drew an image, as segments (2 points × 2 coordinates) of a digit 1 long."""
    fine = Image.fromarray(image).resize((image.shape[1] * FINE, image.shape[0] * FINE), Image.Resampling.BICUBIC)
    skeleton = thin(ndimage.binary_opening(np.asarray(fine) > INKED, iterations=1))
    points = np.argwhere(skeleton)
    number = np.full(skeleton.shape, -1)
    number[tuple(points.T)] = np.arange(len(points))
    pairs = [
        (number[y, x], number[y + dy, x + dx])
        for y, x in points
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1))
        if number[y + dy, x + dx] >= 0
    ]
    pairs = pairs or [(0, 0)]
    smooth = _smooth(points.astype(np.float32), np.array(pairs))
    smooth = (smooth - smooth.min(axis=0)) / max(float(np.ptp(smooth, axis=0).max()), 1.0)
    smooth -= smooth.max(axis=0) / 2
    return [smooth[list(pair)] for pair in pairs]


def _smooth(points: Floats, pairs: NDArray[np.int64], rounds: int = 8) -> Floats:
    """Move each inner point of a path to the middle of its neighbours, several times."""
    degree = np.bincount(pairs.ravel(), minlength=len(points))
    for _ in range(rounds):
        total = np.zeros_like(points)
        np.add.at(total, pairs[:, 0], points[pairs[:, 1]])
        np.add.at(total, pairs[:, 1], points[pairs[:, 0]])
        inner = degree >= 2  # noqa: PLR2004, an end has one neighbour
        points = np.where(inner[:, None], (points + total / np.maximum(degree, 1)[:, None]) / 2, points)
    return points.astype(np.float32)


def thin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin strokes to lines of one pixel, by the algorithm of Zhang and Suen (1984)."""
    mask = np.pad(mask, 1)
    while True:
        before = mask.sum()
        for one, two in (((0, 2, 4), (2, 4, 6)), ((0, 2, 6), (0, 4, 6))):
            shifts = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
            around = np.stack([np.roll(mask, (-dy, -dx), (0, 1)) for dy, dx in shifts])
            n_neighbours = around.sum(axis=0)
            n_changes = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
            is_edge = ~around[list(one)].all(axis=0) & ~around[list(two)].all(axis=0)
            mask = mask & ~((n_neighbours >= 2) & (n_neighbours <= 6) & (n_changes == 1) & is_edge)  # noqa: PLR2004
        if mask.sum() == before:
            return mask


def _draw_ink(paths: list[list[Floats]], side: int, kind: Kind, random: np.random.Generator) -> tuple[Floats, float]:
    """Return how much ink covers each pixel, and a digit's length."""
    on_table = kind.around == "table"
    length = side * random.uniform(0.3, 0.45 if on_table else 0.75) / (1.05 * len(paths) if len(paths) > 1 else 1)
    narrow, wide = (int(word) for word in kind.pen.replace(" px", "").split(" to "))
    pen = min(math.exp(random.uniform(math.log(narrow), math.log(wide))), length * MAX_PEN)
    turn = math.radians(random.uniform(-10, 10))
    middle = side / 2 + random.uniform(-0.06, 0.06, 2) * side
    size = 2 * side  # drawn at twice the size, for smooth edges
    picture = Image.new("L", (size, size))
    canvas = ImageDraw.Draw(picture)
    for position, path in enumerate(paths):
        offset = (position - (len(paths) - 1) / 2) * length * 1.1
        for segment in path:
            _stroke(canvas, _turn(segment * length + (0, offset), turn) + middle, pen)
    if kind.around == "frame":
        half = min(length * (len(paths) / 2 + random.uniform(0.12, 0.35)), side * 0.47)
        corners = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)]) * half * random.uniform(0.97, 1.03, (4, 2))
        _draw_frame(canvas, _turn(corners, turn) + middle, max(pen * random.uniform(0.6, 1.2), 2))
    coverage = np.asarray(picture.resize((side, side), Image.Resampling.BOX), np.float32) / np.float32(255)
    return coverage, length


def _stroke(canvas: ImageDraw.ImageDraw, points: NDArray[np.floating], pen: float) -> None:
    """Draw a segment with round ends."""
    (y0, x0), (y1, x1) = points * 2
    canvas.line((x0, y0, x1, y1), 255, round(2 * pen))
    for y, x in ((y0, x0), (y1, x1)):
        canvas.ellipse((x - pen, y - pen, x + pen, y + pen), 255)


def _turn(points: NDArray[np.floating], angle: float) -> NDArray[np.floating]:
    cos, sin = math.cos(angle), math.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]], np.float32)


def _draw_frame(canvas: ImageDraw.ImageDraw, corners: NDArray[np.floating], pen: float) -> None:
    for one, two in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        _stroke(canvas, np.stack([one, two]), pen)


def _draw_paper(side: int, paper: str, length: float, random: np.random.Generator) -> Floats:
    """Return paper (side × side × 3): white to yellowish, with grain or printed lines."""
    tint = random.uniform(200, 250) - np.sort(random.uniform(0, 25, 3))
    page = np.broadcast_to(tint.astype(np.float32), (side, side, 3)).copy()
    if paper == "grain":
        grain = random.normal(0, 1, (side, side)).astype(np.float32)
        grain = ndimage.gaussian_filter(grain, random.uniform(0.5, 2))
        page += (grain / grain.std() * random.uniform(3, 9))[..., None]
    if paper in {"ruled", "squared"}:
        step = length * random.uniform(0.5, 1.2)
        width, start, contrast = (
            random.uniform(1, max(1.5, side / 300)),
            random.uniform(0, step),
            random.uniform(0.08, 0.25),
        )
        position = np.arange(side, dtype=np.float32)
        line = np.clip(width / 2 + 0.5 - np.abs((position - start + step / 2) % step - step / 2), 0, 1)
        lines = np.maximum(line[:, None], line[None, :]) if paper == "squared" else np.tile(line[:, None], (1, side))
        colour = np.array(random.choice(np.array([(1, 0.8, 0.5), (1, 1, 1)])), np.float32)  # blue or grey
        page *= 1 - np.float32(contrast) * lines[..., None] * colour
    return page


def _lay_on_table(scene: Floats, random: np.random.Generator) -> Floats:
    """Cut the paper, and lay it on a dark table with a grain of wood."""
    side = len(scene)
    margins = random.uniform(0.04, 0.16, 4) * side
    top, left, bottom, right = margins[0], margins[1], side - margins[2], side - margins[3]
    corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)], np.float32)
    turn = math.radians(random.uniform(-6, 6))
    corners = _turn(corners - side / 2, turn) + side / 2
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for y, x in corners], 255)
    paper = np.asarray(mask.filter(ImageFilter.GaussianBlur(1)), np.float32)[..., None] / 255
    grain = ndimage.gaussian_filter(random.normal(0, 1, (side, side)), (1, side / 20))
    table = np.array([random.uniform(40, 90)] * 3) * [1, 0.8, 0.6] + (grain / grain.std() * 6)[..., None]
    return np.asarray(scene * paper + table * (1 - paper), np.float32)


def _light(side: int, light: str, random: np.random.Generator) -> Floats:
    """Return the share of the light that reaches each pixel."""
    y, x = (np.mgrid[0:side, 0:side] / side - 0.5).astype(np.float32)
    loss = random.uniform(0.1, 0.6)
    angle = random.uniform(0, 2 * math.pi)
    along = x * math.cos(angle) + y * math.sin(angle)
    if light == "falloff":
        return np.asarray(1 - loss * (along - along.min()) / np.ptp(along), np.float32)
    if light == "vignette":
        return np.asarray(1 - loss * (x**2 + y**2) / 0.5, np.float32)
    if light == "shadow":  # of a hand or a phone: one side of a soft, curved edge
        across = -x * math.sin(angle) + y * math.cos(angle)
        edge = along + random.uniform(-0.8, 0.8) * across**2 - random.uniform(-0.3, 0.3)
        return np.asarray(1 - loss / (1 + np.exp(-edge / random.uniform(0.01, 0.08))), np.float32)
    return np.ones((side, side), np.float32)


if __name__ == "__main__":
    main()
