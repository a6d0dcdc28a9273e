"""The sources that there are: built-in names, and files by what they are.

What reading needs is imported when something is read: a wrong name is answered before pandas is loaded.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.errors import InputError
from schemas.results import Dataset
from tasks.sources import mnist

if TYPE_CHECKING:
    import pandas as pd

BUILT_IN = ("mnist",)


def check(source: str) -> None:
    """Raise InputError, in a few hundredths of a second, if the source can't be what is wanted."""
    if source in BUILT_IN:
        mnist.check()
        return
    path = Path(source)
    if path.suffix != ".npz":
        raise InputError(f"{source}: no such source; {', '.join(BUILT_IN)} or the path of an .npz file is allowed")
    try:
        path.open("rb").close()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"can't be read ({error.strerror})"
        raise InputError(f"{source}: {reason}; {', '.join(BUILT_IN)} or the path of an .npz file is allowed") from error


def read(source: str) -> Dataset:
    """Read a source into a dataset; raise InputError when it can't be read."""
    from tasks.sources import npz

    if source not in BUILT_IN:
        check(source)
    name, (train, test) = (source, mnist.read()) if source in BUILT_IN else (Path(source).name, npz.read(Path(source)))
    return Dataset(name=name, train=train, test=test, fingerprint=fingerprint(train, test))


def fingerprint(train: pd.DataFrame, test: pd.DataFrame) -> str:
    """Digest the rows and labels of both frames, in their order; the format they came in doesn't count."""
    from schemas.pixel_frame import labels_of, pixels_of

    digest = hashlib.sha256()
    for part, frame in ((b"train", train), (b"test", test)):
        digest.update(part + len(frame).to_bytes(8, "little"))
        digest.update(labels_of(frame).tobytes())
        for start in range(0, len(frame), 8192):  # pieces: the frame is never copied whole
            digest.update(pixels_of(frame)[start : start + 8192].tobytes())
    return digest.hexdigest()
