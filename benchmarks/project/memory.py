"""Measure the memory of all processes of a program together, which slows it down: its time isn't measured."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from inputs import environment, flow_command
from processes import ROOT, run, tree_bytes
from timing import flag_parser

SCRIPT = str(ROOT / "benchmarks" / "baselines" / "keras_mlp.py")


def main() -> None:
    """Run the training flow with its temporary server, or the plain Keras script, and print the peak."""
    parser = flag_parser(__doc__)
    parser.add_argument("program", choices=["flow", "plain_script"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as store:
        if options.program == "flow":
            epochs = ["--epochs", "1"] if options.quick else []
            finished = run(flow_command(Path(store), options.seed, *epochs), environment(options.work), tree_bytes)
        else:
            quick = ["--quick"] if options.quick else []
            finished = run([sys.executable, SCRIPT, *quick], os.environ, tree_bytes)
    print(json.dumps({"all_processes_bytes": finished.sampled_bytes}))


if __name__ == "__main__":
    main()
