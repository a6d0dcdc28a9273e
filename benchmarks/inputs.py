"""Create what several cases need, unless it is there: large data sets, a store with a champion, image files."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
from processes import ROOT, run
from timing import load_digits

QUICK_ROWS = 6_000
N_IMAGES = 50_000


def environment(work: Path, home: str = "prefect") -> dict[str, str]:
    """Return a user's environment without settings of Prefect, whose database is in the work folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "PYTHONPATH"))}
    return inherited | {"PREFECT_HOME": str(work / home)}


def flow_command(store: Path, seed: int, *flags: str) -> list[str]:
    return [sys.executable, str(ROOT / "flows" / "train_flow.py"), "--store", str(store), "--seed", str(seed), *flags]


def shards(data: Path, rows: int, *, quick: bool) -> Path:
    """Return the folder with a data set of `make_large.py`; a quick one is small."""
    rows = min(rows, QUICK_ROWS) if quick else rows
    folder, made = data / f"digits-{rows}", data / f"digits-{rows}.json"
    if not made.exists() or json.loads(made.read_text())["shards"] != len(list(folder.glob("*.parquet"))):
        script = str(Path(__file__).with_name("make_large.py"))
        made.write_text(run([sys.executable, script, "--rows", str(rows), "--out", str(folder)], os.environ).output)
    return folder


def champion_store(work: Path) -> Path:
    """Return a store with one version, made by the training flow with its defaults."""
    store = work / "champion"
    if not store.exists():
        run(flow_command(store, 0), environment(work))
    return store


def image_file(work: Path, n_images: int) -> Path:
    """Return an `.npz` file of MNIST's images, repeated until there are enough."""
    path = work / f"images-{n_images}.npz"
    if not path.exists():
        images = load_digits().x_train[:N_IMAGES]
        header = {"descr": "|u1", "fortran_order": False, "shape": (n_images, *images.shape[1:])}
        with zipfile.ZipFile(path, "w") as archive, archive.open("x.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, n_images, N_IMAGES):  # not all at once: this process's peak memory is measured
                file.write(images[: n_images - start].tobytes())
    return path
