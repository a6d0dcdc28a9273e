"""The Prefect server of `make up`, which answers only requests to this machine's own address.

`make up` runs this file with the descriptor of an open port. `prefect server start` would run Prefect's app as it is.

A page of another site can give its own host name this machine's address (DNS rebinding), but its requests still name
that host. Prefect has no setting for it.
"""

import socket
import sys

import uvicorn
from fastapi import FastAPI
from prefect.server.api import server
from starlette.middleware.trustedhost import TrustedHostMiddleware

OWN_HOSTS = ["127.0.0.1", "localhost"]


def create_app() -> FastAPI:
    """Return Prefect's app, which refuses a `Host` header of another machine."""
    app = server.create_app(final=True)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=OWN_HOSTS)
    return app


if __name__ == "__main__":
    server_config = uvicorn.Config(create_app(), log_level="warning")
    uvicorn.Server(server_config).run([socket.socket(fileno=int(sys.argv[1]))])
