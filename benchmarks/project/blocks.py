"""Train on the same rows in memory and in blocks from disk, a checkpoint saved after each block.

One epoch of each in turn, so that a drift of the machine affects both alike.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import api
from inputs import shards
from timing import flag_parser, seconds_of

BLOCKS = 4
FLAGS = "--recipe plain --epochs 8 --batch-size 1024 --validation-fraction 0"


def main() -> None:
    """Train both and print the seconds of their epochs, without the first, which compiles."""
    parser = flag_parser(__doc__)
    parser.add_argument("--shards", type=int, required=True)
    options = parser.parse_args()
    recipe = api.parse_recipe(FLAGS.split(), options.seed, quick=options.quick)
    api.import_tensorflow()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        dataset = api.validate(api.load(shards(options.data, options.shards, quick=options.quick), "mnist"), work)
        trainers = {
            "in memory": api.Trainer(api.in_memory(dataset), recipe, work / "memory"),
            "from disk": api.Trainer(api.in_blocks(dataset, BLOCKS, recipe), recipe, work / "disk"),
        }
        seconds: dict[str, list[float]] = {case: [] for case in trainers}
        while not all(trainer.is_done for trainer in trainers.values()):
            for case, trainer in trainers.items():
                seconds[case].append(seconds_of(trainer.run_epoch))
        for trainer in trainers.values():
            trainer.finish()
    head = {"rows": len(dataset.train)}
    metrics = [
        head | {"case": case, "blocks": trainer.plan.n_blocks, "warm_epoch_seconds": seconds[case][1:]}
        for case, trainer in trainers.items()
    ]
    print(json.dumps(metrics))


if __name__ == "__main__":
    main()
