"""Pictures of digits of any size, colour and ground are brought to MNIST's form."""

import numpy as np
import pytest
from PIL import Image

from schemas.digits import SIDE
from schemas.pixel_frame import pixels_of
from schemas.rules import DEFAULT_RULES
from tasks.sources.normalization import normalize
from tasks.sources.pictures import read_picture


@pytest.fixture(scope="module")
def images(digits):
    return pixels_of(digits).reshape(-1, SIDE, SIDE)


def alike(one, other):
    return np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1]


def test_pictures_in_mnists_form_are_unchanged(images):
    assert all((normalize(image.astype(np.float32)) == image).all() for image in images)


def test_pictures_in_mnists_form_with_dark_ink_are_only_inverted(images):
    assert all((normalize(255 - image.astype(np.float32)) == image).all() for image in images[:100])


def enlarged(image, side, *, ground=0, ink=255, shift=0):
    """Draw a digit large and off the centre, with this ground and ink."""
    wide = np.zeros((40, 40), np.uint8)
    wide[2 + shift : 2 + shift + SIDE, 9 - shift : 9 - shift + SIDE] = image
    large = Image.fromarray(wide).resize((side, side), Image.Resampling.BICUBIC)
    return Image.fromarray(np.uint8(ground + np.asarray(large) / 255 * (ink - ground)))


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("large.png", lambda image: enlarged(image, 300)),
        ("paper.jpg", lambda image: enlarged(image, 400, ground=230, ink=40)),
        ("shadow.bmp", lambda image: enlarged(image, 97, ground=120, ink=20, shift=5)),
        ("small.png", lambda image: enlarged(image, 36)),
        (
            "colour.png",
            lambda image: Image.merge("RGB", [enlarged(image, 200, ground=g, ink=10) for g in (250, 240, 180)]),
        ),
        ("palette.png", lambda image: enlarged(image, 200, ground=255, ink=0).convert("P")),
        ("one_bit.png", lambda image: enlarged(image, 200, ground=255, ink=0).convert("1")),
        ("deep.png", lambda image: Image.fromarray(np.asarray(enlarged(image, 200)).astype(np.uint16) * 257)),
        ("grain.png", lambda image: grainy(enlarged(image, 200, ground=230, ink=40))),
        ("shade.png", lambda image: shaded(enlarged(image, 200, ground=230, ink=40))),
        ("speck.png", lambda image: specked(enlarged(image, 200, ground=255, ink=0))),
        ("pale.png", lambda image: Image.fromarray(image // 5)),
        ("clear.png", lambda image: transparent(enlarged(image, 200), 0)),
        ("clear_white.png", lambda image: transparent(enlarged(image, 200), 255)),
    ],
)
def test_other_pictures_are_brought_to_mnists_form(name, made, images, tmp_path):
    likenesses = []
    for image in images[:20]:
        made(image).save(tmp_path / name)
        found = read_picture(tmp_path / name, DEFAULT_RULES)
        assert found.shape == (SIDE, SIDE)
        assert found.dtype == np.uint8
        assert found[[0, -1]].max() < 64, "ink is bright and the ground dark"
        likenesses.append(alike(found, image))
    assert np.median(likenesses) > 0.9


def grainy(picture):
    """Add noise, as a camera does."""
    noise = np.random.default_rng(1).normal(0, 12, (200, 200))
    return Image.fromarray(np.uint8(np.clip(np.asarray(picture) + noise, 0, 255)))


def shaded(picture):
    """Darken towards one side, as a lamp does."""
    return Image.fromarray(np.uint8(np.clip(np.asarray(picture) - np.linspace(0, 40, 200), 0, 255)))


def specked(picture):
    """Put a black pixel far from the digit."""
    values = np.array(picture)
    values[195, 5] = 0
    return Image.fromarray(values)


def transparent(ink, brightness):
    """Return ink of a brightness on a transparent ground."""
    picture = Image.new("LA", ink.size, brightness)
    picture.putalpha(ink)
    return picture


def test_exif_orientation_of_pictures_is_applied(images, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # was held upright, is stored on its side
    upright = enlarged(images[0], 200, ground=255, ink=0)
    upright.rotate(90, expand=True).save(tmp_path / "side.jpg", exif=exif)
    assert alike(read_picture(tmp_path / "side.jpg", DEFAULT_RULES), images[0]) > 0.85


def test_pictures_keep_proportions_and_are_centred_by_mass():
    tall = np.zeros((300, 200), np.float32)
    tall[20:220, 150:180] = 255
    found = normalize(tall)
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    assert (len(rows), len(columns)) == (20, 3)
    assert abs(rows.mean() - 14) <= 0.5
    assert abs(columns.mean() - 14) <= 0.5


def test_a_picture_without_contrast_is_blank():
    assert not normalize(np.full((50, 50), 200, np.float32)).any()
    assert not normalize(np.tile(np.float32([200, 205]), (50, 25))).any()
