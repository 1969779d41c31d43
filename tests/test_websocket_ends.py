"""How a WebSocket ends: rejected, closed with a code that may be sent, or closed because of an exception.

Sources: RFC 6455 sections 5.5 and 7.4, and the ASGI specification of WebSockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._compat import mode
from pallasite._http.close_frame import cut_reason
from pallasite.applications import Pallasite
from pallasite.authentication import requires
from pallasite.endpoints import WebSocketEndpoint
from pallasite.exceptions import HTTPException, WebSocketException
from pallasite.middleware import Middleware
from pallasite.middleware.authentication import AuthenticationMiddleware
from pallasite.middleware.sessions import SessionMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Route, WebSocketRoute
from pallasite.testclient import TestClient, WebSocketDenialResponse
from pallasite.types import Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketClose
from tests.support.asgi import connect

ClientFactory = Callable[..., TestClient]
SENDABLE = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000, 4999]
# Reserved, without meaning, for later protocols, or outside the range (RFC 6455 section 7.4.2).
NOT_SENDABLE = [-1, 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65536]


# --- codes and reasons


@pytest.mark.parametrize("code", NOT_SENDABLE)
def test_code_that_cannot_be_sent_is_refused_where_it_is_given(code: int) -> None:
    for make in (WebSocketException, WebSocketClose):
        with pytest.raises(ValueError, match=f"^{code} cannot be sent as a close code"):
            make(code)


async def test_code_that_cannot_be_sent_is_left_to_the_server_in_compatibility_mode(
    monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str
) -> None:
    monkeypatch.setattr(mode, "current", mode.STARLETTE)

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(1006)

    assert WebSocketException(1006).code == 1006
    sent = await connect(Pallasite(routes=[WebSocketRoute("/", endpoint)]))
    assert [(message["type"], message.get("code")) for message in sent] == [
        ("websocket.accept", None),
        ("websocket.close", 1006),
    ]


@pytest.mark.parametrize("code", SENDABLE)
def test_code_that_can_be_sent_is_accepted(code: int) -> None:
    assert WebSocketException(code).code == code
    assert WebSocketClose(code).code == code


@pytest.mark.parametrize("code", NOT_SENDABLE)
async def test_close_refuses_a_code_and_the_connection_stays_open(code: int, anyio_backend_name: str) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(ValueError, match="cannot be sent as a close code"):
            await websocket.close(code)
        with pytest.raises(ValueError, match="cannot be sent as a close code"):
            await websocket.send({"type": "websocket.close", "code": code})
        await websocket.close(1001)

    sent = await connect(Pallasite(routes=[WebSocketRoute("/", endpoint)]))
    assert [(message["type"], message.get("code")) for message in sent] == [
        ("websocket.accept", None),
        ("websocket.close", 1001),
    ]


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        ("", ""),
        ("a" * 123, "a" * 123),
        ("a" * 124, "a" * 123),
        ("é" * 62, "é" * 61),  # 124 bytes: a character is not cut in two
        ("€" * 41, "€" * 41),
        ("€" * 42, "€" * 41),
        ("\U0001f600" * 31, "\U0001f600" * 30),
        ("\ud800", "\ufffd"),
    ],
)
def test_reason_is_cut_at_a_character(reason: str, cut: str) -> None:
    assert cut_reason(reason) == cut


@given(st.text(st.characters(), max_size=200))
def test_reason_of_any_text_fits(reason: str) -> None:
    assert len(cut_reason(reason).encode("utf-8")) <= 123


def by_close(reason: str) -> Any:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4000, reason)

    return endpoint


def by_exception(reason: str) -> Any:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise WebSocketException(4000, reason)

    return endpoint


def by_message(reason: str) -> Any:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send({"type": "websocket.close", "code": 4000, "reason": reason})

    return endpoint


def by_application(reason: str) -> Any:
    class Refusing:
        def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
            self.channels = scope, receive, send

        def __await__(self) -> Any:
            return WebSocketClose(4000, reason)(*self.channels).__await__()

    return Refusing


@pytest.mark.parametrize("way", [by_close, by_exception, by_message, by_application])
async def test_long_reason_never_reaches_the_server(way: Any, anyio_backend_name: str) -> None:
    sent = await connect(Pallasite(routes=[WebSocketRoute("/", way("é" * 80))]))
    assert sent[-1] == {"type": "websocket.close", "code": 4000, "reason": "é" * 61}


# --- rejected before the handshake


class Anonymous:
    async def authenticate(self, conn: Any) -> None:
        return None


def room(refuse: Any, encoding: Any, events: list[Any]) -> Pallasite:
    class Room(WebSocketEndpoint):
        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            events.append(data)

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            events.append(close_code)

    Room.encoding = encoding
    Room.on_connect = refuse  # type: ignore[method-assign]
    layers: list[Any] = [Middleware(AuthenticationMiddleware, backend=Anonymous())]  # type: ignore[arg-type]
    return Pallasite(routes=[WebSocketRoute("/", Room)], middleware=layers)


async def close_at_once(self: Any, websocket: WebSocket) -> None:
    await websocket.close(1008)


async def close_after_the_opening(self: Any, websocket: WebSocket) -> None:
    await websocket.receive()
    await websocket.close(1008)


async def deny(self: Any, websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("no", status_code=401))


@requires("authenticated")
async def only_members(self: Any, websocket: WebSocket) -> None:
    await websocket.accept()


@pytest.mark.parametrize("encoding", [None, "text", "bytes", "json"])
@pytest.mark.parametrize(
    ("refuse", "types"),
    [
        (close_at_once, ["websocket.close"]),
        (close_after_the_opening, ["websocket.close"]),
        (only_members, ["websocket.close"]),
        (deny, ["websocket.http.response.start", "websocket.http.response.body"]),
    ],
)
async def test_rejection_in_on_connect_is_all_that_is_sent(
    refuse: Any, types: list[str], encoding: Any, anyio_backend_name: str
) -> None:
    events: list[Any] = []
    sent = await connect(room(refuse, encoding, events), extensions={"websocket.http.response": {}})
    assert [message["type"] for message in sent] == types
    # 1006: the connection ended without a close frame.
    assert events == [1006]


async def test_closed_in_on_connect_after_accepting_waits_for_the_client(anyio_backend_name: str) -> None:
    async def accept_and_close(self: Any, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4001)

    events: list[Any] = []
    sent = await connect(room(accept_and_close, None, events))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert events == [1000]


# --- exceptions with a response


def raising(exc: Exception, *, accepted: bool = True, closed: bool = False) -> Any:
    async def endpoint(websocket: WebSocket) -> None:
        if accepted:
            await websocket.accept()
        if closed:
            await websocket.close(4000)
        raise exc

    return endpoint


def raising_class(exc: Exception) -> Any:
    class Endpoint(WebSocketEndpoint):
        async def on_connect(self, websocket: WebSocket) -> None:
            await websocket.accept()
            raise exc

    return Endpoint


class Own(Exception):
    pass


async def with_json(conn: Any, exc: Exception) -> Response:
    return JSONResponse({"error": str(exc)}, status_code=409)


LAYERS: dict[str, list[Any]] = {
    "alone": [],
    "session": [Middleware(SessionMiddleware, secret_key="0123456789abcdef")],
}


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("endpoint", [raising, raising_class])
@pytest.mark.parametrize(
    ("exc", "code", "reason"),
    [
        (HTTPException(401), 1008, "Unauthorized"),
        (HTTPException(403, detail="not yours"), 1008, "not yours"),
        (HTTPException(404, detail="é" * 80), 1008, "é" * 61),
        (HTTPException(413), 1009, None),
        (HTTPException(429), 1013, "Too Many Requests"),
        (HTTPException(503), 1013, "Service Unavailable"),
        (HTTPException(500), 1011, "Internal Server Error"),
        (HTTPException(502), 1011, "Bad Gateway"),
        (Own("x"), 1011, ""),
    ],
    ids=lambda value: str(getattr(value, "status_code", value))[:20],
)
async def test_exception_with_a_response_closes_an_open_websocket(
    exc: Exception, code: int, reason: str | None, endpoint: Any, layers: str, anyio_backend_name: str
) -> None:
    app = Pallasite(
        routes=[WebSocketRoute("/", endpoint(exc))], middleware=LAYERS[layers], exception_handlers={Own: with_json}
    )
    accept, close = await connect(app, extensions={"websocket.http.response": {}})
    assert accept["type"] == "websocket.accept"
    assert (close["type"], close["code"]) == ("websocket.close", code)
    assert reason is None or close["reason"] == reason


async def test_exception_with_a_detail_that_is_no_text_closes_without_a_reason(anyio_backend_name: str) -> None:
    exc = HTTPException(409, detail={"a": 1})  # type: ignore[arg-type]  # as FastAPI allows, with its own handler
    app = Pallasite(routes=[WebSocketRoute("/", raising(exc))], exception_handlers={409: with_json})
    _, close = await connect(app)
    assert (close["code"], close["reason"]) == (1008, "")


@pytest.mark.parametrize("layers", LAYERS)
async def test_exception_after_the_close_sends_nothing(layers: str, anyio_backend_name: str) -> None:
    routes = [WebSocketRoute("/", raising(HTTPException(403), closed=True))]
    sent = await connect(Pallasite(routes=routes, middleware=LAYERS[layers]))
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]


@pytest.mark.parametrize("layers", LAYERS)
async def test_exception_before_the_handshake_is_its_response(layers: str, anyio_backend_name: str) -> None:
    routes = [WebSocketRoute("/", raising(HTTPException(403), accepted=False))]
    app = Pallasite(routes=routes, middleware=LAYERS[layers])
    start, _ = await connect(app, extensions={"websocket.http.response": {}})
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 403)


# --- the test client


async def login(request: Request) -> Response:
    response = PlainTextResponse(request.headers["host"])
    response.set_cookie("token", "t", secure=True)
    return response


async def mirror(websocket: WebSocket) -> None:
    await websocket.accept()
    names = ("host", "x-team")
    await websocket.send_json(
        {
            **{name: websocket.headers.get(name) for name in names},
            "url": str(websocket.url),
            "server": websocket.scope["server"],
            "cookies": websocket.cookies,
        }
    )
    await websocket.close()


MIRROR = Pallasite(routes=[Route("/v1/login", login), WebSocketRoute("/v1/chat", mirror)])


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("/chat", "wss://shop.example/v1/chat"),
        ("chat?a=b", "wss://shop.example/v1/chat?a=b"),
        ("ws://other.example/v1/chat", "ws://other.example/v1/chat"),
    ],
)
def test_client_connects_to_its_base_url(url: str, seen: str, test_client_factory: ClientFactory) -> None:
    client = test_client_factory(MIRROR, base_url="https://shop.example/v1/", headers={"X-Team": "red"})
    assert client.get("/login").text == "shop.example"
    with client.websocket_connect(url) as session:
        message = session.receive_json()
    own = "shop.example" in seen
    assert message == {
        "host": "shop.example" if own else "other.example",
        "x-team": "red",
        "url": seen,
        "server": ["shop.example", 443] if own else ["other.example", 80],
        # The cookie is for the host that set it, and for secure connections only.
        "cookies": {"token": "t"} if own else {},
    }


def test_client_sees_the_denial_of_a_rejected_handshake(test_client_factory: ClientFactory) -> None:
    app = Pallasite(routes=[WebSocketRoute("/", raising(HTTPException(403, detail="no"), accepted=False))])
    with pytest.raises(WebSocketDenialResponse) as denied, test_client_factory(app).websocket_connect("/"):
        pass
    assert (denied.value.status_code, denied.value.text) == (403, "no")


# --- the observer that knows


def test_observer_follows_a_websocket() -> None:
    from pallasite._core import Observer

    async def send(message: Any) -> None: ...

    observer = Observer(send)
    states = []
    for kind in ("websocket.accept", "websocket.send", "websocket.close", "websocket.send"):
        observer({"type": kind}).close()  # type: ignore[attr-defined]
        states.append((observer.is_open, observer.is_closed, observer.started))
    assert states == [(True, False, False), (True, False, False), (False, True, False), (False, True, False)]
    rejected = Observer(send)
    rejected({"type": "websocket.http.response.start"}).close()  # type: ignore[attr-defined]
    assert (rejected.is_open, rejected.is_closed) == (False, True)
