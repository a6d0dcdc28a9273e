"""Read the body of a request: a picture, a JSON array of pixels, or an `.npy` array; within bounds of size and time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import orjson
from fastapi import HTTPException, Request
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect

from schemas.digits import PIXEL_COUNT, SIDE
from schemas.errors import InputError, first_line
from schemas.rules import DEFAULT_INPUT_RULES, InputRules
from tasks.prediction.stream import needed_repairs
from tasks.sources.frames import images_to_frame
from tasks.sources.npz import parse_header
from tasks.sources.pictures import decode_picture
from tasks.validation.repairs import REPAIR_ADVISED

JSON, NPY = "application/json", "application/x-npy"
IMAGE_SHAPES = {(SIDE, SIDE), (PIXEL_COUNT,)}
SHAPES = f"expected numbers from 0 to 255, rows × {SIDE} × {SIDE} or rows × {PIXEL_COUNT}"
IDLE_SECONDS, BODY_SECONDS = 1.5, 60.0
"""Time that a client may send nothing, and that it may take in all."""


@dataclass(frozen=True)
class Limits:
    """The most that a request may ask for, that all of them may hold in memory, and a client's requests per second."""

    body_mib: int = 32
    all_bodies_mib: int = 256
    picture_pixels: int = 24_000_000
    images: int = 10_000
    requests_per_second: int = 1000


DEFAULT_LIMITS = Limits()


class BodyReader:
    """Reads bodies; refuses those that are too large or too slow, or too many at a time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._n_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body, which counts towards the bound on all bodies inside the `with`."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                stream = aiter(request.stream())
                self._check(int(request.headers.get("content-length", 0)))
                while (chunk := await asyncio.wait_for(anext(stream, None), IDLE_SECONDS)) is not None:
                    self._check(len(body) + len(chunk))
                    body += chunk
                    self._n_bytes += len(chunk)
            yield bytes(body)
        except TimeoutError:
            raise HTTPException(408, "the client sent nothing for too long") from None
        except ClientDisconnect:
            raise HTTPException(400, "the body is incomplete") from None
        finally:
            self._n_bytes -= len(body)

    def _check(self, n_bytes: int) -> None:
        if n_bytes > self._limits.body_mib << 20:
            raise HTTPException(413, f"the body is larger than {self._limits.body_mib} MiB")
        if self._n_bytes > self._limits.all_bodies_mib << 20:
            raise HTTPException(503, "too many bodies at a time", {"Retry-After": "1"})


def parse_images(body: bytes, content_type: str, limits: Limits) -> NDArray[np.generic]:
    """Return the images of a body (rows × 784); raise InputError for one that isn't what its type says."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("image/"):
        rules = InputRules(max_picture_pixels=limits.picture_pixels)
        return decode_picture(io.BytesIO(body), "the picture", rules).reshape(1, PIXEL_COUNT)
    if kind not in {JSON, NPY}:
        raise HTTPException(415, f"Content-Type {kind or 'missing'}: expected image/*, {JSON} or {NPY}")
    images = _as_images(_parse_json(body) if kind == JSON else _parse_npy(body), limits)
    try:
        needed_repairs(images_to_frame(images, None), "the array", DEFAULT_INPUT_RULES)
    except InputError as error:  # a repair is a flag of `predict`
        raise InputError(str(error).partition(REPAIR_ADVISED)[0]) from error
    return images


def _parse_json(body: bytes) -> NDArray[np.generic]:
    try:
        value = leaf = orjson.loads(body)
        while isinstance(leaf, list) and leaf:
            leaf = leaf[0]
        if isinstance(leaf, (bool, int, float)):
            return np.array(value, np.float64)  # of text, an array would take as much for each as for the longest
    except (ValueError, TypeError, RecursionError, OverflowError) as error:  # no JSON, or lists of different lengths
        raise InputError(f"the array: {first_line(error)}; {SHAPES}") from None
    raise InputError(f"the array: not lists of numbers; {SHAPES}")


def _parse_npy(body: bytes) -> NDArray[np.generic]:
    file = io.BytesIO(body)
    try:
        header = parse_header(file, "the array")
    except Exception:  # noqa: BLE001, a damaged header makes NumPy raise many kinds of error
        raise InputError("the array: not an .npy file of version 1 or 2") from None
    shape, by_column, dtype = header
    if by_column or dtype.hasobject or len(body) - file.tell() != header.n_bytes:
        raise InputError(f"the array: {shape} of {dtype} is not what its {len(body):,} bytes hold in C order")
    return np.frombuffer(body, dtype, offset=file.tell()).reshape(shape)


def _as_images(array: NDArray[np.generic], limits: Limits) -> NDArray[np.generic]:
    images = array[None] if array.shape in IMAGE_SHAPES else array
    if array.dtype.kind not in "buif" or images.shape[1:] not in IMAGE_SHAPES:
        raise InputError(f"the array: {array.shape} of {array.dtype}; {SHAPES}")
    if not 0 < len(images) <= limits.images:
        raise InputError(f"the array: {len(images):,} images; expected 1 to {limits.images:,}")
    return images.reshape(len(images), PIXEL_COUNT)
