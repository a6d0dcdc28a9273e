"""Predict as `flows/predict_flow.py` does, without Prefect: verify and load the champion, stream images to a CSV."""

from __future__ import annotations

import json
import time

from inputs import N_IMAGES, champion_store, image_file
from timing import flag_parser

from artifacts.store.store import Store
from schemas.rules import DEFAULT_INPUT_RULES
from tasks.inference.start_up import preload

BATCH_SIZE = 16_384


def main() -> None:
    """Predict and print the metrics, imports left out."""
    parser = flag_parser(__doc__)
    parser.add_argument("--images", type=int, default=N_IMAGES)
    options = parser.parse_args()
    folder, images = champion_store(options.work), image_file(options.work, options.images)
    preload("tasks.prediction.stream", "tasks.sources.npz")
    from tasks.prediction import stream

    started = time.perf_counter()
    store, output = Store(folder), options.work / "predictions.csv"
    predictor = stream.predictor(store, store.resolve_version())
    rows = stream.predict(str(images), predictor, output, DEFAULT_INPUT_RULES, BATCH_SIZE).n_rows
    print(json.dumps({"rows": rows, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
