"""Write and read the audits of a store, one for each dataset, by its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from artifacts.reports import audit_report
from artifacts.reports.markdown import as_links
from artifacts.store.store import Store
from schemas.audit import LABEL, Audit

SUSPECTS = "suspects.parquet"


def write(store: Store, audit: Audit, plots: Mapping[str, bytes]) -> None:
    """Write an audit's suspects, report and plots; they replace those of an older audit of the same data."""
    with store.audits.new_folder(audit.fingerprint) as folder:
        audit.suspects.to_parquet(folder / SUSPECTS, index=False)
        (folder / "report.md").write_text(audit_report.audit_report(audit, as_links), "utf-8")
        for name, plot in plots.items():
            (folder / f"{name}.png").write_bytes(plot)
        store.audits.remove_folder(audit.fingerprint)


def suspect_test_rows(store: Store, fingerprint: str) -> dict[str, NDArray[np.int64]]:
    """Return the test rows that an audit of this data lists as label errors: the probable ones, and all suspects.

    Empty if it wasn't audited, or the list can't be read.
    """
    try:
        suspects = pd.read_parquet(store.audits.local_dir(fingerprint, fresh=True) / SUSPECTS)
    except (OSError, pa.ArrowException):  # a report can do without them
        return {}
    errors = suspects[(suspects["kind"] == LABEL) & (suspects["part"] == "test")]
    rows = {"probable label errors": errors[errors["confident"]], "suspect labels": errors}
    return {name: frame["row"].to_numpy(np.int64) for name, frame in rows.items()}
