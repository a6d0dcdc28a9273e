"""Built-in sets that Keras downloads into its own cache, `~/.keras`, and checks; offline they come from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import UnavailableError
from tasks.sources import idx
from tasks.sources.formats import FASHION_MNIST

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from schemas.rules import InputRules, Rules
    from tasks.sources.frames import Frames

FOLDER = f"datasets/{FASHION_MNIST}"
ADDRESS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # where Keras' own loader has them from
# As Zalando published them; Keras' own loader checks nothing.
MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}


def read(_source: Path, rules: Rules) -> Frames:
    """Give Zalando's Fashion-MNIST; raise InputError when it is neither in the cache nor to be had."""
    return idx.read(_folder(), rules)


def batches(_source: Path, rules: InputRules, rows: int) -> Iterator[pd.DataFrame]:
    """Give its test images, so many at a time."""
    return idx.batches(_folder(), rules, rows)


def _folder() -> Path:
    """Bring the four files into Keras' cache; give their folder."""
    from tasks.inference.start_up import import_tensorflow

    import_tensorflow()  # under Keras, and quietly
    import keras

    try:
        paths = [
            Path(keras.utils.get_file(name, ADDRESS + name, file_hash=md5, cache_subdir=FOLDER))
            for name, md5 in MD5.items()
        ]
    except Exception as error:  # get_file wraps what urllib raises in plain Exceptions
        raise UnavailableError(
            f"{FASHION_MNIST}: can't be downloaded ({str(error).splitlines()[0]}); offline, a folder with its four IDX "
            "files can be the source"
        ) from error
    return paths[0].parent
