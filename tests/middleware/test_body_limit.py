"""Limits on request bodies: alone, nested, declared and counted; `middleware` runs a test against Starlette's too."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.exceptions import HTTPException as StarlettesHTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware as StarlettesMiddleware

from pallasite.exceptions import HTTPException
from pallasite.middleware.body_limit import (
    MAX_BODY_SIZE_SCOPE_KEY,
    RequestBodyLimitMiddleware,
    RequestBodyLimitResponder,
    _RequestBodyLimitResponseSent,
    _RequestBodyTooLarge,
)
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.support.asgi import STALL_SECONDS, START, Sent, always

pytestmark = pytest.mark.anyio

REFUSED = [
    {
        "type": "http.response.start",
        "status": 413,
        "headers": [(b"content-length", b"17"), (b"content-type", b"text/plain; charset=utf-8")],
    },
    {"type": "http.response.body", "body": b"Content Too Large"},
]


@pytest.fixture(params=[RequestBodyLimitMiddleware, StarlettesMiddleware], ids=["pallasite", "starlette"])
def middleware(request: pytest.FixtureRequest) -> Any:
    return request.param


async def request(app: ASGIApp, *chunks: Any, declared: Any = None, kind: str = "http") -> Any:
    """Return the messages of the response to a body in these chunks. None as the last chunk is a disconnect."""
    pending = [
        {"type": "http.disconnect"}
        if part is None
        else {"type": "http.request", "body": part, "more_body": number < len(chunks)}
        for number, part in enumerate(chunks, 1)
    ]
    sent = Sent()

    async def receive() -> Any:
        return pending.pop(0)

    headers = [] if declared is None else [(b"host", b"x"), (b"content-length", declared)]
    scope = {"type": kind, "headers": headers}
    before = dict(scope)
    with anyio.fail_after(STALL_SECONDS):
        try:
            await app(scope, receive, sent)
        finally:
            assert scope == before, "the scope is as it was"
    return sent


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            body += b" and gone"
            break
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send(dict(START))
    await send({"type": "http.response.body", "body": body})


async def unread(scope: Scope, receive: Receive, send: Send) -> None:
    await send(dict(START))
    await send({"type": "http.response.body", "body": b"unread"})


@pytest.mark.parametrize(
    ("chunks", "declared", "answer"),
    [
        pytest.param([b""], None, b"", id="empty"),
        pytest.param([b"12345"], b"5", b"12345", id="at the limit"),
        pytest.param([b"12345"], None, b"12345", id="at the limit, undeclared"),
        pytest.param([b"123", b"", b"45"], None, b"12345", id="at the limit, chunked"),
        pytest.param([b"123456"], b"6", 413, id="declared above"),
        pytest.param([b""], b"6", 413, id="declared above, empty"),
        pytest.param([b"123456"], None, 413, id="undeclared above"),
        pytest.param([b"123", b"456"], None, 413, id="chunked above"),
        pytest.param([b"123456"], b"1", 413, id="more than declared"),
        pytest.param([b"12"], b"-5", b"12", id="negative"),
        pytest.param([b"123456"], b"-5", 413, id="negative, above"),
        pytest.param([b"12"], b"five", b"12", id="no number"),
        pytest.param([b"12"], b"", b"12", id="empty declaration"),
        pytest.param([b"12"], b"\xff\xb2", b"12", id="no ASCII"),
        pytest.param([b"12"], b"1e99", b"12", id="exponent"),
        pytest.param([b"12"], b"9" * 80, 413, id="80 digits"),
        pytest.param([b"12", None], None, b"12 and gone", id="client gone"),
    ],
)
async def test_body_is_let_through_up_to_the_limit(middleware: Any, chunks: Any, declared: Any, answer: Any) -> None:
    sent = await request(middleware(echo, max_body_size=5), *chunks, declared=declared)
    if answer == 413:
        assert sent == REFUSED
    else:
        assert sent == [START, {"type": "http.response.body", "body": answer}]


async def test_length_of_5000_digits_is_too_large() -> None:
    """Deviation: a length that int() does not accept is rejected immediately, instead of counting the body."""
    app = RequestBodyLimitMiddleware(echo, max_body_size=5)
    assert await request(app, b"12", declared=b"1" * 5000) == REFUSED
    assert await request(app, b"12", declared=b"1_" * 2500) == [START, {"type": "http.response.body", "body": b"12"}]


@pytest.mark.parametrize("declared", [b"5", None])
async def test_unread_body_is_accepted_when_within_or_undeclared(middleware: Any, declared: bytes | None) -> None:
    sent = await request(middleware(unread, max_body_size=5), b"123456", declared=declared)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200


async def test_unread_body_declared_too_large_replaces_the_response(middleware: Any) -> None:
    went_on = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        went_on.append(True)

    assert await request(middleware(app, max_body_size=5), b"123456", declared=b"6") == REFUSED
    assert went_on == []


async def test_body_is_refused_before_anything_is_read(middleware: Any) -> None:
    """No chunk is there to be read: receive() would fail."""
    assert await request(middleware(echo, max_body_size=5), declared=b"6") == REFUSED


async def test_error_may_be_answered_by_the_application(middleware: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
        except (HTTPException, StarlettesHTTPException) as error:
            await send({**START, "status": error.status_code})
            await send({"type": "http.response.body", "body": error.detail.encode()})

    sent = await request(middleware(app, max_body_size=5), b"123456")
    assert sent == [{**START, "status": 413}, {"type": "http.response.body", "body": b"Content Too Large"}]


async def test_body_too_large_after_the_response_began_is_raised(middleware: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await receive()

    sent = Sent()

    with pytest.raises((HTTPException, StarlettesHTTPException)) as caught:
        await middleware(app, max_body_size=5)(
            {"type": "http", "headers": []}, always({"type": "http.request", "body": b"123456"}), sent
        )
    assert isinstance(caught.value, (HTTPException, StarlettesHTTPException))
    assert caught.value.status_code == 413
    assert sent == [START]


async def test_error_of_the_application_passes_and_the_scope_is_restored(middleware: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("app")

    with pytest.raises(KeyError, match="app"):
        await request(middleware(app, max_body_size=5), b"")


@pytest.mark.parametrize(
    ("outer", "inner", "size", "passes"),
    [(5, 10, 8, True), (5, 10, 11, False), (10, 5, 8, False), (10, 5, 5, True)],
    ids=["inner larger", "inner larger, above it", "inner smaller, above it", "inner smaller"],
)
@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "counted"])
@pytest.mark.parametrize("app", [echo, unread], ids=["read", "unread"])
async def test_innermost_limit_decides(
    middleware: Any, outer: int, inner: int, size: int, passes: bool, is_declared: bool, app: Any
) -> None:
    stack = middleware(middleware(app, max_body_size=inner), max_body_size=outer)
    sent = await request(stack, b"x" * size, declared=b"%d" % size if is_declared else None)
    if passes or (app is unread and not is_declared):
        assert sent[0]["status"] == 200
    else:
        assert sent == REFUSED


async def test_bytes_read_above_the_inner_limit_before_it_was_reached_are_too_many(middleware: Any) -> None:
    def reading_first(app: ASGIApp) -> Any:
        async def layer(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await app(scope, receive, send)

        return layer

    stack = middleware(reading_first(middleware(unread, max_body_size=3)), max_body_size=10)
    assert await request(stack, b"12345", b"") == REFUSED


async def test_limit_is_readable_in_the_scope(middleware: Any) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope[MAX_BODY_SIZE_SCOPE_KEY])
        await unread(scope, receive, send)

    await request(middleware(middleware(app, max_body_size=3), max_body_size=10), b"")
    assert MAX_BODY_SIZE_SCOPE_KEY == "starlette.max_body_size"
    assert seen == [3]


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_pass_untouched(middleware: Any, kind: str) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((dict(scope), await receive()))

    await request(middleware(app, max_body_size=1), b"123456", kind=kind)
    assert seen == [({"type": kind, "headers": []}, {"type": "http.request", "body": b"123456", "more_body": False})]


async def test_requests_at_the_same_time_are_counted_apart(middleware: Any) -> None:
    app = middleware(echo, max_body_size=5)
    answers = []

    async def one() -> None:
        answers.append(await request(app, b"123", b"45"))

    async with anyio.create_task_group() as task_group:
        for _ in range(5):
            task_group.start_soon(one)
    assert [answer[0]["status"] for answer in answers] == [200] * 5


async def test_responder_shows_what_it_counted() -> None:
    responder = RequestBodyLimitResponder(echo, 5)
    assert (responder.content_length, responder.total_size, responder.response_started) == (None, 0, False)
    await request(responder, b"123", declared=b"3")
    assert (responder.content_length, responder.total_size, responder.response_started) == (3, 3, True)
    assert responder.scope["type"] == "http"


async def test_errors_are_those_that_other_packages_look_for() -> None:
    error = _RequestBodyTooLarge()
    assert isinstance(error, HTTPException)
    assert (error.status_code, error.detail) == (413, "Content Too Large")
    assert issubclass(_RequestBodyLimitResponseSent, Exception)


async def test_limit_that_was_in_the_scope_is_there_again_afterwards(middleware: Any) -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope[MAX_BODY_SIZE_SCOPE_KEY])

    scope = {"type": "http", "headers": [], MAX_BODY_SIZE_SCOPE_KEY: 99}
    await middleware(app, max_body_size=3)(scope, None, None)
    assert (seen, scope[MAX_BODY_SIZE_SCOPE_KEY]) == ([3], 99)
