"""The page's web server, on loopback alone."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from fedvol.chain.federation import FederationClient
from fedvol.dashboard.audits import Audits
from fedvol.dashboard.board import Board
from fedvol.dashboard.collect import Collector
from fedvol.dashboard.guard import Guard
from fedvol.dashboard.surfaces import Surfaces
from fedvol.dashboard.tape import ViewersTape
from fedvol.errors import ConfigError, FedvolError
from fedvol.storage import Storage

HOST = "127.0.0.1"
STATIC = files("fedvol.dashboard") / "static"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


class Page:
    """One federation's page: who collects, what is on the board, and what is computed when a viewer asks."""

    def __init__(
        self, connect: Callable[[], FederationClient], storage: Storage | None, tape: ViewersTape | None
    ) -> None:
        """`connect`: a connection to the federation; the collector has one of its own."""
        client = connect()
        self.board = Board()
        self.surfaces = Surfaces(client, tape)
        self.audits = Audits(client, storage)
        self.collector = Collector(connect(), self.board, self.surfaces, tape)
        self.board.publish("meta", _meta(client, storage is not None, tape is not None))


def _meta(client: FederationClient, has_storage: bool, has_tape: bool) -> dict[str, Any]:
    d = client.deployment
    markets = d.spec.get("markets", [])
    contracts = ("federation", "vault", "registry", "engine", "settlement", "duties", "keyring", "token", "timelock")
    return {
        "federation": d.name,
        "chain_id": d.chain_id,
        "markets": [str(market) for market in markets] if isinstance(markets, list) else [],
        "contracts": {name: getattr(d, name) for name in contracts},
        "has_storage": has_storage,
        "has_tape": has_tape,
    }


def application(page: Page, port: int) -> FastAPI:
    """The routes. `port`: the one that a request must name."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        page.collector.start()
        yield
        page.collector.stop()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=life)
    app.add_middleware(Guard, port=port)

    @app.exception_handler(FedvolError)
    async def _(_: Request, error: FedvolError) -> JSONResponse:
        # Not a status of its own: a browser would log what the page itself tells the viewer.
        return JSONResponse({"error": error.message, "hint": error.hint})

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(
            page.board.follow(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    # Not `async`: what blocks runs in a thread.
    @app.get("/api/surface/{version}/{market}")
    def surface(version: int, market: int) -> dict[str, Any]:
        return page.surfaces.surface(version, market)

    @app.get("/api/audit/{number}")
    def audit(number: int) -> dict[str, Any]:
        return page.audits.of(number)

    for path, name in (("/", "index.html"), ("/audit/{number}", "audit.html"), ("/favicon.ico", "icon.svg")):
        _serve(app, path, name, (STATIC / name).read_bytes())
    for file in STATIC.iterdir():
        if not file.name.endswith(".html"):
            _serve(app, f"/static/{file.name}", file.name, file.read_bytes())
    _serve(app, "/static/plotly.js", "plotly.js", (files("plotly") / "package_data" / "plotly.min.js").read_bytes())
    return app


def _serve(app: FastAPI, path: str, name: str, content: bytes) -> None:
    tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    kind = KINDS[name.rsplit(".", 1)[-1]]

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    app.add_api_route(path, answer, methods=["GET"])


class _Server(uvicorn.Server):
    """Lets go of viewers when it is told to end, as their streams have no end of their own; then ends well."""

    def __init__(self, config: uvicorn.Config, page: Page) -> None:
        super().__init__(config)
        self._page = page

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._page.board.close()
        self.force_exit = self.should_exit
        self.should_exit = True


def listen(port: int) -> socket.socket:
    """A socket on loopback. Port 0 takes a free one.

    Raises:
        ConfigError: the port cannot be had.
    """
    try:
        return socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"Port {port} of this machine cannot be had: {error}.",
            "Another dashboard may run there. Name another with --port, or 0 for any that is free.",
        ) from error


def serve(page: Page, listener: socket.socket) -> None:
    """Serves until SIGTERM or Ctrl-C."""
    app = application(page, listener.getsockname()[1])
    config = uvicorn.Config(
        app, log_level="error", access_log=False, server_header=False, timeout_graceful_shutdown=2, lifespan="on"
    )
    _Server(config, page).run(sockets=[listener])
