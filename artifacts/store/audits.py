"""Write and read the audits of a store, one for each dataset, by its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from artifacts.reports import audit_report
from artifacts.reports.markdown import as_links
from artifacts.store.store import Store
from schemas.audit import Audit

SUSPECTS = "suspects.parquet"


def write(store: Store, audit: Audit, plots: Mapping[str, bytes]) -> None:
    """Write an audit's suspects, report and plots; they replace those of an older audit of the same data."""
    with store.audits.new_folder(audit.fingerprint) as folder:
        audit.suspects.to_parquet(folder / SUSPECTS, index=False)
        (folder / "report.md").write_text(audit_report.audit_report(audit, as_links), "utf-8")
        for name, plot in plots.items():
            (folder / f"{name}.png").write_bytes(plot)
        store.audits.remove_folder(audit.fingerprint)


def read_suspects(store: Store, fingerprint: str) -> pd.DataFrame | None:
    """Read the suspects of the data with a fingerprint; None if it wasn't audited."""
    try:
        return pd.read_parquet(store.audits.local_dir(fingerprint) / SUSPECTS)
    except FileNotFoundError:
        return None


def suspect_test_rows(store: Store, fingerprint: str) -> NDArray[np.int64] | None:
    """Return the test rows whose labels an audit of this data calls errors; None if there was none."""
    suspects = read_suspects(store, fingerprint)
    if suspects is None:
        return None
    return suspects.loc[suspects["confident"] & (suspects["part"] == "test"), "row"].to_numpy(np.int64)
