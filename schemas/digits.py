"""The constants of a digit's image: 28 × 28 pixels, ten classes. Imports nothing, so that any module may import it."""

SIDE = 28
PIXEL_COUNT = SIDE * SIDE
CLASSES = tuple(range(10))
