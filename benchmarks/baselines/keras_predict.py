"""Predict as a tuned script does: load images and model, `model.predict` in large batches, write a CSV file."""

from __future__ import annotations

import json
import time

import keras
import numpy as np
from inputs import N_IMAGES, champion_store, image_file
from timing import flag_parser

BATCH_SIZE = 4096


def main() -> None:
    """Predict and print the metrics, imports left out."""
    options = flag_parser(__doc__).parse_args()
    (path,) = champion_store(options.work).glob("versions/*/model.keras")
    source = image_file(options.work, N_IMAGES)

    started = time.perf_counter()
    images = np.load(source)["x"]
    model = keras.models.load_model(path)
    probabilities = model.predict(images, batch_size=BATCH_SIZE, verbose=0)
    table = np.column_stack([probabilities.argmax(axis=1), probabilities.max(axis=1)])
    output = options.work / "keras.csv"
    np.savetxt(output, table, delimiter=",", header="label,confidence", comments="", fmt=("%d", "%.6f"))
    print(json.dumps({"rows": len(images), "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
