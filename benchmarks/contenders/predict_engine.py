"""Predict as `flows/predict_flow.py` does: verify and load the version, then stream, check, answer, write, add up."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from laps import peak_bytes

from artifacts.store.store import Store
from schemas.rules import DEFAULT_INPUT_RULES
from tasks.inference.start_up import preload


def main() -> None:
    """Predict, and print what it took as JSON, imports left out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--images", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=16_384)
    options = parser.parse_args()
    preload("tasks.prediction.stream", "tasks.sources.npz")
    from tasks.prediction import stream

    started = time.perf_counter()
    store = Store(options.store)
    predictor = stream.predictor(store, store.resolve_version())
    prediction = stream.predict(options.images, predictor, options.output, DEFAULT_INPUT_RULES, options.batch_size)
    seconds = time.perf_counter() - started
    print(json.dumps({"rows": prediction.rows, "seconds": seconds, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
