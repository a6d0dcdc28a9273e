"""Train on the same rows in memory and in blocks from disk, a checkpoint saved after each block.

One epoch of each in turn, so that a drift of the machine affects both alike.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import api
from inputs import shards
from timing import QUICK_EPOCHS, flag_parser, seconds_of

ROWS, BLOCKS, EPOCHS = 400_000, 4, 8


def main() -> None:
    """Train both and print the seconds of their epochs, without the first, which compiles."""
    options = flag_parser(__doc__).parse_args()
    epochs = QUICK_EPOCHS if options.quick else EPOCHS
    recipe = api.make_recipe("plain", options.seed, {"epochs": epochs, "batch_size": 1024, "validation_fraction": 0})
    api.import_tensorflow()
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = Path(folder)
        source = api.load(shards(options.data, ROWS, quick=options.quick), "mnist")
        dataset = api.first_rows(api.validate(source, work / "cache"), ROWS)
        trainers = {
            "memory": api.Trainer(api.in_memory(dataset), recipe, work / "memory"),
            "disk": api.Trainer(api.in_blocks(dataset, BLOCKS, recipe), recipe, work / "disk"),
        }
        seconds = [{case: seconds_of(trainer.run_epoch) for case, trainer in trainers.items()} for _ in range(epochs)]
        for trainer in trainers.values():
            trainer.finish()
    print(
        json.dumps(
            [
                {
                    "case": case,
                    "rows": len(dataset.train),
                    "blocks": trainer.blocks,
                    "warm_epoch_seconds": [epoch[case] for epoch in seconds[1:]],
                }
                for case, trainer in trainers.items()
            ]
        )
    )


if __name__ == "__main__":
    main()
