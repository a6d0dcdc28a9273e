"""Images of other sizes are refused with the repair that helps, which normalises them as pictures are."""

import struct

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from schemas.errors import InputError
from schemas.pixel_frame import labels_of, pixels_of
from schemas.rules import DEFAULT_RULES, Rules
from tasks.sources import datasets, sizes


def load(source, rules):
    datasets.check_headers(source, rules=rules)
    return datasets.load(source, None, rules).train


def npz(images, labels, folder):
    np.savez(folder / "rows.npz", x=images, y=labels)
    return folder / "rows.npz"


def csv(images, labels, folder):
    table = pd.DataFrame(images.reshape(len(images), -1)).assign(label=labels)
    table.to_csv(folder / "rows.csv", index=False, header=False)
    return folder / "rows.csv"


def parquet(images, labels, folder):
    table = pd.DataFrame(images.reshape(len(images), -1)).add_prefix("pixel")
    table.assign(label=labels).to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def lists(images, labels, folder):
    table = pd.DataFrame({"image": list(images.reshape(len(images), -1)), "label": labels})
    table.to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def idx(images, labels, folder):
    header = struct.pack(">4I", 0x803, *images.shape)
    (folder / "train-images-idx3-ubyte").write_bytes(header + images.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, len(labels)) + labels.tobytes())
    return folder


@pytest.mark.parametrize("write", [npz, csv, parquet, lists, idx], ids=lambda write: write.__name__)
def test_padded_images_become_the_original_ones(write, digits, tmp_path):
    few = digits.iloc[:40]
    padded = np.pad(pixels_of(few).reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    source = str(write(padded, labels_of(few), tmp_path))
    with pytest.raises(InputError, match="images of 32 × 32 pixels; 28 × 28 are needed: --repair resize"):
        load(source, DEFAULT_RULES)
    loaded = load(source, Rules(repair=("resize",)))
    assert (loaded["label"].to_numpy() == labels_of(few)).all()
    difference = np.abs(pixels_of(loaded).astype(int) - pixels_of(few)).mean(axis=1)
    assert np.median(difference) < 5


@pytest.mark.parametrize("side", [8, 16, 20])
@pytest.mark.parametrize("scale", [lambda x: x, lambda x: x / 255, lambda x: x // 16, lambda x: x / 127.5 - 1])
def test_small_images_of_any_scale_are_enlarged(side, scale, digits, tmp_path):
    images = pixels_of(digits)[:10].reshape(-1, 28, 28)
    small = np.stack([np.asarray(Image.fromarray(image).resize((side, side))) for image in images])
    source = npz(scale(small), labels_of(digits)[:10], tmp_path)
    loaded = pixels_of(load(str(source), Rules(repair=("resize",))))
    correlations = [np.corrcoef(*pair)[0, 1] for pair in zip(loaded, pixels_of(digits)[:10], strict=True)]
    assert np.mean(correlations) > 0.7


@pytest.mark.parametrize("value", [0, 7, -1, np.nan, np.inf])
def test_images_without_ink_are_blank(value):
    assert not sizes.resize(np.full((2, 64), float(value))).any()
