"""The HTTP service as a FastAPI application. `docs/how-to/serve.md` describes its addresses."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import orjson
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from schemas.digits import SIDE
from schemas.errors import InputError
from tasks.serving.batches import Answer, BatchPredictor
from tasks.serving.bodies import DEFAULT_LIMITS, JSON, BodyReader, Limits, parse_images
from tasks.serving.champion import Champion
from tasks.serving.corrections import write_correction
from tasks.serving.metrics import Metrics
from tasks.serving.review import ReviewCollector

PAGE = Path(__file__).with_name("page.html")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src blob: data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
MAX_PARSERS = 4
"""Bodies that are parsed at a time: a picture of 24 million pixels takes 300 MB."""
MAX_INLINE_ROWS = 20
"""Images whose answer is written at once: for so few, changing to another thread takes longer."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a service allows: host names that it answers to, the inbox for corrections, the token that it asks for.

    `review` collects images that a person should look at.
    """

    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    inbox: Path | None = None
    token: str = ""
    limits: Limits = DEFAULT_LIMITS
    review: ReviewCollector | None = None


def create_app(champion: Champion, settings: Settings) -> FastAPI:
    """Return the application; requests for anything but the page and `/health` need the token, if there is one."""
    service = Service(champion, settings)
    # No description of the addresses either: its page loads scripts from another server.
    lifespan = settings.review.lifespan if settings.review else None
    app = FastAPI(title="digits", openapi_url=None, lifespan=lifespan)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts))
    app.middleware("http")(service.count)
    app.exception_handler(InputError)(refuse)
    app.exception_handler(RequestValidationError)(refuse_parameter)
    app.get("/", response_class=HTMLResponse)(page)
    app.get("/health")(service.health)
    checked = APIRouter(dependencies=[Depends(service.check_client)])
    checked.get("/version")(service.version)
    checked.get("/metrics", response_class=PlainTextResponse)(service.metrics)
    checked.post("/predict")(service.predict)
    checked.post("/corrections", status_code=201)(service.correct)
    app.include_router(checked)
    return app


class Service:
    """The handlers of the addresses, and what they share."""

    def __init__(self, champion: Champion, settings: Settings) -> None:
        self._champion, self._settings = champion, settings
        self._metrics = Metrics()
        self._predictor = BatchPredictor(champion, self._metrics, settings.review)
        self._bodies = BodyReader(settings.limits)
        self._parsers = asyncio.Semaphore(MAX_PARSERS)
        self._clients = ClientLimit(settings.limits.requests_per_second)

    async def check_client(self, request: Request) -> None:
        """Refuse a request without the token, or one too many."""
        if not self._clients.allows(request.client.host if request.client else ""):
            raise HTTPException(429, "too many requests", {"Retry-After": "1"})
        token, sent = self._settings.token, request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and not secrets.compare_digest(sent.encode(), token.encode()):
            raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})

    async def count(self, request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        """Answer a request and count it; log an error of the service, and answer without it."""
        started = time.perf_counter()
        try:
            response = await answer(request)
        except Exception:
            logger.exception("a request failed")
            response = JSONResponse({"detail": "the service failed; its log says why"}, 500)
        path = request.scope["route"].path if "route" in request.scope else "other"
        self._metrics.requests.labels(path, response.status_code).inc()
        if path == "/predict":
            self._metrics.seconds.observe(time.perf_counter() - started)
        response.headers.update(HEADERS)
        return response

    async def health(self) -> dict[str, Any]:
        """Return the version that is served and, if a newer champion can't be, why."""
        version = self._champion.current.predictor.version
        return {"status": "ok", "version": version, "problem": self._champion.problem}

    async def version(self) -> dict[str, Any]:
        """Return the version that is served, with its card."""
        current = self._champion.current
        return {
            "version": current.predictor.version,
            "since": current.since,
            "threshold": current.predictor.threshold,
            "level": current.predictor.level,
            "corrections": self._settings.inbox is not None,
            "card": current.card,
        }

    async def metrics(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return self._metrics.text()

    async def predict(self, request: Request, *, pixels: bool = False) -> Response:
        """Predict each image of the body; `?pixels=true` also returns what the model sees, 28 × 28."""
        answer = await asyncio.wrap_future(self._predictor.submit(await self._read_images(request)))
        is_short = len(answer.batch.label) <= MAX_INLINE_ROWS
        write = partial(to_json, answer, with_pixels=pixels)
        return Response(write() if is_short else await run_in_threadpool(write), media_type=JSON)

    async def correct(self, request: Request, label: Annotated[int, Query(ge=0, le=9)]) -> dict[str, str]:
        """Put the body's image into the inbox, with the digit that a person says it shows."""
        inbox = self._settings.inbox
        if inbox is None:
            raise HTTPException(403, "this service takes no corrections; start it with --inbox")
        pixels = await self._read_images(request)
        if len(pixels) != 1 or pixels.dtype != np.uint8:
            raise InputError("a correction is one picture")
        return {"file": await run_in_threadpool(write_correction, inbox, pixels[0].astype(np.uint8), label)}

    async def _read_images(self, request: Request) -> NDArray[np.generic]:
        content_type, limits = request.headers.get("content-type", ""), self._settings.limits
        async with self._bodies.read(request) as body, self._parsers:
            try:
                return await run_in_threadpool(parse_images, body, content_type, limits)
            except MemoryError:
                raise HTTPException(413, "the images take more memory than there is") from None


async def page() -> str:
    """Return the page to draw digits on."""
    return PAGE.read_text(encoding="utf-8")


async def refuse(_request: Request, error: Exception) -> JSONResponse:
    """Answer with what is wrong with the input."""
    return JSONResponse({"detail": str(error)}, 422)


async def refuse_parameter(_request: Request, error: Exception) -> JSONResponse:
    """Answer with the first parameter of the address that isn't valid."""
    fault = cast("RequestValidationError", error).errors()[0]
    return JSONResponse({"detail": f"{fault['loc'][-1]}: {fault['msg']}"}, 422)


def to_json(answer: Answer, *, with_pixels: bool) -> bytes:
    """Return an answer as JSON, with the columns of the predictions file; an invalid image has only its reason."""
    batch = answer.batch
    predictions: list[dict[str, Any]] = []
    for row in range(len(batch.label)):
        valid = not batch.fault[row]
        prediction: dict[str, Any] = {
            "label": int(batch.label[row]) if valid else None,
            "confidence": float(batch.confidence[row]) if valid else None,
            "second": int(batch.second[row]) if valid else None,
            "abstained": bool(batch.abstained[row]),
            "unlike_training": bool(batch.unlike_training[row]) if valid else None,
            "reason": str(batch.reason[row]),
        }
        if with_pixels:
            prediction["pixels"] = batch.pixels[row].reshape(SIDE, SIDE).tolist()
        predictions.append(prediction)
    return orjson.dumps({"version": answer.version, "threshold": answer.threshold, "predictions": predictions})


class ClientLimit:
    """At most n requests of a client per second."""

    def __init__(self, n_requests: int) -> None:
        self._n_requests = n_requests
        self._second = 0
        self._counts: Counter[str] = Counter()

    def allows(self, client: str) -> bool:
        """Count a request; return False if it is one too many."""
        if (second := int(time.monotonic())) != self._second:
            self._second, self._counts = second, Counter()
        self._counts[client] += 1
        return self._counts[client] <= self._n_requests
