"""Digits are found in photographs: in any light, on any paper, and only one of them."""

import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from schemas.digits import SIDE
from schemas.errors import InputError
from schemas.rules import DEFAULT_RULES
from tasks.sources import pictures
from tasks.sources.normalization import SeveralDigitsError, normalize

SIZE = 400
DIGITS = {
    "seven": [[(0.2, 0.1), (0.8, 0.1), (0.4, 0.9)]],
    "five with a bar apart": [
        [(0.3, 0.1), (0.3, 0.45), (0.7, 0.5), (0.7, 0.8), (0.3, 0.9)],
        [(0.38, 0.07), (0.8, 0.07)],
    ],
    "four of two strokes": [[(0.4, 0.1), (0.2, 0.55), (0.8, 0.55)], [(0.62, 0.2), (0.62, 0.9)]],
    "zero": [[(0.5, 0.1), (0.75, 0.3), (0.75, 0.7), (0.5, 0.9), (0.25, 0.7), (0.25, 0.3), (0.5, 0.1)]],
}
y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE


def paper(*places, strokes=DIGITS["seven"], pen=16, ink=40, length=200, ground=225):
    """Draw a digit, 200 pixels long, at each place, by default in the middle."""
    page = Image.new("L", (SIZE, SIZE), ground)
    for left, top in places or [(100, 100)]:
        for stroke in strokes:
            points = [(left + length * a, top + length * b) for a, b in stroke]
            ImageDraw.Draw(page).line(points, ink, pen, joint="curve")
    return np.asarray(page, np.float32)


def framed(page):
    page = Image.fromarray(np.uint8(page))
    ImageDraw.Draw(page).polygon([(70, 60), (330, 75), (325, 345), (75, 330)], outline=40, width=8)
    return np.asarray(page, np.float32)


def on_table(page):
    sheet = Image.new("L", (SIZE, SIZE))
    ImageDraw.Draw(sheet).polygon([(40, 30), (370, 50), (350, 370), (30, 360)], 1)
    return np.where(np.asarray(sheet), page, 50 + 10 * np.sin(60 * y)).astype(np.float32)


def ruled(page):
    lined = page.copy()
    lined[20::60] -= 25
    return np.maximum(lined, 0)


KINDS = {
    "soft shadow": lambda page: page * (1 - 0.5 / (1 + np.exp(-(x + y / 2 - 0.7) / 0.03))),
    "falloff": lambda page: page * (1 - 0.6 * x),
    "vignette": lambda page: page * (1 - 1.2 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)),
    "frame": framed,
    "table": on_table,
    "table in the shadow": lambda page: on_table(page) * (1 - 0.5 / (1 + np.exp(-(x - 0.5) / 0.03))),
    "ruled lines": ruled,
    "dark lines": lambda page: np.where((y % 0.8 < 0.01) | (x % 0.8 < 0.01), 60, page),
    "grain": lambda page: page + np.random.default_rng(1).normal(0, 10, page.shape),
    "chalk": lambda page: 255 - page * (1 - 0.4 * x),
    "specks": lambda page: np.where((x > 0.9) & (x < 0.91) & (y > 0.9) & (y < 0.91), 0, page),
    "beside a cut word": lambda page: np.where((x < 0.03) & (y > 0.3) & (y < 0.7), 30, page),
}


def alike(one, other):
    return np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1]


@pytest.mark.parametrize("digit", DIGITS)
@pytest.mark.parametrize("kind", KINDS)
def test_digit_is_the_same_however_it_is_photographed(kind, digit):
    page = paper(strokes=DIGITS[digit])
    photograph = KINDS[kind](page).clip(0, 255).astype(np.float32)
    assert alike(normalize(photograph), normalize(page)) > 0.9


@pytest.mark.parametrize("digit", DIGITS)
@pytest.mark.parametrize("pen", [2, 4, 8])
def test_thin_pens_draw_strokes_as_wide_as_mnists(pen, digit):
    thin, thick = (normalize(paper(strokes=DIGITS[digit], pen=width)) for width in (pen, 28))
    assert alike(thin, thick) > 0.75
    assert thin.mean() > 0.7 * thick.mean()


@pytest.mark.parametrize(
    ("places", "count"),
    [([(0, 100), (200, 100)], 2), ([(100, 0), (100, 200)], 2), ([(-20, 100), (110, 90), (240, 100)], 3)],
)
def test_several_digits_are_counted(places, count):
    page = paper(*places, strokes=DIGITS["zero"], length=180)
    with pytest.raises(SeveralDigitsError, match=f"holds {count} digits; crop one per picture"):
        normalize(page)


@pytest.mark.parametrize("inverted", [False, True], ids=["bright ink", "dark ink"])
def test_digit_that_is_cropped_to_its_ink_is_found(digits, inverted):
    for digit in digits.iloc[:40, 1:].to_numpy(np.uint8).reshape(-1, 28, 28):
        rows, columns = (np.flatnonzero(digit.any(axis=axis)) for axis in (1, 0))
        crop = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        crop = 255 - crop if inverted else crop
        large = Image.fromarray(crop).resize((8 * crop.shape[1], 8 * crop.shape[0]), Image.Resampling.BICUBIC)
        assert alike(normalize(np.asarray(large, np.float32)), digit) > 0.5


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"frame", "beside a cut word"}])
def test_paper_without_ink_is_blank(kind):
    assert not normalize(KINDS[kind](np.full((SIZE, SIZE), 225.0)).clip(0, 255).astype(np.float32)).any()


@pytest.mark.parametrize("shape", [(56, 56), (56, 5000), (5000, 56), (1201, 57)])
@pytest.mark.parametrize("share", [0, 0.001, 0.5])
def test_pictures_of_any_shape_are_normalised_or_refused(shape, share):
    ink = np.random.default_rng(1).random(shape) < share
    try:
        assert normalize(np.where(ink, 20, 220).astype(np.float32)).shape == (SIDE, SIDE)
    except SeveralDigitsError as error:
        assert "crop one per picture" in str(error)  # noqa: PT017, both may be


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "webp", "avif", "heic"])
def test_every_format_of_pictures_is_read(suffix, tmp_path):
    if suffix == "heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    page = paper()
    path = tmp_path / f"seven.{suffix}"
    Image.fromarray(np.uint8(page)).convert("RGB").save(path)
    assert alike(pictures.read_picture(path, DEFAULT_RULES), normalize(page)) > 0.95


def test_animations_are_their_first_frame(tmp_path):
    first, second = Image.fromarray(np.uint8(paper())), Image.new("L", (SIZE, SIZE))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert alike(pictures.read_picture(tmp_path / "a.gif", DEFAULT_RULES), normalize(paper())) > 0.95


def test_refusal_of_several_digits_names_the_file(tmp_path):
    page = paper((0, 100), (200, 100), strokes=DIGITS["zero"], length=180)
    Image.fromarray(np.uint8(page)).save(tmp_path / "two.png")
    with pytest.raises(InputError, match=r"two\.png: holds 2 digits; crop one per picture"):
        pictures.read_picture(tmp_path / "two.png", DEFAULT_RULES)


def test_training_leaves_out_a_picture_of_several_digits_and_names_it(tmp_path):
    (tmp_path / "0").mkdir()
    one, two = paper(strokes=DIGITS["zero"]), paper((0, 100), (200, 100), strokes=DIGITS["zero"], length=180)
    for name, page in (("one", one), ("two", two)):
        Image.fromarray(np.uint8(page)).save(tmp_path / "0" / f"{name}.png")
    frames = pictures.read(tmp_path, DEFAULT_RULES)
    assert frames.train.index.tolist() == ["0/one.png"]
    assert frames.notes == ("1 picture left out (several digits): 0/two.png",)


def test_file_that_is_no_picture_is_named_by_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as without the extra
    (tmp_path / "page.png").write_text("<!DOCTYPE html><html><body>sign in</body></html>")
    with pytest.raises(InputError, match=r"page\.png: not a readable .* picture \(.*HTML"):
        pictures.read_picture(tmp_path / "page.png", DEFAULT_RULES)


def test_heic_picture_without_its_reader_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    with pytest.raises(
        InputError, match=r"photo\.heic: a HEIC picture: pillow-heif isn't installed; install it with pip"
    ):
        pictures.read_picture(tmp_path / "photo.heic", DEFAULT_RULES)
