"""Cut pixel frames into shards, and inspect them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from samples import draw_digits

from artifacts.store.folder_storage import FolderStorage
from schemas.pixel_frame import labelled_frame
from schemas.rules import Rules
from tasks.sharding.shard_cache import ShardCache, in_threads
from tasks.sources import datasets
from tasks.validation import inspection, profiles

RULES = Rules(max_quarantined=0.2, drift="warning")


def spoiled_frame(rows, seed):
    """Draw digits, some of which fail each row check."""
    frame = labelled_frame(*draw_digits(rows, seed)).astype(np.float64)
    frame.loc[3, "pixel5"] = np.nan
    frame.loc[50, "pixel7"] = 300
    frame.loc[77, "label"] = 12
    frame.iloc[101, 1:] = 0
    frame.iloc[202, 1:] = frame.iloc[4, 1:]
    frame.loc[202, "label"] = frame.loc[4, "label"]  # repeats
    frame.iloc[303, 1:] = frame.iloc[7, 1:]
    frame.loc[303, "label"] = (frame.loc[7, "label"] + 1) % 10  # contradicts
    return frame


def cut(frame, folder, count, kind="parquet"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(np.array_split(np.arange(len(frame)), count)):
        piece = frame.iloc[rows]
        path = folder / f"part-{number:03}.{kind}"
        write_parquet(piece, path) if kind == "parquet" else piece.to_csv(path, index=False)
    return folder


def write_parquet(frame, path):
    """Write a frame of one type; `to_parquet` takes five times as long for 785 columns."""
    columns = [pa.array(column, from_pandas=True) for column in frame.to_numpy().T]
    pq.write_table(pa.table(columns, names=list(frame.columns)), path)


def inspected(source, test_source, work, rules=RULES):
    loaded = datasets.load(str(source), str(test_source), rules)
    return inspection.inspect(loaded, rules, profiles.load_embedded(), ShardCache(FolderStorage(work), in_threads))


def counted(validation):
    return {
        (part, reason): len(rows)
        for (part, reason), rows in validation.quarantined.groupby(["part", "reasons"]).groups.items()
    }
