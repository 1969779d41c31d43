"""Sessions in a signed cookie: when they are stored, with what content, and forged cookies."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import itsdangerous
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.middleware.sessions import SessionMiddleware as StarlettesSessions

from pallasite._compat import mode
from pallasite.applications import Pallasite
from pallasite.background import BackgroundTask
from pallasite.datastructures import Secret
from pallasite.exceptions import SecurityWarning
from pallasite.middleware import Middleware
from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.middleware.sessions import (
    MAX_COOKIE_BYTES,
    MIN_SECRET_BYTES,
    Session,
    SessionMiddleware,
    SessionNotStored,
    SessionTooLarge,
)
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pallasite.routing import Mount, Route, WebSocketRoute
from pallasite.testclient import WebSocketDenialResponse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.asgi import UNUSED, Sent, never
from tests.support.clients import ClientFactory

pytestmark = pytest.mark.anyio

SECRET = "iron and crystal"
SIGNER = itsdangerous.TimestampSigner(SECRET)
DAY = 24 * 60 * 60


def signed(data: Any, signer: Any = SIGNER) -> Any:
    return signer.sign(base64.b64encode(json.dumps(data).encode())).decode()


async def visit(
    change: Any,
    *,
    cookie: str | None = None,
    headers: Any = (),
    layer: Any = SessionMiddleware,
    response: Any = None,
    **options: Any,
) -> Any:
    """The headers of a response to a request that does `change(session)`, and what `change` gave back."""
    seen, sent = [], Sent()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(change(Request(scope)))
        await (response or PlainTextResponse("ok", headers=dict(headers)))(scope, receive, send)

    raw = [] if cookie is None else [(b"cookie", f"theme=dark; session={cookie}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": raw}
    await layer(app, secret_key=SECRET, **options)(scope, never, sent)
    return [(name, value.decode()) for name, value in sent[0]["headers"]], seen[0]


def cookies(headers: Any) -> Any:
    return [value for name, value in headers if name == b"set-cookie"]


def value_of(headers: Any) -> Any:
    (cookie,) = cookies(headers)
    return cookie.partition("=")[2].partition(";")[0]


def stored_in(headers: Any) -> Any:
    return json.loads(base64.b64decode(SIGNER.unsign(value_of(headers))))


def look(request: Request) -> Any:
    return dict(request.session)


def put(**values: Any) -> Any:
    return lambda request: request.session.update(values)


async def test_session_is_stored_and_comes_back() -> None:
    headers, _ = await visit(put(user="ada", n=[1, {"é": None}]))
    assert stored_in(headers) == {"user": "ada", "n": [1, {"é": None}]}
    _, seen = await visit(look, cookie=value_of(headers))
    assert seen == {"user": "ada", "n": [1, {"é": None}]}


async def test_cookies_are_read_by_starlette_and_read_from_it() -> None:
    ours, _ = await visit(put(user="ada"))
    _, seen = await visit(look, cookie=value_of(ours), layer=StarlettesSessions)
    assert seen == {"user": "ada"}
    theirs, _ = await visit(put(user="ada"), layer=StarlettesSessions)
    headers, seen = await visit(look, cookie=value_of(theirs))
    assert seen == {"user": "ada"}
    assert cookies(headers) == []  # another spelling of the same JSON is not a change


@given(value=st.binary(max_size=100), secret=st.text(min_size=MIN_SECRET_BYTES, max_size=80))
def test_signer_agrees_with_itsdangerous(value: Any, secret: Any) -> None:
    ours, theirs = SessionMiddleware(UNUSED, secret).signer, itsdangerous.TimestampSigner(secret)
    assert theirs.unsign(ours.sign(value), max_age=60) == value
    assert ours.unsign(theirs.sign(value), max_age=60) == value
    assert ours.unsign(theirs.sign(value).decode("latin-1").encode("latin-1")) == value


def test_signer_accepts_text_and_returns_the_time_as_itsdangerous_does() -> None:
    signer = SessionMiddleware(UNUSED, SECRET).signer
    signed_text = signer.sign("text")
    value, when = signer.unsign(signed_text.decode(), return_timestamp=True)
    assert (value, when) == SIGNER.unsign(signed_text, return_timestamp=True)
    assert value == b"text"


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({}, f"path=/; Max-Age={14 * DAY}; httponly; samesite=lax"),
        ({"max_age": None}, "path=/; httponly; samesite=lax"),
        ({"max_age": 60, "same_site": "strict"}, "path=/; Max-Age=60; httponly; samesite=strict"),
        ({"max_age": None, "same_site": "none", "https_only": True}, "path=/; httponly; samesite=none; secure"),
        ({"max_age": None, "path": "/app"}, "path=/app; httponly; samesite=lax"),
        (
            {"max_age": None, "https_only": True, "domain": "example.org", "partitioned": True},
            "path=/; httponly; samesite=lax; secure; domain=example.org; partitioned",
        ),
    ],
)
async def test_cookie_attributes_follow_the_options_as_starlettes_do(options: Any, attributes: str) -> None:
    ours, _ = await visit(put(a=1), **options)
    theirs, _ = await visit(put(a=1), layer=StarlettesSessions, **options)
    assert [cookie.partition("; ")[2] for cookie in cookies(ours)] == [attributes]
    assert [cookie.partition("; ")[2] for cookie in cookies(theirs)] == [attributes]


async def test_cookie_name_can_be_chosen() -> None:
    headers, _ = await visit(put(a=1), session_cookie="sid")
    assert cookies(headers)[0].startswith("sid=")


async def test_secret_can_be_a_secret_and_not_empty() -> None:
    assert SIGNER.unsign(SessionMiddleware(UNUSED, Secret(SECRET)).signer.sign(b"x")) == b"x"
    with pytest.raises(ValueError, match="must not be empty"):
        SessionMiddleware(UNUSED, "")


async def test_secret_that_is_short_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(SecurityWarning, match="secret_key is only 15 bytes long") as caught:
        SessionMiddleware(UNUSED, "x" * (MIN_SECRET_BYTES - 1))
    assert caught[0].filename == __file__
    SessionMiddleware(UNUSED, "é" * (MIN_SECRET_BYTES // 2))  # bytes count
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    SessionMiddleware(UNUSED, "x")  # warnings are errors here


@pytest.mark.parametrize(
    "options",
    [
        {"same_site": "none"},
        {"partitioned": True},
        {"session_cookie": "__Secure-session"},
        {"session_cookie": "__Host-session"},
        {"session_cookie": "__Host-session", "https_only": True, "path": "/app"},
        {"session_cookie": "__Host-session", "https_only": True, "domain": "example.org"},
    ],
)
async def test_cookie_that_browsers_drop_is_a_value_error(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="browsers drop cookie"):
        SessionMiddleware(UNUSED, SECRET, **options)
    # Starlette's own tests want the first two accepted.
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    if "session_cookie" in options:
        with pytest.raises(ValueError, match="browsers drop cookie"):
            SessionMiddleware(UNUSED, SECRET, **options)
    else:
        SessionMiddleware(UNUSED, SECRET, **options)


async def test_host_prefix_works() -> None:
    headers, _ = await visit(put(a=1), session_cookie="__Host-session", https_only=True)
    assert cookies(headers)[0].startswith("__Host-session=")


async def test_line_break_in_an_option_is_a_value_error() -> None:
    with pytest.raises(ValueError):
        await visit(put(a=1), path="/\r\nx: y")


async def test_session_not_looked_at_leaves_the_response_alone() -> None:
    headers, _ = await visit(lambda request: None, cookie=signed({"a": 1}))
    assert not {b"vary", b"set-cookie"} & {name for name, _ in headers}


async def test_session_looked_at_varies_by_cookie() -> None:
    headers, _ = await visit(look, cookie=signed({"a": 1}))
    assert (dict(headers)[b"vary"], cookies(headers)) == ("Cookie", [])
    headers, _ = await visit(look, headers=[("vary", "Accept-Encoding")])
    assert [value for name, value in headers if name == b"vary"] == ["Accept-Encoding, Cookie"]


CHANGES = {
    "set": lambda session: session.__setitem__("b", 2),
    "delete": lambda session: session.__delitem__("a"),
    "pop": lambda session: session.pop("a"),
    "popitem": lambda session: session.popitem(),
    "setdefault": lambda session: session.setdefault("b", 2),
    "update": lambda session: session.update(b=2),
    "or": lambda session: session.__ior__({"b": 2}),
    "nested list": lambda session: session["list"].append(3),
    "nested dictionary": lambda session: session["list"][0].update(x=2),
}
START = {"a": 1, "list": [{"x": 1}], "end": 0}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_change_of_any_kind_is_stored(change: Any) -> None:
    expected = json.loads(json.dumps(START))
    change(expected)
    headers, _ = await visit(lambda request: change(request.session), cookie=signed(START))
    assert stored_in(headers) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.pop("missing", None),
        lambda session: session.setdefault("a", 5),
        lambda session: session.get("a"),
        lambda session: list(session.items()),
    ],
    ids=["pop missing", "setdefault present", "get", "items"],
)
async def test_reading_stores_nothing(change: Any) -> None:
    headers, _ = await visit(lambda request: change(request.session), cookie=signed(START))
    assert cookies(headers) == []


def test_session_knows_whether_it_was_changed() -> None:
    session = Session({"a": 1})
    assert (session.accessed, session.modified) == (False, False)
    session.mark_accessed()
    assert (session.accessed, session.modified) == (True, False)
    for refused in (lambda: session.pop("missing"), lambda: session.__delitem__("missing"), Session().popitem):
        with pytest.raises(KeyError):
            refused()
    assert not session.modified
    session |= {"b": 2}
    assert isinstance(session, Session)
    assert session.modified
    assert session == {"a": 1, "b": 2}


async def test_session_cleared_removes_the_cookie() -> None:
    headers, _ = await visit(lambda request: request.session.clear(), cookie=signed({"a": 1}))
    assert cookies(headers) == ["session=null; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; httponly; samesite=lax"]
    headers, _ = await visit(lambda request: request.session.clear())
    assert cookies(headers) == []


async def test_session_too_large_is_refused_loudly_at_the_limit() -> None:
    smallest, _ = await visit(put(a=""))
    room = (MAX_COOKIE_BYTES - len("session=") - len(value_of(smallest))) // 4 * 3
    headers, _ = await visit(put(a="x" * (room - 3)))
    assert len(cookies(headers)[0].partition(";")[0]) <= MAX_COOKIE_BYTES
    with pytest.raises(SessionTooLarge, match=r"takes \d+ bytes as a cookie; browsers store 4096"):
        await visit(put(a="x" * (room + 4)))


async def test_session_that_is_not_json_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        await visit(put(a=object()))


def expired() -> Any:
    class Earlier(itsdangerous.TimestampSigner):
        def get_timestamp(self) -> Any:
            return super().get_timestamp() - 15 * DAY

    return signed({"a": 1}, Earlier(SECRET))


def from_the_future() -> Any:
    class Later(itsdangerous.TimestampSigner):
        def get_timestamp(self) -> Any:
            return super().get_timestamp() + DAY

    return signed({"a": 1}, Later(SECRET))


GOOD = signed({"a": 1})
FORGED = {
    "other secret": signed({"a": 1}, itsdangerous.TimestampSigner("other")),
    "unsigned": base64.b64encode(b'{"a": 1}').decode(),
    "signature cut": GOOD[:-1],
    "signature longer": GOOD + "A",
    "payload changed": "f" + GOOD[1:],
    "time changed": re.sub(r"\.(\w)", lambda match: "." + ("A" if match[1] != "A" else "B"), GOOD, count=1),
    "time missing": itsdangerous.Signer(SECRET).sign(b"e30=").decode(),
    "no json": SIGNER.sign(base64.b64encode(b"{")).decode(),
    "more than json": SIGNER.sign(base64.b64encode(b'{"a": 1} {}')).decode(),
    "no dictionary": signed(5),
    "no base64": SIGNER.sign(b"e").decode(),
    "no utf-8": SIGNER.sign(base64.b64encode(b'{"a": "\xff"}')).decode(),
    "empty": "",
    "dots": "...",
    "not ascii": "é.é.é",
    "long": "A." * 50_000,
    "expired": expired(),
    "from the future": from_the_future(),
}


@pytest.mark.parametrize("cookie", FORGED.values(), ids=FORGED)
async def test_cookie_forged_garbled_or_expired_is_an_empty_session(cookie: Any) -> None:
    headers, seen = await visit(look, cookie=cookie)
    assert (seen, cookies(headers)) == ({}, [])


@given(garbage=st.text(st.characters(codec="latin-1", exclude_characters=";"), max_size=60))
def test_cookie_of_any_text_is_an_empty_session(garbage: Any) -> None:
    layer = SessionMiddleware(UNUSED, SECRET)
    scope = {"headers": [(b"cookie", b"session=" + garbage.encode("latin-1"))]}
    assert layer._load(scope) == (None, {})


async def test_expired_is_judged_by_max_age() -> None:
    _, seen = await visit(look, cookie=expired(), max_age=16 * DAY)
    assert seen == {"a": 1}
    _, seen = await visit(look, cookie=expired(), max_age=None)
    assert seen == {"a": 1}
    _, seen = await visit(look, cookie=signed({"a": 1}), max_age=-1)
    assert seen == {}


async def test_plain_dictionary_put_in_its_place_is_stored() -> None:
    def replace(request: Request) -> None:
        request.scope["session"] = {"user": "grace"}

    headers, _ = await visit(replace, cookie=signed({"a": 1}))
    assert stored_in(headers) == {"user": "grace"}


async def test_custom_signer_is_used() -> None:
    signer = itsdangerous.TimestampSigner("another", salt="pepper")
    sent = Sent()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        Request(scope).session["n"] = Request(scope).session["n"] + 1
        await PlainTextResponse("ok")(scope, receive, send)

    layer: Any = SessionMiddleware(app, SECRET)
    layer.signer = signer
    await layer(
        {"type": "http", "headers": [(b"cookie", b"session=" + signed({"n": 1}, signer).encode())]}, UNUSED, sent
    )
    value = value_of([(name, value.decode()) for name, value in sent[0]["headers"]])
    assert json.loads(base64.b64decode(signer.unsign(value))) == {"n": 2}


async def test_response_sent_twice_sets_each_clients_own_cookie() -> None:
    response = PlainTextResponse("shared")
    first, _ = await visit(put(user="ada"), response=response)
    second, _ = await visit(put(user="grace"), response=response)
    assert stored_in(first) == {"user": "ada"}
    assert stored_in(second) == {"user": "grace"}


async def test_lifespan_passes_through_untouched() -> None:
    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    await SessionMiddleware(app, SECRET)({"type": "lifespan"}, UNUSED, UNUSED)
    assert scopes == [{"type": "lifespan"}]


async def test_stream_stores_what_was_changed_before_its_start() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        await anyio.lowlevel.checkpoint()
        yield b"b"

    headers, _ = await visit(put(a=1), response=StreamingResponse(pieces()))
    assert stored_in(headers) == {"a": 1}


async def test_error_and_disconnect_go_through() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        Request(scope).session["a"] = 1
        raise LookupError("no")

    async def gone(message: Message) -> None:
        raise OSError("gone")

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    with pytest.raises(LookupError):
        await SessionMiddleware(broken, SECRET)(dict(scope), UNUSED, UNUSED)
    with pytest.raises(OSError, match="gone"):
        await SessionMiddleware(PlainTextResponse("ok"), SECRET)(dict(scope), UNUSED, gone)


def test_application_keeps_a_session_across_requests_and_websockets(test_client_factory: ClientFactory) -> None:
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    async def count(request: Request) -> JSONResponse:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return JSONResponse(request.session)

    async def sign_out(request: Request) -> JSONResponse:
        request.session.clear()
        return JSONResponse({})

    async def tell(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.session)
        await websocket.close()

    app = Pallasite(
        routes=[Route("/", count), Route("/out", sign_out), WebSocketRoute("/ws", tell)],
        middleware=[Middleware(SessionMiddleware, secret_key=SECRET)],
        lifespan=lifespan,
    )
    with test_client_factory(app) as client:
        assert client.get("/").json() == {"visits": 1}
        assert client.get("/").json() == {"visits": 2}
        with client.websocket_connect("/ws") as websocket:
            assert websocket.receive_json() == {"visits": 2}
        client.get("/out")
        assert client.get("/").json() == {"visits": 1}
    assert events == ["up", "down"]


def websocket_app(*steps: Any) -> Any:
    """An application that does these to its session, sending those that are messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for step in steps:
            await send(dict(step)) if isinstance(step, dict) else step(Request({**scope, "type": "http"}))

    return SessionMiddleware(app, SECRET)


ACCEPT, CLOSE = {"type": "websocket.accept"}, {"type": "websocket.close", "code": 1000}


@pytest.mark.parametrize("accept", [ACCEPT, {**ACCEPT, "headers": None}, {**ACCEPT, "headers": [(b"x-a", b"b")]}])
def test_websocket_handshake_stores_what_was_changed_before(test_client_factory: ClientFactory, accept: Any) -> None:
    client = test_client_factory(websocket_app(put(a=1), accept, CLOSE))
    with client.websocket_connect("/") as websocket:
        assert websocket.extra_headers is not None
        (*others, (name, value)) = websocket.extra_headers
        assert others == (accept.get("headers") or [])
        assert (name, stored_in([(name, value.decode())])) == (b"set-cookie", {"a": 1})


def test_websocket_refused_stores_nothing(test_client_factory: ClientFactory) -> None:
    with pytest.raises(WebSocketDisconnect), test_client_factory(websocket_app(put(a=1), CLOSE)).websocket_connect("/"):
        pass


def test_websocket_denied_by_a_response_stores_what_was_changed_before(test_client_factory: ClientFactory) -> None:
    start = {"type": "websocket.http.response.start", "status": 403, "headers": []}
    client = test_client_factory(websocket_app(put(a=1), start, {"type": "websocket.http.response.body"}))
    with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/"):
        pass
    assert refused.value.headers["vary"] == "Cookie"
    assert "session=" in refused.value.headers["set-cookie"]


@pytest.mark.parametrize("accepted", [False, True], ids=["not-looked-at", "changed-before"])
def test_websocket_session_changed_after_accept_is_an_error(test_client_factory: ClientFactory, accepted: bool) -> None:
    before = [put(a=1)] if accepted else []
    client = test_client_factory(websocket_app(*before, ACCEPT, look, put(b=2), CLOSE))
    with pytest.raises(SessionNotStored), client.websocket_connect("/") as websocket:
        websocket.receive()


CHANGES = {
    "set": lambda session: session.__setitem__("a", 2),
    "new": lambda session: session.__setitem__("b", 2),
    "delete": lambda session: session.__delitem__("a"),
    "merge": lambda session: session.__ior__({"b": 2}),
    "update": lambda session: session.update(a=2),
    "clear": lambda session: session.clear(),
    "pop": lambda session: session.pop("a"),
    "popitem": lambda session: session.popitem(),
    "setdefault": lambda session: session.setdefault("b", 2),
    "mark": lambda session: session.mark_modified(),
}
READINGS = {
    "get": lambda session: session["list"],
    "pop of nothing": lambda session: session.pop("nothing", None),
    "setdefault of something": lambda session: session.setdefault("a", 2),
    "copy": lambda session: session.copy(),
}


def late(change: Any, *, first: Any = None, cookie: str | None = None) -> Any:
    """A request whose streamed body changes the session: whether that raised, and the chunks that were sent."""
    events = []

    def app(scope: Scope) -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"head"
            events.append("changing")
            change(Request(scope).session)
            events.append("changed")
            yield b"tail"

        return StreamingResponse(pieces())

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        if first is not None:
            first(Request(scope).session)
        await app(scope)(scope, receive, send)

    async def run() -> Any:
        sent = Sent()
        headers = [] if cookie is None else [(b"cookie", f"session={cookie}".encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "asgi": {"spec_version": "2.4"}}
        try:
            await SessionMiddleware(stream, SECRET)(scope, UNUSED, sent)
        except SessionNotStored:
            events.append("refused")
        return events, [message for message in sent if message["type"] == "http.response.body"]

    return run()


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_change_after_the_start_is_an_error_where_it_is_made(change: Any, looked_at: bool) -> None:
    first = look_at if looked_at else None
    events, body = await late(change, first=first, cookie=signed({"a": 1, "list": []}))
    assert events == ["changing", "refused"]
    assert [message["more_body"] for message in body] == [True]  # broken off, not ended


def look_at(session: Any) -> None:
    session.mark_accessed()


@pytest.mark.parametrize("first", [None, look_at, lambda session: session.update(c=3)], ids=["", "read", "changed"])
@pytest.mark.parametrize("change", READINGS.values(), ids=READINGS)
async def test_reading_after_the_start_is_not_an_error(change: Any, first: Any) -> None:
    events, body = await late(change, first=first, cookie=signed({"a": 1, "list": []}))
    assert events == ["changing", "changed"]
    assert body[-1]["more_body"] is False


async def test_reading_an_empty_session_after_the_start_is_not_an_error() -> None:
    events, _ = await late(lambda session: session.get("a"))
    assert events == ["changing", "changed"]


async def test_session_written_with_more_space_may_be_read_after_the_start() -> None:
    spaced = SIGNER.sign(base64.b64encode(b'{"a": 1, "list": []}')).decode()
    events, _ = await late(lambda session: session["a"], cookie=spaced)
    assert events == ["changing", "changed"]


@pytest.mark.parametrize("first", [None, look_at], ids=["", "read"])
async def test_nested_change_after_the_start_is_an_error_at_the_end(first: Any) -> None:
    events, _ = await late(lambda session: session["list"].append(1), first=first, cookie=signed({"a": 1, "list": []}))
    assert events == ["changing", "changed", "refused"]


async def test_nested_values_taken_out_after_the_start_are_an_error_at_the_end() -> None:
    events, _ = await late(lambda session: dict.clear(session), first=look_at, cookie=signed({"a": 1}))
    assert events == ["changing", "changed", "refused"]


@pytest.mark.parametrize("replaced", [{"user": "ada"}, {}])
async def test_another_session_put_in_its_place_after_the_start_is_an_error(replaced: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("ok")(scope, receive, send)
        scope["session"] = replaced

    async def send(message: Message) -> None:
        pass

    with pytest.raises(SessionNotStored, match="after the response started"):
        await SessionMiddleware(app, SECRET)({"type": "http", "headers": []}, UNUSED, send)


def test_change_in_a_background_task_is_logged_and_raised(
    test_client_factory: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    async def endpoint(request: Request) -> PlainTextResponse:
        def forget() -> None:
            request.session.clear()

        return PlainTextResponse("ok", background=BackgroundTask(forget))

    app = Pallasite(routes=[Route("/", endpoint)], middleware=[Middleware(SessionMiddleware, secret_key=SECRET)])
    with pytest.raises(SessionNotStored):
        test_client_factory(app).get("/")
    assert "forget failed" in caplog.text


def test_function_middleware_inside_may_still_change_it(test_client_factory: ClientFactory) -> None:
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def count(request: Request, call_next: RequestResponseEndpoint) -> Any:
        response = await call_next(request)
        request.session["visits"] = 1
        return response

    layers = [Middleware(SessionMiddleware, secret_key=SECRET), Middleware(BaseHTTPMiddleware, dispatch=count)]
    app = Pallasite(routes=[Route("/", endpoint)], middleware=layers)
    assert "session=" in test_client_factory(app).get("/").headers["set-cookie"]
    # Outside the middleware that sends the cookie, it is too late.
    app = Pallasite(routes=[Route("/", endpoint)], middleware=layers[::-1])
    with pytest.raises(SessionNotStored):
        test_client_factory(app).get("/")


def test_session_of_a_mounted_application_leaves_the_outer_one_alone(test_client_factory: ClientFactory) -> None:
    async def store(request: Request) -> JSONResponse:
        request.session[request.url.path] = True
        return JSONResponse(sorted(request.session))

    inner = Pallasite(
        routes=[Route("/", store)],
        middleware=[Middleware(SessionMiddleware, secret_key="b" * 40, session_cookie="inner", path="/inner")],
    )
    outer = Pallasite(
        routes=[Route("/outer", store), Mount("/inner", inner)],
        middleware=[Middleware(SessionMiddleware, secret_key="a" * 40, session_cookie="outer")],
    )
    client = test_client_factory(outer)
    for path in ("/outer", "/inner/", "/outer", "/inner/"):
        assert client.get(path).json() == [path]
