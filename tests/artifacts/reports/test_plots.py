"""The plots: their texts and data, read from the objects of the figure."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from artifacts.reports import plots
from schemas.images import InMemoryImages
from schemas.results import Mistake
from schemas.training import EpochRecord


def texts(axes):
    return [text.get_text() for text in axes.texts]


def shown(figure):
    """Return the captions of a sheet, and the value of the pixel below each, in the middle of its picture."""
    (axes,) = figure.axes
    middles = [(int(text.get_position()[1]) + 17, int(text.get_position()[0])) for text in axes.texts]
    return texts(axes), [axes.images[0].get_array()[middle] for middle in middles]


def test_the_heatmap_has_every_count_with_true_digits_in_rows():
    matrix = np.diag(np.full(10, 900))
    matrix[4, 9] = 11
    axes = plots.confusion_heatmap(matrix, 0.9878).axes[0]
    assert texts(axes).count("900") == 10
    eleven = next(text for text in axes.texts if text.get_text() == "11")
    assert eleven.get_position() == (9.5, 4.5)  # column 9, row 4
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert "98.78%" in axes.get_title()


def test_a_confusion_of_one_in_a_thousand_is_visible():
    matrix = np.diag(np.full(10, 1000))
    matrix[4, 9] = 1
    mesh = plots.confusion_heatmap(matrix, 0.9999).axes[0].collections[0]
    mesh.update_scalarmappable()
    colors = mesh.get_facecolors().reshape(10, 10, 4)
    assert np.abs(colors[4, 9, :3] - 1).max() > 0.1
    assert colors[4, 9].tolist() != colors[4, 8].tolist()


def test_a_class_without_rows_is_drawn():
    matrix = np.diag([5] * 9 + [0])
    assert plots.png(plots.confusion_heatmap(matrix, 1.0)).startswith(b"\x89PNG")


@pytest.mark.parametrize("held_out", [None, 0.9])
def test_learning_curves_show_training_and_any_held_out_rows(held_out):
    history = [EpochRecord(epoch, 1 / epoch, 1 - 0.3 / epoch, held_out, held_out, 0.1) for epoch in (1, 2, 3)]
    loss, error = plots.learning_curve(history, augmented=True).axes
    labels = ["training, augmented"] if held_out is None else ["training, augmented", "held out"]
    assert [line.get_label() for line in loss.lines] == labels
    assert list(loss.lines[0].get_ydata()) == [1, 1 / 2, 1 / 3]
    assert list(error.lines[0].get_ydata()) == pytest.approx([0.3, 0.15, 0.1])


@pytest.fixture
def images() -> InMemoryImages:
    """Return 24 images whose pixels all have the image's number as value."""
    numbers = np.arange(24, dtype=np.uint8)
    return InMemoryImages(numbers[:, None].repeat(784, axis=1), numbers % 10)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 24])
def test_the_sheet_shows_each_mistake_with_its_labels(count, images):
    figure = plots.mistake_sheet([Mistake(row, 4, 9, 0.987) for row in reversed(range(count))], images)
    assert shown(figure) == (["4 predicted as 9\n98.7% confidence"] * count, list(reversed(range(count))))


def test_sheet_colours_the_ink_by_what_it_speaks_for(images):
    saliency = np.zeros((1, 28, 28), np.float32)
    saliency[0, 4], saliency[0, 24] = 1, -1
    figure = plots.mistake_sheet([Mistake(23, 4, 9, 0.987)], images, saliency)
    left, top = (int(place) for place in figure.axes[0].texts[0].get_position())
    colours = figure.axes[0].images[1].get_array()[top + 3 : top + 31, left]
    assert [max(zip(colours[row], "RGB", strict=False))[1] for row in (4, 24)] == ["R", "B"]
    assert colours[4, 3] > colours[14, 3] == 0


def test_the_sheet_shows_fixed_mistakes_before_new_ones(images):
    comparison = SimpleNamespace(fixed_rows=(3, 7), broken_rows=(15,))
    figure = plots.change_sheet(comparison, images)
    assert shown(figure) == (["fixed\na 3", "fixed\na 7", "newly made\na 5"], [3, 7, 15])


def test_a_plot_is_a_png_of_a_size_for_a_screen(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(plots.png(plots.confusion_heatmap(np.eye(10, dtype=int), 1.0)))
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert 600 < picture.width < 1200


@pytest.mark.parametrize("accuracy", [1.0, 0.95])
def test_a_flat_curve_is_drawn(accuracy):
    history = [EpochRecord(epoch, 0.5, accuracy, 0.5, accuracy, 0.1) for epoch in (1, 2)]
    assert plots.png(plots.learning_curve(history, augmented=False)).startswith(b"\x89PNG")
