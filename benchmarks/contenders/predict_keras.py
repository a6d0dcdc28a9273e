"""Predict as a plain script does: load the images, load the model, `model.predict`, write the answers as CSV."""

from __future__ import annotations

import argparse
import json
import time

import keras
import numpy as np
from laps import peak_bytes


def main() -> None:
    """Predict, and print what it took as JSON, imports left out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--batch-size", type=int, help="Keras' own, 32, where it isn't given")
    options = parser.parse_args()

    started = time.perf_counter()
    images = np.load(options.images)["x"]
    model = keras.models.load_model(options.model)
    probabilities = model.predict(images, batch_size=options.batch_size, verbose=0)
    answers = np.column_stack([probabilities.argmax(axis=1), probabilities.max(axis=1)])
    np.savetxt(options.output, answers, delimiter=",", header="label,confidence", comments="", fmt=("%d", "%.6f"))
    seconds = time.perf_counter() - started
    print(json.dumps({"rows": len(images), "seconds": seconds, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
