"""Read the body of a request: a picture, a JSON array of pixels, or an `.npy` array; within bounds of size and time."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass

import numpy as np
import orjson
from fastapi import HTTPException, Request
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError, first_line
from schemas.rules import InputRules
from tasks.sources.pictures import decode_picture

JSON, NPY = "application/json", "application/x-npy"
PICTURE = "image/"
SHAPES = f"expected numbers from 0 to 255, rows × {SIDE} × {SIDE} or rows × {PIXEL_COUNT}"
IDLE_SECONDS, BODY_SECONDS = 1.5, 60.0
"""Time that a client may send nothing, and that it may take in all."""


@dataclass(frozen=True)
class Limits:
    """The most that a request may ask for, and the most requests per second of one client."""

    body_mib: int = 32
    picture_pixels: int = 24_000_000
    images: int = 10_000
    requests_per_second: int = 1000


DEFAULT_LIMITS = Limits()


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body; refuse one that is too large (413) or too slow (408)."""
    too_large = HTTPException(413, f"the body is larger than {limits.body_mib} MiB")
    most = limits.body_mib << 20
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    body, stream = bytearray(), aiter(request.stream())
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while (chunk := await asyncio.wait_for(anext(stream, None), IDLE_SECONDS)) is not None:
                body += chunk
                if len(body) > most:
                    raise too_large
    except TimeoutError:
        raise HTTPException(408, "the body came too slowly") from None
    except ClientDisconnect:
        raise HTTPException(400, "the body is incomplete") from None
    return bytes(body)


def parse_images(body: bytes, content_type: str, limits: Limits) -> NDArray[np.generic]:
    """Return the images of a body (rows × 784); raise InputError for one that isn't what its type says."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith(PICTURE):
        rules = InputRules(max_picture_pixels=limits.picture_pixels)
        return decode_picture(io.BytesIO(body), "the picture", rules).reshape(1, PIXEL_COUNT)
    if kind == JSON:
        return _as_images(_parse_json(body), limits)
    if kind == NPY:
        return _as_images(_parse_npy(body), limits)
    raise HTTPException(415, f"Content-Type {kind or 'missing'}: expected image/png or alike, {JSON} or {NPY}")


def _parse_json(body: bytes) -> NDArray[np.generic]:
    try:
        return np.asarray(orjson.loads(body))
    except (ValueError, RecursionError) as error:  # no JSON, or lists of different lengths
        raise InputError(f"the array: {first_line(error)}; {SHAPES}") from None


def _parse_npy(body: bytes) -> NDArray[np.generic]:
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, is_fortran, dtype = read_header[version](file)
    except Exception:  # noqa: BLE001, a damaged header makes NumPy raise many kinds of error
        raise InputError("the array: not an .npy file of version 1 or 2") from None
    if is_fortran or dtype.hasobject or len(body) - file.tell() != dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise InputError(f"the array: {shape} of {dtype} is not what its {len(body):,} bytes hold in C order")
    return np.frombuffer(body, dtype, offset=file.tell()).reshape(shape)


def _as_images(array: NDArray[np.generic], limits: Limits) -> NDArray[np.generic]:
    if array.dtype.kind not in "buif" or array.shape[1:] not in {(SIDE, SIDE), (PIXEL_COUNT,)}:
        if array.shape in {(SIDE, SIDE), (PIXEL_COUNT,)} and array.dtype.kind in "buif":
            return _as_images(array[None], limits)
        raise InputError(f"the array: {array.shape} of {array.dtype}; {SHAPES}")
    if not 0 < len(array) <= limits.images:
        raise InputError(f"the array: {len(array):,} images; expected 1 to {limits.images:,}")
    if array.dtype.kind in "bf" and array.max() <= 1:
        raise InputError("the array: its pixels are from 0 to 1; multiply them by 255")
    return array.reshape(len(array), PIXEL_COUNT)
