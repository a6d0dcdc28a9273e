"""The Prefect server of `make up`, which answers only requests to this machine's own address.

A page of another site can give its own host name this machine's address (DNS rebinding), but its requests still name
that host. Prefect has no setting for it.
"""

from fastapi import FastAPI
from prefect.server.api import server
from starlette.middleware.trustedhost import TrustedHostMiddleware

OWN_HOSTS = ["127.0.0.1", "localhost"]


def create_app() -> FastAPI:
    """Return Prefect's app, which refuses a `Host` header of another machine; uvicorn runs it."""
    app = server.create_app(final=True)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=OWN_HOSTS)
    return app
