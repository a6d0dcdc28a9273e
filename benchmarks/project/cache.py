"""Read shards with PyArrow alone; then load, cache and validate them as the flow does; then again, all cached."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import api
import pyarrow.parquet as pq
from inputs import shards
from processes import own_peak_bytes
from timing import flag_parser, seconds_of


def main() -> None:
    """Print the seconds of each, imports left out."""
    parser = flag_parser(__doc__)
    parser.add_argument("--shards", type=int, required=True)
    options = parser.parse_args()
    source = shards(options.data, options.shards, quick=options.quick)
    files = sorted(source.glob("*.parquet"))
    api.validate(api.load("mnist"))  # imports what the others need

    with tempfile.TemporaryDirectory(dir=options.work) as cache:

        def validate() -> None:
            api.validate(api.load(source, "mnist"), Path(cache))

        metrics = {
            "rows": sum(pq.read_metadata(file).num_rows for file in files),
            "shards": len(files),
            "source_bytes": sum(file.stat().st_size for file in files),
            "read_seconds": seconds_of(lambda: [pq.read_table(file).num_rows for file in files]),
            "first_seconds": seconds_of(validate),
            "again_seconds": seconds_of(validate),
            "peak_bytes": own_peak_bytes(),  # without that of `make_large.py`
        }
    print(json.dumps(metrics))


if __name__ == "__main__":
    main()
