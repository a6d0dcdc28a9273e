"""Write corrected pictures into the inbox: a folder of pictures with a subfolder for each label."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifacts.files import write_atomically
from schemas.digits import SIDE

FOLDER = "corrections"


def write_correction(inbox: Path, pixels: NDArray[np.uint8], label: int) -> str:
    """Write an image (784 pixels) with the label that a person gave it; return its name in the inbox.

    The next training checks the folder like everything in the inbox, and moves it.
    """
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}.png"
    path = inbox / FOLDER / str(label) / name
    picture = io.BytesIO()
    Image.fromarray(pixels.reshape(SIDE, SIDE)).save(picture, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, picture.getvalue())
    return path.relative_to(inbox).as_posix()
