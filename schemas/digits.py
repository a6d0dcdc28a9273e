"""What an image of a digit is: 28 × 28 pixels, one of ten classes. Imports nothing, so that anything may import it."""

SIDE = 28
PIXEL_COUNT = SIDE * SIDE
CLASSES = tuple(range(10))
