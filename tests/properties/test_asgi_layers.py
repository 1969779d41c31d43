"""The checks of `test_asgi_surface` with every middleware, forms, files, events, templates and WebSocket endpoints."""

from __future__ import annotations

import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite.applications import Pallasite
from pallasite.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from pallasite.background import BackgroundTask
from pallasite.endpoints import HTTPEndpoint, WebSocketEndpoint
from pallasite.exceptions import HTTPException, WebSocketException
from pallasite.middleware import Middleware
from pallasite.middleware.authentication import AuthenticationMiddleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.body_limit import RequestBodyLimitMiddleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.httpsredirect import HTTPSRedirectMiddleware
from pallasite.middleware.opentelemetry import OpenTelemetryMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from pallasite.routing import BaseRoute, Mount, Route, WebSocketRoute
from pallasite.sse import EventSourceResponse, ServerSentEvent, last_event_id
from pallasite.staticfiles import StaticFiles
from pallasite.templating import Jinja2Templates
from pallasite.websockets import WebSocket
from tests.properties.exchanges import Exchange, exchanges, hold, scopes

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is deprecated
    from pallasite.middleware.wsgi import WSGIMiddleware

TEMPLATES = Jinja2Templates(
    env=jinja2.Environment(loader=jinja2.DictLoader({"a.html": "{{ request.url }} {{ text }}"}), autoescape=True)
)


async def form(request: Request) -> Response:
    async with request.form(max_files=2, max_fields=3, max_part_size=100) as fields:
        return JSONResponse(
            {name: value if isinstance(value, str) else value.filename for name, value in fields.items()}
        )


async def events(request: Request) -> Response:
    async def few() -> AsyncIterator[Any]:
        yield ServerSentEvent(request.url.path, id=last_event_id(request))
        yield request.query_params.multi_items()

    return EventSourceResponse(few())


async def page(request: Request) -> Response:
    return TEMPLATES.TemplateResponse(request, "a.html", {"text": request.headers.get("accept")})


async def file(request: Request) -> Response:
    return FileResponse(__file__, filename=request.query_params.get("name", request.url.path))


async def cookies(request: Request) -> Response:
    response = RedirectResponse(request.url.path, background=BackgroundTask(len, "x"))
    for name, value in request.cookies.items():
        try:
            response.set_cookie(name, value)
        except ValueError:
            response.delete_cookie("other")
    return response


async def login(request: Request) -> Response:
    session: dict[str, Any] = request.scope.get("session", {})
    session["user"] = request.url.path
    if "logout" in request.query_params:
        session.clear()
    return PlainTextResponse(str(request.scope.get("user")))


async def refuse(request: Request) -> Response:
    raise HTTPException(403, detail=request.url.path)


class Parts(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return JSONResponse(request.headers.items())

    async def post(self, request: Request) -> Response:
        return Response(await request.body(), media_type="text/plain")


def environ(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode("latin-1"), environ["wsgi.input"].read()]


class Texts(WebSocketEndpoint):
    encoding = "text"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_text(data)


class Blobs(WebSocketEndpoint):
    encoding = "bytes"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_bytes(data)


class Values(WebSocketEndpoint):
    encoding = "json"

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json(data)


async def every_kind(socket: WebSocket) -> None:
    await socket.accept(headers=[(b"x-path", b"any")])
    await socket.send_json([str(socket.url), socket.headers.items(), socket.cookies])
    await socket.send_bytes(await socket.receive_bytes())
    async for value in socket.iter_json():
        await socket.send_json(value, mode="binary")


async def closing(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()
    await socket.close(1000, reason=socket.url.path[:30])


async def denied(socket: WebSocket) -> None:
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        await socket.send_denial_response(PlainTextResponse("no"))
    else:
        await socket.close(1008)


async def refused(socket: WebSocket) -> None:
    raise WebSocketException(1008, reason="no")


async def unavailable(socket: WebSocket) -> None:
    raise HTTPException(403)


def routes(directory: Path) -> list[BaseRoute]:
    return [
        Route("/form", form, methods=["POST"]),
        Route("/events", events),
        Route("/page", page),
        Route("/file", file),
        Route("/cookies", cookies),
        Route("/login", login),
        Route("/refused", refuse),
        Route("/parts", Parts),
        Mount("/static", StaticFiles(directory=directory, html=True)),
        Mount("/links", StaticFiles(directory=directory, follow_symlink=True)),
        Mount("/wsgi", WSGIMiddleware(environ)),
        WebSocketRoute("/texts", Texts),
        WebSocketRoute("/blobs", Blobs),
        WebSocketRoute("/values", Values),
        WebSocketRoute("/every", every_kind),
        WebSocketRoute("/closing", closing),
        WebSocketRoute("/denied", denied),
        WebSocketRoute("/refused", refused),
        WebSocketRoute("/unavailable", unavailable),
    ]


PATHS = [getattr(route, "path", "") for route in routes(Path(__file__).parent)]
PATHS += [
    "/static/",
    "/static/a.txt",
    "/static/sub",
    "/static/sub/index.html",
    "/static/none",
    "/links/a.txt",
    "/wsgi/a",
]

HEADERS = [
    (b"origin", b"https://a.example"),
    (b"access-control-request-method", b"POST"),
    (b"access-control-request-headers", b"x-a, x-b"),
    (b"authorization", b"Basic " + b64encode(b"me:secret")),
    (b"accept-encoding", b"gzip;q=0.5, *;q=0"),
    (b"if-none-match", b'W/"a", *'),
    (b"if-modified-since", b"Sun, 06 Nov 2094 08:49:37 GMT"),
    (b"if-range", b'"a"'),
    (b"range", b"bytes=0-1,3-,-2"),
    (b"last-event-id", b"7"),
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"x-forwarded-for", b"1.2.3.4"),
]


class BasicAuth(AuthenticationBackend):
    """Accepts any client whose Authorization field starts correctly."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        kind, _, rest = conn.headers.get("authorization", "").partition(" ")
        if not rest:
            return None
        if kind != "Basic":
            raise AuthenticationError(kind)
        return AuthCredentials(["authenticated"]), SimpleUser(rest)


async def pass_on(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers["x-method"] = "any"
    return response


async def read_and_pass_on(request: Request, call_next: Any) -> Response:
    await request.body()
    response: Response = await call_next(request)
    return response


STACKS: dict[str, list[Middleware]] = {
    "none": [],
    "authentication": [Middleware(AuthenticationMiddleware, backend=BasicAuth())],
    "body limit": [Middleware(RequestBodyLimitMiddleware, max_body_size=10)],
    "cors": [
        Middleware(CORSMiddleware, allow_origin_regex=r".*\.example", allow_credentials=True, allow_headers=["*"])
    ],
    "cors, named": [Middleware(CORSMiddleware, allow_origins=["https://a.example"], allow_methods=["*"])],
    "function": [Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
    "function that reads": [Middleware(BaseHTTPMiddleware, dispatch=read_and_pass_on)],
    "gzip": [Middleware(GZipMiddleware, minimum_size=1)],
    "https": [Middleware(HTTPSRedirectMiddleware)],
    "sessions": [Middleware(SessionMiddleware, secret_key="long enough to be no reason to warn")],
    "telemetry": [Middleware(OpenTelemetryMiddleware)],
    "trusted host": [Middleware(TrustedHostMiddleware, allowed_hosts=["a.example", "*.example"])],
}
STACKS["all"] = [middleware for name, stack in STACKS.items() if name != "https" for middleware in stack]

SETTINGS: dict[str, dict[str, Any]] = {
    "none": {},
    "all": {
        "max_body_size": 1000,
        "base_url": "https://a.example",
        "allowed_hosts": ["a.example"],
        "websocket_origins": ["self", "https://a.example"],
    },
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    (root / "sub").mkdir()
    for name in ("a.txt", "404.html", "sub/index.html"):
        (root / name).write_text("served")
    return root


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_any_exchange_through_a_middleware_ends_well_or_as_documented(
    stack: str, setting: str, directory: Path
) -> None:
    app = Pallasite(routes=routes(directory), middleware=STACKS[stack], **SETTINGS[setting])

    @given(exchanges(scopes(PATHS, HEADERS)))
    def check(exchange: Exchange) -> None:
        hold(app, exchange)

    check()


@given(exchanges(scopes(PATHS, HEADERS)), st.sampled_from(["none", "function", "all"]))
def test_any_exchange_while_debugging_ends_well_or_as_documented(exchange: Exchange, stack: str) -> None:
    hold(Pallasite(debug=True, routes=routes(Path(__file__).parent), middleware=STACKS[stack]), exchange)
