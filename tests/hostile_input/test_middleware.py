"""The checks of `test_requests` for the other parts of the framework: middleware, static files, events."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pallasite.applications import Pallasite
from pallasite.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from pallasite.middleware import Middleware
from pallasite.middleware.authentication import AuthenticationMiddleware
from pallasite.middleware.base import BaseHTTPMiddleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.gzip import GZipMiddleware
from pallasite.middleware.httpsredirect import HTTPSRedirectMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Mount, Route
from pallasite.sse import EventSourceResponse
from pallasite.staticfiles import StaticFiles
from tests.support.asgi import exchange, scope_of

pytestmark = pytest.mark.anyio


async def events(request: Request) -> Response:
    async def few() -> AsyncIterator[dict[str, str]]:
        yield {"data": request.url.path}

    return EventSourceResponse(few())


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse([name for name, _ in fields.multi_items()])


async def everything(request: Request) -> Response:
    request.session["user"] = request.user.display_name
    return JSONResponse([str(request.url), request.user.is_authenticated, request.headers.items()])


class BasicAuth(AuthenticationBackend):
    """Accepts any client that sends a well-formed Authorization field."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
        kind, _, rest = conn.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name = base64.b64decode(rest).decode("utf-8")
        except ValueError as error:
            raise AuthenticationError("cannot be read") from error
        return AuthCredentials(["authenticated"]), SimpleUser(name)


async def pass_on(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    response.headers["x-path"] = quote(request.url.path, errors="replace")
    return response


def make_app(directory: Path, *outermost: Middleware) -> Pallasite:
    return Pallasite(
        routes=[
            Mount("/static", StaticFiles(directory=directory, html=True)),
            Mount("/links", StaticFiles(directory=directory, follow_symlink=True)),
            Route("/events", events),
            Route("/form", form, methods=["POST"]),
            Route("/{rest:path}", everything),
        ],
        middleware=[
            *outermost,
            Middleware(GZipMiddleware, minimum_size=1),
            Middleware(
                CORSMiddleware, allow_origin_regex=r"(?!.*invalid).*", allow_credentials=True, allow_headers=["*"]
            ),
            Middleware(SessionMiddleware, secret_key="not very secret, but long"),
            Middleware(AuthenticationMiddleware, backend=BasicAuth()),
            Middleware(BaseHTTPMiddleware, dispatch=pass_on),
        ],
        max_body_size=2_000_000,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("a" * 5000)
    (tmp_path / "index.html").write_text("<p>index")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "index.html").write_text("<p>below")
    return tmp_path


async def ask(app: Any, path: str, headers: list[tuple[bytes, bytes]], method: str = "GET", body: bytes = b"") -> int:
    """The answer's status. A 5xx, a line break in a header and anything that reaches the server fail the test."""
    scope = scope_of(path, method=method, headers=headers, client=None, server=None)
    sent = await exchange(app, scope, [{"type": "http.request", "body": body}], stays=True)
    status: int = sent[0]["status"]
    assert status < 500
    assert not sent[-1].get("more_body", False)
    for name, value in sent[0]["headers"]:
        assert not set(name + value) & set(b"\r\n\0"), (name, value)
    return status


ODD_BYTES = {
    "empty": b"",
    "nul": b"a\0b",
    "line feed": b"a\nb",
    "carriage return": b"a\r\nx: y",
    "all bytes": bytes(range(256)),
    "bad utf-8": b"\xff\xfe\xc0\x80",
    "separators only": b";;;,,,===&&&",
    "numbers": b"gzip;q=x, br;q=1e9, *;q=-1, gzip;q=" + b"1" * 5000,
    "ranges": b"bytes=" + b"1-2," * 5000,
    "long range": b"bytes=" + b"9" * 5000 + b"-" + b"9" * 5000,
    "date": b"Mon, 99 Foo 99999 99:99:99 GMT",
    "far date": b"Fri, 31 Dec 9999999 23:59:59 GMT",
    "tags": b'W/"a, "b, "\xff"' * 100,
    "basic": b"Basic \xff=",
    "basic text": b"Basic " + base64.b64encode(b"\xff\0"),
    "long": b"x" * 100_000,
}
NAMES = [
    b"accept-encoding",
    b"access-control-request-headers",
    b"access-control-request-method",
    b"authorization",
    b"content-length",
    b"content-type",
    b"cookie",
    b"host",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"last-event-id",
    b"origin",
    b"range",
]


@pytest.mark.parametrize("value", ODD_BYTES.values(), ids=ODD_BYTES.keys())
@pytest.mark.parametrize("name", NAMES, ids=repr)
async def test_header_of_any_bytes_passes_every_layer(name: bytes, value: bytes, directory: Path) -> None:
    app = make_app(directory)
    headers = [(name, value), (b"accept-encoding", b"gzip"), (b"origin", b"https://a.example"), (b"range", b"bytes=1-")]
    for path in ("/", "/static/a.txt", "/links/a.txt", "/static/", "/events"):
        await ask(app, path, headers)
    await ask(app, "/static/a.txt", [(name, value), (b"if-range", b'"x"'), (b"range", b"bytes=0-1,3-4")])
    await ask(app, "/", [(b"access-control-request-method", b"PUT"), (b"origin", b"x"), *headers], "OPTIONS")
    await ask(app, "/", [(name, value), (b"access-control-request-method", b"PUT")], "OPTIONS")
    await ask(app, "/form", headers, "POST", b"--x")


PATHS = {
    "nul": "/a\0b",
    "line feed": "/a.txt\n",
    "encoded slash": "/%2e%2e%2fa.txt",
    "double slash": "//a.txt",
    "dots": "/../../etc/passwd",
    "backslashes": "/..\\..\\x",
    "lone surrogate": "/\ud800",
    "escaped byte": "/\udcff",
    "long name": "/" + "x" * 5000,
    "long path": "/x" * 5000,
    "absolute": "//etc/passwd",
    "below a file": "/a.txt/b",
    "directory": "/below",
    "directory without index": "/below/..",
    "other planes": "/\U0010ffff",
    "spaces": "/ . ",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("mount", ["/static", "/links", "/events", ""])
async def test_path_of_any_text_passes_every_layer(mount: str, path: str, directory: Path) -> None:
    app = make_app(directory)
    for method in ("GET", "HEAD", "POST", "BREW"):
        await ask(app, mount + path, [], method)


@pytest.mark.parametrize(
    "value", [*ODD_BYTES.values(), b"a.example\r\nx: y", b"[::1", b"a:b:c", b"www.a.example"], ids=repr
)
async def test_host_of_any_bytes_is_refused_or_redirected(value: bytes, directory: Path) -> None:
    for layer in (
        Middleware(TrustedHostMiddleware, allowed_hosts=["a.example", "*.example"]),
        Middleware(TrustedHostMiddleware, allowed_hosts=["www.a.example"], www_redirect=True),
        Middleware(HTTPSRedirectMiddleware),
    ):
        app = make_app(directory, layer)
        for path in ("/", "//evil.example/", "/\ud800", "/a\r\nx: y"):
            await ask(app, path, [(b"host", value)])
            await ask(app, path, [])


BREAKS = ["a\rb", "a\nb", "a\r\nset-cookie: x=y", "a\0b"]


@pytest.mark.parametrize("text", BREAKS, ids=repr)
@pytest.mark.parametrize(
    ("layer", "option"),
    [
        (SessionMiddleware, {"session_cookie": ""}),
        (SessionMiddleware, {"path": ""}),
        (SessionMiddleware, {"domain": ""}),
        (CORSMiddleware, {"allow_methods": [""]}),
        (CORSMiddleware, {"allow_headers": [""]}),
        (CORSMiddleware, {"expose_headers": [""]}),
    ],
    ids=str,
)
def test_option_with_a_line_break_or_nul_is_refused_where_it_is_set(layer: Any, option: Any, text: str) -> None:
    [(name, shape)] = option.items()
    value = [text] if isinstance(shape, list) else text
    more = {"secret_key": "x" * 16} if layer is SessionMiddleware else {}
    with pytest.raises(ValueError):
        layer(PlainTextResponse("x"), **{name: value}, **more)
