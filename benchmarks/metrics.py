"""Metrics that are computed from what a case measured; they join its measurement when the results are loaded."""

from __future__ import annotations

import math
from itertools import accumulate
from statistics import median
from typing import Any

Measurement = dict[str, Any]
Metrics = dict[str, Any]

TARGET_ACCURACY = 0.9756
TRAINING_ROWS, TEST_ROWS = 60_000, 10_000
LAYERS = ((784, 128), (128, 64), (64, 10))


def derive(one: Measurement) -> Metrics:
    function = DERIVED.get(one["suite"])
    return function(one) if function else {}


def epoch_operations() -> int:
    """Return the floating-point operations of an epoch's matrix products.

    Two per weight for the forward pass, the weight gradient and the input gradient; the first layer has no input
    gradient. Biases and activations aren't counted.
    """
    weights = [inputs * outputs for inputs, outputs in LAYERS]
    return TRAINING_ROWS * (3 * 2 * sum(weights) - 2 * weights[0])


def _training(one: Measurement) -> Metrics:
    """Derive the time to the target: infinity if no epoch reached it.

    As `given_seconds` such a run counts as all its training time, less than it would need. `whole_seconds` is the time
    of the process without the evaluations before the last one, which a user would leave out.
    """
    seconds = one["epoch_seconds"]
    epoch, total = median(seconds[1:] or seconds), math.fsum(seconds)  # the first one compiles
    reached = zip(accumulate(seconds), one["accuracies"], strict=True)
    target = next((elapsed for elapsed, accuracy in reached if accuracy >= TARGET_ACCURACY), math.inf)
    metrics = {"epoch_median_seconds": epoch, "training_seconds": total, "target_seconds": target}
    metrics |= {"given_seconds": min(target, total), "errors": round(TEST_ROWS * (1 - one["accuracy"]))}
    metrics["whole_seconds"] = one["process_seconds"] - math.fsum(one["evaluation_seconds"][:-1])
    if "matmul_flops" in one:
        metrics["peak_share"] = epoch_operations() / epoch / one["matmul_flops"]
    return metrics


def _program(one: Measurement) -> Metrics:
    """Derive where the time of a program goes; without stages all of it is start-up."""
    metrics = {"errors": round(TEST_ROWS * (1 - one["accuracy"]))} if "accuracy" in one else {}
    stages = dict(one.get("stages", {"start-up": one["process_seconds"]}))
    metrics |= {"start_up_seconds": stages.pop("start-up", 0), "between_seconds": stages.pop("orchestration", 0)}
    metrics |= {"stage_seconds": math.fsum(stages.values()), "whole_seconds": one["process_seconds"]}
    metrics["outside_seconds"] = metrics["whole_seconds"] - metrics["stage_seconds"]
    metrics["exit_seconds"] = metrics["outside_seconds"] - metrics["start_up_seconds"] - metrics["between_seconds"]
    return metrics


def _long(one: Measurement) -> Metrics:
    return {"training_seconds": one["stages"]["train"], "whole_seconds": one["process_seconds"]}


def _pace(one: Measurement) -> Metrics:
    seconds = one["seconds"]
    metrics = {"rows_per_second": one["rows"] / (median(seconds) if isinstance(seconds, list) else seconds)}
    if "frame_bytes" in one:
        metrics["frame_ratio"] = one["peak_bytes"] / one["frame_bytes"]
    return metrics


def _shards(one: Measurement) -> Metrics:
    rows, stages = one["rows"], one["stages"]
    validation = stages["load"] + stages["validate"]
    return {
        "validation_seconds": validation,
        "validation_us": 1e6 * validation / rows,
        "rows_per_second": rows / validation,
        "train_seconds": stages["train"],
        "training_us": 1e6 * stages["train"] / (rows * one["epochs"]),
        "evaluate_seconds": stages["evaluate"],
    }


def _cache(one: Measurement) -> Metrics:
    return {f"{name}_rows_per_second": one["rows"] / one[f"{name}_seconds"] for name in ("first", "again", "read")}


def _workers(one: Measurement) -> Metrics:
    epochs = one["epoch_seconds"][1:]  # the first one compiles
    batches = math.ceil(one["rows"] / one["batch"])
    return {
        "warm_epoch_seconds": epochs,
        "batch_ms": [1e3 * seconds / batches for seconds in epochs],
        "start_and_end_seconds": one["stages"]["train"] - sum(one["epoch_seconds"]),
    }


DERIVED = {
    "training": _training,
    "long": _long,
    "programs": _program,
    "data": _pace,
    "prediction": _pace,
    "shards": _shards,
    "cache": _cache,
    "workers": _workers,
}
