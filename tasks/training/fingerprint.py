"""The fingerprint of a training: equal fingerprints give equal weights, bit for bit, on the same kind of machine."""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import version

from artifacts.code_digest import ROOT, code_digest
from artifacts.processor import training_precision
from schemas.recipe import Recipe
from schemas.results import Dataset
from schemas.training import Precision

CODE = "tasks.training.trainer"
"""The module that determines the weights, together with all that it imports."""
LOCK = ROOT / "requirements.txt"
LIBRARIES = ("tensorflow", "keras", "numpy", "scikit-learn")
VARIABLES = ("TF_", "XLA_", "ONEDNN_", "DNNL_", "NVIDIA_TF32_OVERRIDE")
"""Prefixes of environment variables by which TensorFlow computes in another way, such as TF_ENABLE_ONEDNN_OPTS."""
HARMLESS = ("TF_CPP_", "TF_CONFIG", "TF_FORCE_GPU_ALLOW_GROWTH")
"""Prefixes of those that change no number: messages, addresses, memory."""


def fingerprint(dataset: Dataset, recipe: Recipe, n_workers: int = 1) -> str:
    """Digest everything that determines the weights: data, recipe, block size, code, libraries, settings, precision.

    The number of workers is part of it because it changes how sums are rounded.
    """
    from tasks.training.sampling import block_rows  # slow to import, and `variables` is needed before

    parts = {
        "data": dataset.fingerprint,
        "block rows": block_rows(dataset, recipe),
        "workers": n_workers,
        "precision": precision(recipe),
        "recipe": recipe.model_dump(mode="json"),
        "code": code_digest(CODE),
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.exists() else None,
        "libraries": {name: version(name) for name in LIBRARIES},
        "added by corrections": dataset.validation.added_digests,  # they are repeated
        "variables": variables(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def precision(recipe: Recipe) -> Precision:
    """Return the precision in which this machine trains a recipe: that of the teacher, if there is one."""
    return training_precision((recipe.teacher or recipe).network)


def variables() -> dict[str, str]:
    """Return the environment variables that may change weights; usually none are set."""
    names = (name for name in os.environ if name.startswith(VARIABLES) and not name.startswith(HARMLESS))
    return {name: os.environ[name] for name in names}
