"""Find the digit in a photograph or drawing: the paper, the light on it, the ink, and which of it is the digit.

Each step is a function: paper, background, mask of the ink, digits, stroke width. Lengths are in pixels of a picture
that `resample` brought to a size at which the steps take some 20 ms and a thin pen's stroke still is a pixel wide.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

WORK = 640
"""Most pixels of a side at which ink is found."""
MIN_WORK = 160
"""Least pixels of the longer side: a smaller picture is enlarged, so that its edges keep their place in the mask."""
GRAIN = 0.8
"""Pixels over which a small picture is averaged: it may have grain, or consist of dots."""
EVEN, MIN_EVEN = 0.1, 0.5
"""Difference from paper, as a share of the most, up to which light is even, and the least share of such a border."""
CUT, MIN_CUT_SIDES = 0.15, 3
"""Difference, as such a share, from which a pixel is ink, and the sides of the picture that a cropped digit touches."""
MARGIN = 0.3
"""Width of the margin that is added, as a share of the longer side."""
THUMBNAIL = 80
"""Pixels of the longer side of the picture that shows paper and light: no grain, hardly any ink."""
WINDOW = 0.17
"""Width of a stroke at most, as a share of the longer side; wider dark areas are shadow or table."""
SURROUNDINGS = 0.4
"""Width of a stroke's surroundings as a share of the longer side: ink covers less than half of them."""
CLEAN = 0.9
"""Share of its surroundings' brightness from which a pixel of the thumbnail shows no ink."""
BLUR, MIN_WEIGHT = 2.0, 0.05
"""Pixels of the thumbnail over which light is averaged, and the share of paper among them that is enough for it."""
MAX_TABLE = 0.7
"""Brightness of a table at most, as a share of the paper's."""
N_LEVELS = 8
"""Number of brightnesses that are tried to separate paper from a table."""
PAPER_AREA, PAPER_BORDER = (0.2, 0.95), 0.3
"""Shares of the picture that paper on a table covers, and of the picture's border at most."""
PAPER_FILL = 0.87
"""Share of its smallest rectangle that paper fills at least; a bright 0 fills four fifths."""
MAX_INK = 0.35
"""Share of a paper that its ink covers at most."""
LEVEL_SHARE = 0.0004
"""Share of the darkest pixels that give the ink's level: fewer than the thinnest pen draws, more than specks."""
THRESHOLD = 0.42
"""Share of the ink's level from which a pixel is ink: printed lines and blurred edges are fainter."""
NOISE = 5
"""Standard deviations of the paper's grain up to which nothing is ink."""
GAP = 0.08
"""Half the gap that a broken stroke may have, as a share of the longest piece."""
MAX_FRAME = 0.5
"""Share of a frame and what is in it that the frame itself covers at most."""
MIN_LENGTH = 0.15
"""Length of a digit at least, as a share of the picture's, for what touches the picture's edge to be left out."""
MIN_DIGIT = 0.07
"""Length of a digit at least, as such a share: shorter pieces alone are grain."""
MIN_EDGE = 0.03
"""Change of ink from a pixel to the next at the edges of strokes at least; what light leaves of a shadow is softer."""
SPECK = 0.12
"""Length of a speck at most, as a share of the longest piece."""
DIGIT = 0.5
"""Height of another digit at least, as a share of the highest: the bar of a 5 is lower."""

WIDE, HIGH = 0.9, 0.7
"""Width of several digits at least, and height of each, as shares of their joint height."""

_T = TypeVar("_T", np.float32, np.bool_)
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box: TypeAlias = "tuple[slice[int, int, None], slice[int, int, None]]"


def resample(brightness: Floats) -> Floats:
    """Bring a picture to a size of work."""
    longest = max(brightness.shape)
    picture = Image.fromarray(brightness)
    if longest > WORK:
        return np.asarray(picture.reduce(math.ceil(longest / WORK)), np.float32)
    factor = math.ceil(MIN_WORK / longest)
    enlarged = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.BICUBIC)
    smooth = ndimage.gaussian_filter(np.asarray(enlarged), GRAIN * factor)
    return np.asarray(smooth, np.float32)


def with_margin(brightness: Floats) -> Floats:
    """Add a margin of paper to a digit that was cropped to its ink: the next steps need paper around the ink."""
    paper = np.median(border(brightness))
    difference = np.abs(brightness - paper)
    most = difference.max()
    sides = difference[0], difference[-1], difference[:, 0], difference[:, -1]
    is_even = (border(difference) < EVEN * most).mean() > MIN_EVEN
    if not is_even or sum(side.max() > CUT * most for side in sides) < MIN_CUT_SIDES:
        return brightness
    return np.pad(brightness, round(MARGIN * max(brightness.shape)), constant_values=paper)


def crop_to_paper(brightness: Floats) -> Floats:
    """Return the part of a picture that shows a bright paper on a dark table, its margin painted like paper.

    Without such a paper, return the picture.
    """
    small = _shrink(brightness)
    table, brightest = float(np.median(border(small))), float(small.max())
    if table > MAX_TABLE * brightest:
        return brightness
    papers = [_bright_part(small > level) for level in np.linspace(table, brightest, N_LEVELS + 2)[1:-1]]
    best = max(papers, key=_paper_fill)
    inner = ndimage.binary_erosion(best, iterations=2)
    if _paper_fill(best) < PAPER_FILL or not inner.any():
        return brightness
    where = np.asarray(Image.fromarray(inner).resize((brightness.shape[1], brightness.shape[0]))).astype(bool)
    nearest = ndimage.distance_transform_edt(~inner, return_distances=False, return_indices=True)
    light = _resize(_light(small[tuple(nearest)]), brightness.shape)
    box: Box = ndimage.find_objects(where.astype(np.uint8))[0]
    return np.asarray(np.where(where, brightness, light)[box], np.float32)


def _bright_part(bright: Mask) -> Mask:
    """Return the largest bright part, filled; nothing if a third of it are holes, as in a bright 0."""
    if not bright.any():
        return bright
    parts, _ = ndimage.label(bright)
    part = parts == np.bincount(parts[bright]).argmax()
    filled = ndimage.binary_fill_holes(part)
    return filled if part.sum() > (1 - MAX_INK) * filled.sum() else np.zeros_like(part)


def _paper_fill(paper: Mask) -> float:
    """Return the share of its smallest rectangle that a paper fills; 0 for what can't be paper on a table."""
    least, most = PAPER_AREA
    is_paper = least <= paper.mean() <= most and border(paper).mean() <= PAPER_BORDER
    return _fill(paper) if is_paper else 0


def _fill(mask: Mask) -> float:
    """Return the share of its smallest rectangle, at any angle, that a mask fills."""
    points = np.argwhere(mask & ~ndimage.binary_erosion(mask)).astype(np.float32)
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:  # a line
        return 0
    angles = np.radians(np.arange(0, 90, 2))
    turns = np.stack([np.cos(angles), np.sin(angles)]), np.stack([-np.sin(angles), np.cos(angles)])
    height, width = (np.ptp(corners @ turn, axis=0) + 1 for turn in turns)
    return float(mask.sum() / (height * width).min())


def _shrink(brightness: Floats, side: int = THUMBNAIL) -> Floats:
    factor = max(1, math.ceil(max(brightness.shape) / side))
    return np.asarray(Image.fromarray(brightness).reduce(factor), np.float32)


def _light(small: Floats) -> Floats:
    """Return the brightness that paper without ink would have, from a thumbnail with dark ink on it."""
    window = max(3, round(WINDOW * max(small.shape)) | 1)
    closed = ndimage.grey_closing(small, (window, window), mode="nearest")
    is_paper = (small > CLEAN * closed).astype(np.float32)
    weight = ndimage.gaussian_filter(is_paper, BLUR, mode="nearest")
    mean = ndimage.gaussian_filter(small * is_paper, BLUR, mode="nearest") / np.maximum(weight, 1e-6)
    light = np.where(weight > MIN_WEIGHT, np.minimum(mean, closed), closed)  # the mean blurs the edge of a shadow
    return np.asarray(light, np.float32)


def _resize(values: Floats, shape: tuple[int, ...]) -> Floats:
    height, width = shape
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR), np.float32)


def subtract_background(brightness: Floats) -> Floats:
    """Return how much ink each pixel has, from 0 to 1, whatever the light on it."""
    if _has_bright_ink(brightness):
        brightness = 255 - brightness
    light = np.maximum(_resize(_light(_shrink(brightness)), brightness.shape), 1)
    return np.clip(1 - brightness / light, -1, 1)


def _has_bright_ink(brightness: Floats) -> bool:
    """Check whether the ink is brighter than its surroundings, as chalk is."""
    small = _shrink(brightness, THUMBNAIL // 3)  # a median takes long
    window = round(SURROUNDINGS * max(small.shape)) | 1
    around = ndimage.median_filter(small, (window, window), mode="nearest")
    difference = brightness - _resize(around, brightness.shape)
    n_most = _n_level(brightness)
    ordered = np.partition(difference.ravel(), (n_most, -n_most))
    return bool(ordered[-n_most:].mean() > -ordered[:n_most].mean())


def _n_level(values: Floats) -> int:
    return max(12, round(LEVEL_SHARE * values.size))


def border(values: NDArray[_T]) -> NDArray[_T]:
    """Return the pixels at the border."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def ink_mask(ink: Floats, min_contrast: float) -> Mask:
    """Return which pixels are ink: the dark ones, above the paper's grain, the lines printed on it, and faint edges."""
    n_darkest = _n_level(ink)
    level = float(np.partition(ink.ravel(), -n_darkest)[-n_darkest:].mean())
    grain = 1.4826 * float(np.median(np.abs(ink)))
    if level < max(min_contrast, NOISE * grain):
        return np.zeros(ink.shape, bool)
    return ink > max(THRESHOLD * level, min(NOISE * grain, 0.7 * level))


def digits(ink: Floats, mask: Mask) -> list[Mask]:
    """Return the mask of each digit, without soft edges, specks, lines, frames and what the picture's edge cuts off."""
    pieces, n_pieces = ndimage.label(mask, np.ones((3, 3)))
    boxes = ndimage.find_objects(pieces)
    lengths = np.array([_length(box) for box in boxes])
    sharp = _edges(ink, pieces, n_pieces) >= MIN_EDGE
    kept = [number for number in np.flatnonzero(sharp).tolist() if not _spans(boxes[number], mask.shape)]
    kept = [number for number in kept if not _is_frame(pieces, number, boxes)]
    inside = [number for number in kept if not _touches(boxes[number], mask.shape)]
    if inside and lengths[inside].max() > MIN_LENGTH * max(mask.shape):
        kept = inside
    longest = lengths[kept].max(initial=0)
    if longest < MIN_DIGIT * max(mask.shape):
        return []
    kept = [number for number in kept if lengths[number] >= SPECK * longest]
    return _group(np.isin(pieces, np.array(kept) + 1), longest)


def _edges(ink: Floats, pieces: NDArray[np.int32], n_pieces: int) -> NDArray[np.floating]:
    """Return how much the ink changes at the edge of each piece."""
    if not n_pieces:
        return np.empty(0)
    around = tuple(
        slice(max(part.start - 4, 0), part.stop + 4) for part in ndimage.find_objects((pieces > 0).astype(np.uint8))[0]
    )
    ink, pieces = ink[around], pieces[around]  # a part takes less time
    edge = np.where(ndimage.binary_erosion(pieces), 0, pieces)
    change = ndimage.gaussian_gradient_magnitude(ink, 1)
    return np.asarray(ndimage.median(change, edge, np.arange(1, n_pieces + 1)))


def _group(mask: Mask, longest: float) -> list[Mask]:
    """Join pieces that are close to each other into digits; leave out low ones that are far from all."""
    mask = mask[ndimage.find_objects(mask.astype(np.uint8))[0]]
    near = ndimage.distance_transform_edt(~mask) <= GAP * longest
    groups = _boxed_parts(near, mask)
    highest = max(_height(box) for _, box in groups)
    return [digit for group, box in groups if _height(box) >= DIGIT * highest for digit in _split(group, box)]


def _split(group: Mask, box: Box) -> list[Mask]:
    """Return the digits of a group that is wider than a digit, if its high pieces stand beside each other."""
    height, columns = _height(box), box[1]
    if columns.stop - columns.start <= WIDE * height:
        return [group]
    pieces = [(piece, part) for piece, part in _boxed_parts(group, group) if _height(part) >= HIGH * height]
    pieces.sort(key=lambda pair: pair[1][1].start)
    are_apart = all(one[1].stop <= two[1].start for (_, one), (_, two) in pairwise(pieces))
    return [piece for piece, _ in pieces] if are_apart and len(pieces) > 1 else [group]


def _boxed_parts(near: Mask, mask: Mask) -> list[tuple[Mask, Box]]:
    """Return the parts of a mask that are near each other, and their boxes."""
    parts, _ = ndimage.label(near, np.ones((3, 3)))
    parts = np.where(mask, parts, 0)
    boxes = ndimage.find_objects(parts)
    return [(parts == number + 1, box) for number, box in enumerate(boxes)]


def _height(box: Box) -> int:
    return box[0].stop - box[0].start


def _length(box: Box) -> int:
    return max(part.stop - part.start for part in box)


def _touches(box: Box, shape: tuple[int, ...]) -> bool:
    return any(part.start == 0 or part.stop == side for part, side in zip(box, shape, strict=True))


def _spans(box: Box, shape: tuple[int, ...]) -> bool:
    """Check whether a piece goes from edge to edge, as printed lines do; a digit cropped to its ink gets a margin."""
    return any(part.start == 0 and part.stop == side for part, side in zip(box, shape, strict=True))


def _is_frame(pieces: NDArray[np.int32], number: int, boxes: list[Box]) -> bool:
    """Check whether a piece goes around another one, of a fifth of its length, at a distance, as a digit never does."""
    box = boxes[number]
    others = [other for other in boxes if other != box and _length(other) >= _length(box) / 5]
    if not any(all(o.start > b.start and o.stop < b.stop for o, b in zip(other, box, strict=True)) for other in others):
        return False
    around = pieces[box] == number + 1
    filled = ndimage.binary_fill_holes(around)
    return _fill(filled) >= PAPER_FILL and float(around.sum()) < MAX_FRAME * filled.sum()


def with_stroke_width(mask: Mask, box_side: int, width: float) -> Mask:
    """Return the digit's box, its strokes widened so that they are `width` wide once the box is scaled to a side."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    digit: Mask = mask[box]
    length = _length(box)
    inside = ndimage.distance_transform_edt(np.pad(digit, 1))
    stroke = 4 * float(inside[inside > 0].mean()) - 2  # the distance is a quarter of the width on average
    radius = (width * length - box_side * stroke) / (2 * (box_side - width))
    if radius <= 0:
        return digit
    wider = np.pad(digit, math.ceil(radius))
    return np.asarray(ndimage.distance_transform_edt(~wider) <= radius)
