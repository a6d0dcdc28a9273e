"""The formats of pictures: help texts, error messages, the manual and the service's page follow from this list."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tasks.sources.files import starts

BOXES = 32
"""First bytes of a HEIC or AVIF picture that name its brands."""


class PictureFormat(NamedTuple):
    """A format: its name, how Pillow calls it, and how its first bytes are recognised."""

    name: str
    matches: Callable[[bytes], bool]
    pillow: str = ""


def _has_brand(*brands: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[4:8] == b"ftyp" and any(brand in head[8:BOXES] for brand in brands)


HEIC = PictureFormat("HEIC", _has_brand(b"heic", b"heix", b"heim", b"hevc"), "HEIF")
"""Read by pillow-heif, an optional package."""
PICTURE_FORMATS = (
    PictureFormat("PNG", starts(b"\x89PNG")),
    PictureFormat("JPEG", starts(b"\xff\xd8\xff")),
    PictureFormat("BMP", lambda head: head.startswith(b"BM") and b"\0" in head),  # text may begin with "BM"
    PictureFormat("GIF", starts(b"GIF87a", b"GIF89a")),
    PictureFormat("TIFF", starts(b"II*\0", b"MM\0*")),
    PictureFormat("WebP", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", "WEBP"),
    PictureFormat("AVIF", _has_brand(b"avif", b"avis")),
    HEIC,
)
PILLOW_NAMES = [each.pillow or each.name for each in PICTURE_FORMATS if each is not HEIC]
"""The formats that Pillow reads by itself."""
_NAMES = [picture_format.name for picture_format in PICTURE_FORMATS]
NAMES = f"{', '.join(_NAMES[:-1])} or {_NAMES[-1]}"
"""The names for texts: "PNG, … or HEIC"."""


def is_picture(head: bytes) -> bool:
    """Check whether a file's first bytes are those of a picture."""
    return any(picture_format.matches(head) for picture_format in PICTURE_FORMATS)
