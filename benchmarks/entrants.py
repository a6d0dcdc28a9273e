"""Who trains against whom: each contender's script and its flags."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).parent / "contenders"
QUICK_EPOCHS = 2

SHORT_SCHEDULE: dict[str, object] = {
    "epochs": 3,
    "batch_size": 128,
    "optimizer": "adam",
    "learning_rate": 4e-3,
    "schedule": "cosine",
    "warmup": 0.1,
    "validation_fraction": 0,
}
"""The engine's recipe for the time to the target, over the preset `plain`: no augmentation, nothing held out."""

PLAIN_EPOCHS: dict[str, object] = {"epochs": 8, "batch_size": 1024, "validation_fraction": 0}
"""Over the preset `plain`, what the share of the matrix-product peak is measured on: no augmentation either."""


@dataclass(frozen=True)
class Entrant:
    """A script with its flags; one of the engine's has a preset and the fields of it that differ."""

    name: str
    title: str
    script: str
    flags: tuple[str, ...] = ()
    recipe: str | None = None
    overrides: dict[str, object] = field(default_factory=dict)

    def command(self, python: str, seed: int, *, quick: bool) -> list[str]:
        """Give the command that trains with a seed; a quick one trains two epochs."""
        command = [python, str(SCRIPTS / self.script), "--seed", str(seed), *self.flags]
        if self.recipe is not None:
            overrides = self.overrides | ({"epochs": QUICK_EPOCHS} if quick else {})
            return [*command, "--recipe", self.recipe, "--overrides", json.dumps(overrides)]
        return [*command, "--epochs", str(QUICK_EPOCHS)] if quick else command


ENGINE, ENGINE_FAST, ENGINE_PEAK = "engine", "engine_fast", "engine_peak"
KERAS_PLAIN, KERAS_TUNED = "keras_plain", "keras_tuned"
SKLEARN, SKLEARN_SINGLE = "sklearn_mlp", "sklearn_mlp_float32"
PYTORCH = "pytorch_loop"
ENGINE_BEST, ENGINE_CNN, ENGINE_FAST_CNN = "engine_best", "engine_cnn", "engine_fast_cnn"

ENTRANTS = (
    Entrant(
        ENGINE,
        "engine, short schedule (Adam, batch 128, 3 epochs)",
        "engine.py",
        recipe="plain",
        overrides=SHORT_SCHEDULE,
    ),
    Entrant(KERAS_PLAIN, "Keras, plain script (batch 32, 10 epochs)", "keras_plain.py"),
    Entrant(
        KERAS_TUNED, "Keras, tuned (batch 250, rate 0.004, `steps_per_execution`, `jit_compile`)", "keras_tuned.py"
    ),
    Entrant(SKLEARN, "scikit-learn, `MLPClassifier((128, 64))` (batch 200, 20 epochs)", "sklearn_mlp.py"),
    Entrant(SKLEARN_SINGLE, "scikit-learn, the same on float32", "sklearn_mlp.py", flags=("--dtype", "float32")),
    Entrant(PYTORCH, "PyTorch, a loop (batch 64, 10 epochs)", "pytorch_loop.py"),
    Entrant(ENGINE_FAST, "engine, recipe `fast` (the default, with augmentation)", "engine.py", recipe="fast"),
    Entrant(
        ENGINE_PEAK,
        "engine, no augmentation, batch 1024",
        "engine.py",
        flags=("--peak",),
        recipe="plain",
        overrides=PLAIN_EPOCHS,
    ),
)
LONG = (
    Entrant(ENGINE_BEST, "engine, recipe `best`, mlp", "engine.py", recipe="best", overrides={"network": "mlp"}),
    Entrant(ENGINE_CNN, "engine, recipe `best`, cnn", "engine.py", recipe="best", overrides={"network": "cnn"}),
    Entrant(ENGINE_FAST_CNN, "engine, recipe `fast`, cnn", "engine.py", recipe="fast", overrides={"network": "cnn"}),
)
