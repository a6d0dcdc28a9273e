"""Predict as `flows/predict_flow.py` does, without Prefect: verify and load the champion, stream images to a CSV."""

from __future__ import annotations

import json
import time

import api
from inputs import N_IMAGES, champion_store, image_file
from timing import flag_parser

BATCH_SIZE = 16_384


def main() -> None:
    """Predict and print the metrics, imports left out."""
    parser = flag_parser(__doc__)
    parser.add_argument("--images", type=int, default=N_IMAGES)
    options = parser.parse_args()
    store, images = champion_store(options.work), image_file(options.work, options.images)
    api.preload_prediction()

    started = time.perf_counter()
    rows = api.predict(store, images, options.work / "predictions.csv", BATCH_SIZE)
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
