"""Answer images with an export, in a process of its own: `python -m tasks.exporting.answer FORMAT PATH IMAGES OUTPUT`.

TensorFlow can't be imported in it, unless the format needs that: an app doesn't have it either. The probabilities are
written to OUTPUT; the median time of a single image, in ms, is printed.
"""

from __future__ import annotations

import sys
import timeit
from pathlib import Path
from statistics import median

import numpy as np

from schemas.digits import CLASSES
from schemas.exports import ExportFormat
from tasks.exporting.formats import FORMATS, Answer

BATCH, LATENCY_CALLS = 1000, 200


def main(name: ExportFormat, path: str, images_path: str, output: str) -> None:
    """Write the probabilities and print the time."""
    spec = FORMATS[name]
    if not spec.needs_tensorflow:
        sys.modules.update({"tensorflow": None, "keras": None})  # type: ignore[dict-item]  # makes imports fail
    answer = spec.open(Path(path))
    write_answers(answer, Path(images_path), Path(output))
    single = np.array(np.load(images_path, mmap_mode="r")[:1])
    answer(single)
    print(1000 * median(timeit.repeat(lambda: answer(single), number=1, repeat=LATENCY_CALLS)))  # noqa: T201


def write_answers(answer: Answer, images_path: Path, output: Path) -> None:
    """Write the probabilities of all images of an `.npy` file into another."""
    images = np.load(images_path, mmap_mode="r")
    shape = (len(images), len(CLASSES))
    answers = np.lib.format.open_memmap(output, mode="w+", dtype=np.float32, shape=shape)
    for start in range(0, len(images), BATCH):
        answers[start : start + BATCH] = answer(np.array(images[start : start + BATCH]))
    answers.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])  # type: ignore[arg-type]  # the exporter's arguments
