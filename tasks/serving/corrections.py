"""Write corrected pictures into the inbox, as `tasks.inbox.corrections` reads them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from artifacts.files import new_folder
from schemas.digits import SIDE
from schemas.review import item_of
from tasks.validation import row_faults


def write_correction(inbox: Path, pixels: NDArray[np.uint8], label: int) -> str:
    """Write an image (784 pixels) with the label that a person gave it; return its name in the inbox."""
    folder = inbox / f"correction-{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    item = item_of(int(row_faults.digests(pixels.reshape(1, -1))[0, 0]))
    name = Path(str(label), f"{item}.png")
    inbox.mkdir(parents=True, exist_ok=True)
    with new_folder(folder) as temporary:
        (temporary / name).parent.mkdir()
        Image.fromarray(pixels.reshape(SIDE, SIDE)).save(temporary / name)
    return (folder.relative_to(inbox) / name).as_posix()
