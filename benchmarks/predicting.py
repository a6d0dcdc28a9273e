"""Measure predicting: the project beside a plain `model.predict` script, and what memory a million images take."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
from contenders.laps import MNIST
from entrants import SCRIPTS
from processes import run
from records import Predicting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS, MANY = 50_000, 1_000_000
ENGINE, ENGINE_MANY = "engine", "engine_million"
KERAS, KERAS_TUNED = "keras_predict", "keras_predict_4096"
TITLES = {
    ENGINE: "`predict`: verify, load, stream, check, answer, write",
    KERAS: "Keras script: load, `model.predict` (batch 32), write",
    KERAS_TUNED: "the same, `batch_size=4096`",
    ENGINE_MANY: "`predict`, a million images",
}


class Predictings:
    """Runs of predicting, each in a process of its own, on images kept in a folder, by a store's champion."""

    def __init__(self, folder: Path, store: Path) -> None:
        """Write the images: MNIST's training digits, and as many of them over and over as make a million."""
        self._store, self._folder = store, folder
        with np.load(MNIST) as arrays:
            images = arrays["x_train"][:ROWS]
        self._images = {ENGINE: folder / "images.npz", ENGINE_MANY: folder / "million.npz"}
        np.savez(self._images[ENGINE], x=images)
        _write_repeated(self._images[ENGINE_MANY], images, MANY // ROWS)

    def measured(self, seed: int) -> Iterator[Predicting]:
        """Measure each once."""
        model = str(next(self._store.glob("versions/*/model.keras")))
        plain = [sys.executable, str(SCRIPTS / "predict_keras.py"), "--model", model]
        engine = [sys.executable, str(SCRIPTS / "predict_engine.py"), "--store", str(self._store)]
        commands = {
            ENGINE: engine,
            KERAS: plain,
            KERAS_TUNED: [*plain, "--batch-size", "4096"],
            ENGINE_MANY: engine,
        }
        for name, command in commands.items():
            images = self._images.get(name, self._images[ENGINE])
            output = self._folder / "predictions.csv"
            finished = run(
                [*command, "--images", str(images), "--output", str(output)], os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
            )
            yield Predicting(name, seed, whole_seconds=finished.seconds, **json.loads(finished.output.splitlines()[-1]))


def _write_repeated(path: Path, images: np.ndarray, times: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (times * len(images), *images.shape[1:])}
    with zipfile.ZipFile(path, "w") as archive, archive.open("x.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(times):
            file.write(images.tobytes())
