"""Write the files of a version: report, card, metrics, plots and reference profile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifacts.files import checksums
from artifacts.reports import markdown, training_report
from artifacts.reports.card import card, card_markdown
from artifacts.store import version_files
from schemas.run import Run


def write(folder: Path, number: int, name: str, run: Run, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """Write a version's files beside its model; return its card, with the SHA-256 of all of them."""
    dataset = run.dataset
    version_files.write_profile(folder / version_files.PROFILE, dataset.profile)
    version_files.write_training_rows(folder, dataset.train_digests)
    version_files.write_corrections(folder, dataset.validation.corrections)
    (folder / "metrics.json").write_text(json.dumps(run.metrics(), indent=2) + "\n", "utf-8")
    (folder / "validation.json").write_text(json.dumps(dataset.validation.to_dict(), indent=2) + "\n", "utf-8")
    (folder / "report.md").write_text(training_report.training_report(run, number, markdown.as_links), "utf-8")
    for title, picture in pictures.items():
        (folder / f"{title}.png").write_bytes(picture)
    contents = card(run, number, name)
    (folder / "card.md").write_text(card_markdown(contents), "utf-8")
    return contents | {"files": checksums(folder)}
