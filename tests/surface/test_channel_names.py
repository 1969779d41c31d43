"""The names of the `send` and `receive` that applications are called with. Tracers name spans by them.

A name must be the same for every request, or each request becomes an entry of its own in a list of slow operations.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.body_limit import RequestBodyLimitMiddleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.opentelemetry import OpenTelemetryMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.testclient import TestClient, WebSocketDenialResponse
from pallasite.types import ASGIApp, Receive, Scope, Send
from pallasite.websockets import WebSocket

_Names = tuple[Any, ...]


def _names(channel: Any) -> _Names:
    return tuple(getattr(channel, name, None) for name in ("__module__", "__qualname__", "__name__"))


class _Probe:
    """Middleware that records its arguments."""

    def __init__(self, app: ASGIApp, seen: list[tuple[str, _Names]], place: str) -> None:
        self.app = app
        self._seen = seen
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self._seen += [(f"{self._place} receive", _names(receive)), (f"{self._place} send", _names(send))]
        await self.app(scope, receive, send)


class _Passing(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response


class _OwnSend(CORSMiddleware):
    async def send(self, *args: Any, **kwargs: Any) -> None:
        await super().send(*args, **kwargs)


_LAYERS: list[tuple[Any, dict[str, Any]]] = [
    (_Passing, {}),
    (CORSMiddleware, {}),
    (_OwnSend, {}),
    (GZipMiddleware, {}),
    (SessionMiddleware, {"secret_key": "0123456789abcdef"}),
    (RequestBodyLimitMiddleware, {"max_body_size": 1000}),
    (OpenTelemetryMiddleware, {}),
]


def _layered(seen: list[tuple[str, _Names]]) -> Pallasite:
    async def page(request: Request) -> Response:
        seen.append(("page receive", _names(request.receive)))
        return PlainTextResponse("hello")

    async def chat(websocket: WebSocket) -> None:
        denial: Any = _Probe(PlainTextResponse("no", status_code=403), seen, "denial")
        await websocket.send_denial_response(denial)

    layers = [Middleware(_Probe, seen=seen, place="outside")]
    for layer, options in _LAYERS:
        layers += [Middleware(layer, **options), Middleware(_Probe, seen=seen, place=f"below {layer.__name__}")]
    inner = Middleware(_Probe, seen=seen, place="route")
    routes = [Route("/", page, middleware=[inner]), WebSocketRoute("/chat", chat)]
    return Pallasite(routes=routes, middleware=layers)


def test_channel_names_are_the_same_for_every_request(test_client_factory: Callable[..., TestClient]) -> None:
    seen: list[tuple[str, _Names]] = []
    client = test_client_factory(_Probe(_layered(seen), seen, "server"))
    runs = []
    for _ in range(2):
        seen.clear()
        assert client.get("/", headers={"origin": "https://a.example"}).text == "hello"
        with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/chat"):
            pass
        runs.append(list(seen))
    assert runs[0] == runs[1]
    assert len({place for place, _ in runs[0]}) > 2 * len(_LAYERS)
    for place, (module, qualname, name) in runs[0]:
        assert module in sys.modules, place
        assert qualname.rpartition(".")[2] == name, place
        assert "0x" not in qualname, place


# Prints the names as JSON. Starlette's CORSMiddleware passes on a partial, which has no name; so it is left out here.
_PROGRAM = """
import json, sys
if sys.argv[1] == "pallasite":
    import pallasite
    pallasite.install_as_starlette()
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

seen = []

class Probe:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        for channel in (receive, send):
            seen.append([channel.__module__, channel.__qualname__, channel.__name__])
        await self.app(scope, receive, send)

class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)

stack = [Middleware(Probe)]
layers = {Passing: {}, GZipMiddleware: {}, SessionMiddleware: {"secret_key": "0123456789abcdef"}}
for layer, options in {**layers, RequestBodyLimitMiddleware: {"max_body_size": 1000}}.items():
    stack += [Middleware(layer, **options), Middleware(Probe)]
app = Starlette(middleware=stack)
for backend in ("asyncio", "trio"):
    TestClient(Probe(app), backend=backend).get("/")
print(json.dumps(seen))
"""


def _channel_names(package: str) -> list[list[str]]:
    program = [sys.executable, "-c", _PROGRAM, package]
    # The program must import the same Pallasite as the tests.
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.modules["pallasite"].__path__[0]).parent)}
    run = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert run.returncode == 0, run.stderr
    names: list[list[str]] = json.loads(run.stdout)
    return names


def test_channel_names_in_compatibility_mode_are_those_of_starlette() -> None:
    names = _channel_names("pallasite")
    assert names == _channel_names("starlette")
    assert len(names) == 2 * 2 * 6
