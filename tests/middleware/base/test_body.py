"""`BaseHTTPMiddleware`: what `dispatch` has read is there for the application, or reading it is an error.

ASGI's HTTP spec: a server sends each part of the body once, so a reader that does not keep it takes it from the others.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest

from pallasite._compat import mode
from pallasite.exceptions import StarletteDeprecationWarning
from pallasite.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.types import Receive, Scope, Send
from tests.middleware.base.places import body_message, pass_on
from tests.support.asgi import Client

pytestmark = pytest.mark.anyio

FORM = [(b"content-type", b"application/x-www-form-urlencoded")]
MULTIPART = [(b"content-type", b"multipart/form-data; boundary=B")]
UPLOAD = b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\ncontent\r\n--B--'


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)


async def count_fields(scope: Scope, receive: Receive, send: Send) -> None:
    async with Request(scope, receive).form() as form:
        values = {name: value if isinstance(value, str) else value.filename for name, value in form.multi_items()}
    await JSONResponse(values)(scope, receive, send)


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    async def chunks() -> Any:
        yield b"a"
        yield b"b"

    await StreamingResponse(chunks())(scope, receive, send)


async def read_form(request: Request, call_next: RequestResponseEndpoint) -> Response:
    await request.form()
    return await call_next(request)


async def read_stream(request: Request, call_next: RequestResponseEndpoint) -> Response:
    async for _ in request.stream():
        pass
    return await call_next(request)


async def call_twice(request: Request, call_next: RequestResponseEndpoint) -> Response:
    try:
        return await call_next(request)
    except ConnectionError:
        return await call_next(request)


async def keep_and_call_twice(request: Request, call_next: RequestResponseEndpoint) -> Response:
    await request.body()
    return await call_twice(request, call_next)


class FailsOnce:
    """Reads one message or the whole body, and fails at the first call."""

    def __init__(self, app: Any, *, messages: int) -> None:
        self.app = app
        self.messages = messages
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        if self.calls == 1:
            for _ in range(self.messages):
                await receive()
            raise ConnectionError
        await self.app(scope, receive, send)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (FORM, b"a=1&b=2", b'{"a":"1","b":"2"}'),
        (MULTIPART, UPLOAD, b'{"f":"a.txt"}'),
    ],
    ids=["urlencoded", "multipart"],
)
@pytest.mark.parametrize("inner", [pass_on, read_form])
async def test_form_read_by_dispatch_is_the_form_of_the_application(
    headers: Any, body: bytes, expected: bytes, layers: int, inner: Any
) -> None:
    stack: Any = count_fields
    for dispatch in [inner, read_form][-layers:]:
        stack = BaseHTTPMiddleware(stack, dispatch=dispatch)
    client = await Client(body_message(body)).request(stack, method="POST", headers=headers)
    assert client.body == expected


async def test_form_is_shared_in_compatibility_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    client = Client(body_message(b"a=1"))
    await client.request(BaseHTTPMiddleware(count_fields, dispatch=read_form), method="POST", headers=FORM)
    assert client.body == b'{"a":"1"}'


@pytest.mark.parametrize(("dispatch", "app"), [(read_form, echo), (read_stream, echo), (read_stream, count_fields)])
async def test_body_read_and_not_kept_is_an_error_for_the_application(dispatch: Any, app: Any) -> None:
    client = Client(body_message(b"a=1"))
    stack = BaseHTTPMiddleware(BaseHTTPMiddleware(app, dispatch=pass_on), dispatch=dispatch)
    with pytest.raises(RuntimeError, match="already read by a middleware; call `await"):
        await client.request(stack, method="POST", headers=FORM)


async def test_body_read_and_not_kept_is_empty_in_compatibility_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode, "current", mode.STARLETTE)
    client = Client(body_message(b"a=1"))
    await client.request(BaseHTTPMiddleware(echo, dispatch=read_stream), method="POST")
    assert (client.status, client.body) == (200, b"")


async def test_body_read_and_not_kept_does_not_matter_to_an_application_that_only_streams() -> None:
    client = await Client(body_message(b"a=1")).request(BaseHTTPMiddleware(streams, dispatch=read_stream))
    assert client.body == b"ab"


@pytest.mark.parametrize("stands_in", [False, True])
async def test_body_read_and_not_kept_is_an_error_for_a_wsgi_application(
    stands_in: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StarletteDeprecationWarning)
        from pallasite.middleware.wsgi import WSGIMiddleware

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        body = environ["wsgi.input"]
        assert isinstance(body, io.BytesIO)
        return [b"read " + body.read()]

    client = Client(body_message(b"", True), body_message(b"a=1"))
    stack = BaseHTTPMiddleware(WSGIMiddleware(app), dispatch=read_stream)
    if stands_in:
        monkeypatch.setattr(mode, "current", mode.STARLETTE)
        await client.request(stack)
        assert client.body == b"read "
    else:
        with pytest.raises(RuntimeError, match="already read by a middleware"):
            await client.request(stack)


@pytest.mark.parametrize("messages", [0, 1, 2])
async def test_body_kept_by_dispatch_is_read_by_each_call(messages: int) -> None:
    client = Client(body_message(b"order", True), body_message(b" 5"))
    client.gone.set()
    stack = BaseHTTPMiddleware(FailsOnce(echo, messages=min(messages, 1)), dispatch=keep_and_call_twice)
    await client.request(stack, method="POST")
    assert (client.status, client.body) == (200, b"order 5")


@pytest.mark.parametrize("messages", [0, 1])
async def test_second_call_reads_an_empty_body(messages: int) -> None:
    client = Client(body_message(b""))
    await client.request(BaseHTTPMiddleware(FailsOnce(echo, messages=messages), dispatch=call_twice))
    assert (client.status, client.body) == (200, b"")


async def test_second_call_reads_a_body_that_the_first_left_alone() -> None:
    client = Client(body_message(b"order", True), body_message(b" 5"))
    await client.request(BaseHTTPMiddleware(FailsOnce(echo, messages=0), dispatch=call_twice))
    assert client.body == b"order 5"


@pytest.mark.parametrize("messages", [1, 2])
@pytest.mark.parametrize("stands_in", [False, True])
async def test_second_call_after_the_first_has_read_the_body_cannot_read_it(
    messages: int, stands_in: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stands_in:
        monkeypatch.setattr(mode, "current", mode.STARLETTE)
    client = Client(body_message(b"order", True), body_message(b" 5"))
    with pytest.raises(RuntimeError, match="called again without its body; call `await"):
        await client.request(BaseHTTPMiddleware(FailsOnce(echo, messages=messages), dispatch=call_twice))


async def test_second_call_may_stream_without_the_body() -> None:
    client = Client(body_message(b"order"))
    await client.request(BaseHTTPMiddleware(FailsOnce(streams, messages=1), dispatch=call_twice))
    assert client.body == b"ab"


async def test_second_call_sees_the_disconnect_that_the_first_has_seen() -> None:
    async def receives(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse((await receive())["type"])(scope, receive, send)

    client = Client()
    client.gone.set()
    await client.request(BaseHTTPMiddleware(FailsOnce(receives, messages=1), dispatch=call_twice))
    assert client.body == b"http.disconnect"


async def test_disconnect_follows_the_body_at_the_second_call() -> None:
    async def receives(scope: Scope, receive: Receive, send: Send) -> None:
        kinds = [(await receive())["type"] for _ in range(2)]
        await PlainTextResponse(" ".join(kinds))(scope, receive, send)

    client = Client(body_message(b"a"))
    client.gone.set()
    await client.request(BaseHTTPMiddleware(FailsOnce(receives, messages=0), dispatch=call_twice))
    assert client.body == b"http.request http.disconnect"


async def test_is_disconnected_in_dispatch_takes_nothing_from_the_application() -> None:
    async def asks(request: Request, call_next: RequestResponseEndpoint) -> Response:
        assert not await request.is_disconnected()
        return await call_next(request)

    client = Client(body_message(b"ab", True), body_message(b"cd"))
    await client.request(BaseHTTPMiddleware(echo, dispatch=asks))
    assert client.body == b"abcd"
