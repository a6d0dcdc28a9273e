"""Everything that is measured: suites of cases, each case a script with its flags.

To add a baseline, put its script into `baselines/` and one `Case` into its suite here. The script takes the flags of
`timing.flag_parser` and prints, as its last line, a JSON object of metrics, or a list of them that name their `case`.
Time and peak memory of its process are measured from outside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A script with its flags; `labels` are stored with each of its measurements.

    A case whose script needs a module that isn't installed is skipped. One without a script has figures from the past.
    """

    name: str
    title: str
    script: str | None
    flags: tuple[str, ...] = ()
    labels: dict[str, object] = field(default_factory=dict)
    needs: str | None = None


@dataclass(frozen=True)
class Suite:
    """Cases that one table of the results compares; with `warm_up` each runs once before anything is measured."""

    name: str
    group: str
    cases: tuple[Case, ...]
    seeds: int = 5
    warm_up: bool = False


def engine(name: str, title: str, recipe: str, *flags: str, **overrides: object) -> Case:
    """Return a case of the project's training engine by a recipe."""
    recipe_flags = ("--recipe", recipe, "--overrides", json.dumps(overrides))
    return Case(name, title, "project/engine.py", (*recipe_flags, *flags))


TRAINING = Suite(
    "training",
    "standard",
    (
        engine(
            "engine",
            "this project, short schedule (Adam, batch 128, 3 epochs)",
            "plain",
            epochs=3,
            batch_size=128,
            learning_rate=4e-3,
            schedule="cosine",
            warmup=0.1,
            validation_fraction=0,
        ),
        Case("keras_plain", "Keras, plain script (batch 32, 10 epochs)", "baselines/keras_mlp.py"),
        Case(
            "keras_tuned",
            "Keras, tuned (batch 250, rate 0.004, `steps_per_execution`, `jit_compile`)",
            "baselines/keras_mlp.py",
            ("--tuned",),
        ),
        Case(
            "sklearn_mlp",
            "scikit-learn, `MLPClassifier((128, 64))` (batch 200, 20 epochs)",
            "baselines/sklearn_mlp.py",
        ),
        Case(
            "sklearn_mlp_float32",
            "scikit-learn, the same on float32",
            "baselines/sklearn_mlp.py",
            ("--dtype", "float32"),
        ),
        Case("pytorch_loop", "PyTorch, a loop (batch 64, 10 epochs)", "baselines/pytorch_loop.py", needs="torch"),
        engine("engine_fast", "this project, recipe `fast` (the default, with augmentation)", "fast"),
        engine(
            "engine_peak",
            "this project, no augmentation, batch 1024",
            "plain",
            "--matmul-peak",
            epochs=8,
            batch_size=1024,
            validation_fraction=0,
        ),
    ),
)

LONG = Suite(
    "long",
    "long",
    (
        engine("engine_best", "recipe `best`, mlp", "best", network="mlp"),
        engine("engine_cnn", "recipe `best`, cnn", "best", network="cnn"),
        engine("engine_fast_cnn", "recipe `fast`, cnn", "fast", network="cnn"),
    ),
)

PROGRAMS = Suite(
    "programs",
    "standard",
    (
        Case("plain_script", "plain Keras script, 10 epochs", "baselines/keras_mlp.py", ("--whole",)),
        Case("tuned_script", "tuned Keras script, 10 epochs", "baselines/keras_mlp.py", ("--tuned", "--whole")),
        Case("flow", "`python flows/train_flow.py`, no server running", "project/flow.py"),
        Case("flow_served", "`python flows/train_flow.py`, a server running", "project/flow.py", ("--server",)),
        Case("imports", "the import of its libraries alone, Prefect left out", "baselines/imports.py"),
        Case("without_prefect", "the same work without Prefect, by a stand-in (no longer measured)", script=None),
    ),
    warm_up=True,
)

MEMORY = Suite("memory", "standard", (Case("all", "all processes together", "project/memory.py"),), seeds=1)

DATA = Suite("data", "standard", (Case("all", "readers and validation", "project/data.py"),), seeds=1)

PREDICTION = Suite(
    "prediction",
    "standard",
    (
        Case("project", "this project: verify, load, stream, check, predict, write", "project/predict.py"),
        Case("keras", "Keras script: load, `model.predict` (batch 32), write", "baselines/keras_predict.py"),
        Case("keras_4096", "the same, `batch_size=4096`", "baselines/keras_predict.py", ("--batch-size", "4096")),
        Case("project_million", "this project, a million images", "project/predict.py", ("--images", "1000000")),
    ),
    warm_up=True,
)

NO_AUGMENTATION = tuple(f"--{name}=0" for name in ("rotation", "scaling", "shear", "shift", "elastic"))
SIZES = {1_000_000: 1, 8_100_000: 4}
"""Rows of the large data sets, the second as many as MNIST8M has, and the epochs of a training on them."""
ON_SHARDS = ("--epochs", "4", "--validation-fraction", "0")
SETTINGS = {
    "mlp_plain": ("mlp, no augmentation", "400000", ("--recipe", "plain", "--batch-size", "1024")),
    "mlp_fast": ("mlp, `fast`", "400000", ("--recipe", "fast")),
    "cnn_fast": ("cnn, `fast`", "40000", ("--recipe", "fast", "--network", "cnn")),
}
"""What workers share, by name: its title, rows, and the flow's flags."""

SHARDS = Suite(
    "shards",
    "large",
    tuple(
        # The rows of `make_large.py` are deformed already.
        Case(
            f"flow_{rows}",
            f"{rows:,} rows",
            "project/flow.py",
            ("--shards", str(rows), "--epochs", str(epochs), *NO_AUGMENTATION),
        )
        for rows, epochs in SIZES.items()
    ),
    seeds=1,
    warm_up=True,
)

CACHE = Suite(
    "cache",
    "large",
    tuple(Case(f"rows_{rows}", f"{rows:,} rows", "project/cache.py", ("--shards", str(rows))) for rows in SIZES),
    seeds=1,
)

BLOCKS = Suite("blocks", "large", (Case("all", "memory and disk in turn", "project/blocks.py"),), seeds=1)


def _workers_case(setting: str, workers: int) -> Case:
    title, rows, flags = SETTINGS[setting]
    ray = ("--server", "--engine", "ray", "--workers", str(workers)) if workers else ()  # its tasks need a server
    return Case(
        f"{setting}_{workers}",
        f"{title}, {workers or 'no'} workers",
        "project/flow.py",
        ("--shards", rows, *ON_SHARDS, *flags, *ray),
        labels={"setting": title, "workers": workers},
    )


WORKERS = Suite(
    "workers",
    "large",
    tuple(_workers_case(setting, workers) for setting in SETTINGS for workers in (0, 1, 2)),
    seeds=3,
)

CLUSTER = Suite(
    "cluster",
    "large",
    tuple(
        Case(name, title, "project/cluster.py", ("--shards", rows, *flags), labels={"setting": title})
        for name, (title, rows, flags) in SETTINGS.items()
    ),
    seeds=3,
)

SUITES = {
    suite.name: suite
    for suite in (TRAINING, LONG, PROGRAMS, MEMORY, DATA, PREDICTION, SHARDS, CACHE, BLOCKS, WORKERS, CLUSTER)
}
