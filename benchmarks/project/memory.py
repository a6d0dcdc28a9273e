"""Measure the memory of all processes together: the flow with its temporary server, and the plain Keras script.

Sampling slows the programs down, so they aren't timed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from inputs import environment, flow_command
from processes import ROOT, run, tree_bytes
from timing import flag_parser

SCRIPT = ROOT / "benchmarks" / "baselines" / "keras_mlp.py"


def main() -> None:
    """Run both and print their peaks."""
    options = flag_parser(__doc__).parse_args()
    epochs, quick = (["--epochs", "1"], ["--quick"]) if options.quick else ([], [])
    with tempfile.TemporaryDirectory(dir=options.work) as store:
        finished = {
            "flow": run(flow_command(Path(store), options.seed, *epochs), environment(options.work), tree_bytes),
            "plain_script": run([sys.executable, SCRIPT, "--whole", *quick], sample=tree_bytes),
        }
    peaks = [{"case": case, "all_processes_peak_bytes": one.sampled_peak_bytes} for case, one in finished.items()]
    print(json.dumps(peaks))


if __name__ == "__main__":
    main()
