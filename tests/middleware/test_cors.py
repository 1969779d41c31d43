"""CORS headers on responses and the answers to preflights, next to Starlette's for the same configuration."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.middleware.cors import CORSMiddleware as StarlettesCORS

from pallasite._compat import mode
from pallasite.datastructures import MutableHeaders
from pallasite.exceptions import SecurityWarning
from pallasite.middleware.cors import ALL_METHODS, SAFELISTED_HEADERS, CORSMiddleware
from pallasite.responses import StreamingResponse
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from tests.support.asgi import UNUSED, Sent, never

# Some configurations that are compared with Starlette are unsafe.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:allow_credentials with every origin")]

ORIGIN = "https://example.org"
CONFIGURATIONS = {
    "nothing": {},
    "any origin": {"allow_origins": ["*"]},
    "any origin, credentials": {"allow_origins": ["*"], "allow_credentials": True, "expose_headers": ["X-A", "X-B"]},
    "listed": {"allow_origins": [ORIGIN, "https://other.example"], "allow_methods": ["GET", "POST"]},
    "listed, credentials": {"allow_origins": (ORIGIN,), "allow_credentials": True, "max_age": 5},
    "listed, exposed": {"allow_origins": {ORIGIN}, "expose_headers": ("X-A",)},
    "regex": {"allow_origin_regex": r"https://.*\.org"},
    "regex and list": {"allow_origin_regex": "https://x", "allow_origins": [ORIGIN], "allow_private_network": True},
    "everything": {
        "allow_origins": ["*"],
        "allow_methods": ["*"],
        "allow_headers": ["*"],
        "allow_private_network": True,
    },
    "headers": {"allow_origins": [ORIGIN], "allow_headers": ["X-Token", "Accept"], "allow_methods": ["*"]},
}
ORIGINS = [None, ORIGIN, "https://other.example", "https://evil.example", "https://x.org.evil.example", "null", ""]


@pytest.fixture(params=CONFIGURATIONS)
def options(request: pytest.FixtureRequest) -> Any:
    return CONFIGURATIONS[request.param]


def app_with(*headers: Any) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    return app


async def request(app: ASGIApp, method: str = "GET", **headers: Any) -> Any:
    sent = Sent()
    raw = [
        (name.replace("_", "-").encode(), text.encode("latin-1")) for name, text in headers.items() if text is not None
    ]
    await app({"type": "http", "method": method, "path": "/", "headers": raw}, never, sent)
    return sent


async def both(options: Any, app: ASGIApp, *arguments: Any, **headers: Any) -> Any:
    ours = await request(CORSMiddleware(app, **options), *arguments, **headers)
    assert ours == await request(StarlettesCORS(app, **options), *arguments, **headers)
    return ours


def fields(sent: Sent) -> Any:
    return dict(sent[0]["headers"])


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(
    "present",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"vary", b"Accept-Encoding"), (b"x", b"y"), (b"vary", b"Cookie")],
        [(b"access-control-allow-origin", b"https://mine"), (b"access-control-expose-headers", b"X-Mine")],
        [(b"access-control-allow-credentials", b"false"), (b"x", b"y")],
    ],
    ids=["none", "type", "vary", "own origin", "own credentials"],
)
async def test_response_headers_are_those_of_starlette(options: Any, origin: Any, present: Any) -> None:
    await both(options, app_with(*present), origin=origin)


@pytest.mark.parametrize("origin", ORIGINS[1:])
async def test_preflight_answers_are_those_of_starlette(options: Any, origin: Any) -> None:
    methods = ["GET", "POST", "DELETE", "get", ""]
    headers = [None, "", "x-token", "X-Token, accept", "x-token,x-other", "content-type , ACCEPT", ","]
    for method, wanted, private_network in itertools.product(methods, headers, [None, "true"]):
        await both(
            options,
            app_with(),
            "OPTIONS",
            origin=origin,
            access_control_request_method=method,
            access_control_request_headers=wanted,
            access_control_request_private_network=private_network,
        )


@pytest.mark.parametrize(
    "headers", [{"origin": ORIGIN}, {"access_control_request_method": "GET"}], ids=["origin only", "method only"]
)
async def test_options_that_is_not_a_preflight_reaches_the_application(headers: Any) -> None:
    sent = await both({"allow_origins": ["*"]}, app_with(), "OPTIONS", **headers)
    assert sent[1]["body"] == b"one "


async def test_allowed_origin_is_named_and_varied_by() -> None:
    sent = await request(CORSMiddleware(app_with(), allow_origins=[ORIGIN]), origin=ORIGIN)
    assert fields(sent) == {b"access-control-allow-origin": ORIGIN.encode(), b"vary": b"Origin"}


async def test_other_origin_is_not_named() -> None:
    sent = await request(CORSMiddleware(app_with(), allow_origins=[ORIGIN]), origin="https://evil.example")
    assert fields(sent) == {b"vary": b"Origin"}


async def test_regex_must_match_the_whole_origin() -> None:
    middleware = CORSMiddleware(app_with(), allow_origin_regex=r"https://.*\.example\.org")
    assert middleware.is_allowed_origin("https://a.example.org")
    assert not middleware.is_allowed_origin("https://a.example.org.evil.com")
    assert not middleware.is_allowed_origin("http://a.example.org")


async def test_preflight_names_what_is_not_allowed() -> None:
    sent = await request(
        CORSMiddleware(app_with(), allow_origins=[ORIGIN]),
        "OPTIONS",
        origin="https://evil.example",
        access_control_request_method="POST",
        access_control_request_headers="x-token",
        access_control_request_private_network="true",
    )
    assert sent[0]["status"] == 400
    assert sent[1]["body"] == b"Disallowed CORS origin, method, headers, private-network"


@pytest.mark.parametrize(
    "options", [{"allow_origins": ["*"], "allow_credentials": True}, {"allow_origin_regex": "(?s).*"}]
)
async def test_line_breaks_in_headers_are_not_mirrored(options: Any) -> None:
    hostile = "https://a\r\nset-cookie: a=b"
    middleware = CORSMiddleware(app_with(), allow_headers=["*"], **options)
    assert b"set-cookie" not in b"".join(
        name + text for name, text in (await request(middleware, origin=hostile))[0]["headers"]
    )
    for changed in ({"origin": hostile}, {"access_control_request_headers": hostile}):
        headers = {"origin": ORIGIN, "access_control_request_method": "GET", **changed}
        sent = await request(middleware, "OPTIONS", **headers)
        assert sent[0]["status"] == 400
        assert b"set-cookie" not in b"".join(text for _, text in sent[0]["headers"])


async def test_message_without_headers_gets_some() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    sent = await both({"allow_origins": ["*"]}, app, origin=ORIGIN)
    assert fields(sent) == {b"access-control-allow-origin": b"*", b"vary": b"Origin"}


async def test_headers_of_the_application_are_not_changed_in_place() -> None:
    headers = [(b"x", b"y")]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    for _ in range(2):
        await request(CORSMiddleware(app, allow_origins=["*"]), origin=ORIGIN)
    assert headers == [(b"x", b"y")]


async def test_error_of_the_application_passes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("app")

    with pytest.raises(KeyError, match="app"):
        await request(CORSMiddleware(app, allow_origins=["*"]), origin=ORIGIN)


async def test_disconnect_while_sending_passes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await CORSMiddleware(app)({"type": "http", "method": "GET", "headers": []}, UNUSED, send)


async def test_stream_passes_chunk_by_chunk() -> None:
    async def numbers() -> AsyncIterator[Any]:
        for number in range(3):
            yield str(number)

    sent = await request(CORSMiddleware(StreamingResponse(numbers()), allow_origins=["*"]), origin=ORIGIN)
    assert [message.get("body") for message in sent] == [None, b"0", b"1", b"2", b""]


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_other_scopes_pass_untouched(kind: str) -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.append(arguments)

    arguments: Any = {"type": kind, "headers": [(b"origin", ORIGIN.encode())]}, object(), object()
    await CORSMiddleware(app, allow_origins=["*"])(*arguments)
    assert seen == [arguments]


async def test_attributes_are_those_of_starlette(options: Any) -> None:
    ours, theirs = CORSMiddleware(app_with(), **options), StarlettesCORS(app_with(), **options)
    for name, value in vars(theirs).items():
        if name != "app":
            assert getattr(ours, name) == value, name
    assert (ALL_METHODS[0], "Content-Type" in SAFELISTED_HEADERS) == ("DELETE", True)


async def test_headers_changed_after_construction_are_sent() -> None:
    middleware = CORSMiddleware(app_with(), allow_origins=["*"])
    await request(middleware, origin=ORIGIN)
    middleware.simple_headers["Timing-Allow-Origin"] = "*"
    assert fields(await request(middleware, origin=ORIGIN))[b"timing-allow-origin"] == b"*"


async def test_subclass_decides_on_origins() -> None:
    class Suffix(CORSMiddleware):
        def is_allowed_origin(self, origin: str) -> bool:
            return origin.endswith(".org")

    sent = await request(Suffix(app_with()), origin=ORIGIN)
    assert fields(sent)[b"access-control-allow-origin"] == ORIGIN.encode()


@pytest.mark.parametrize("base", [CORSMiddleware, StarlettesCORS])
async def test_subclass_replaces_steps(base: Any) -> None:
    calls = []

    class Watching(base):  # type: ignore[misc]
        def preflight_response(self, request_headers: Any) -> Any:
            calls.append("preflight")
            return super().preflight_response(request_headers)

        async def simple_response(self, scope: Scope, receive: Receive, send: Send, request_headers: Any) -> None:
            calls.append(f"simple {request_headers['origin']}")
            await super().simple_response(scope, receive, send, request_headers)

        async def send(self, message: Message, send: Send, request_headers: Any) -> None:
            calls.append(message["type"])
            await super().send(message, send, request_headers)

        @staticmethod
        def allow_explicit_origin(headers: Any, origin: str) -> None:
            calls.append("named")
            headers["X-Named"] = origin

    middleware = Watching(app_with(), allow_origins=[ORIGIN])
    sent = await request(middleware, origin=ORIGIN)
    assert fields(sent) == {b"x-named": ORIGIN.encode()}
    assert calls == [f"simple {ORIGIN}", "http.response.start", "named", "http.response.body", "http.response.body"]
    await request(middleware, "OPTIONS", origin=ORIGIN, access_control_request_method="GET")
    assert calls[-1] == "preflight"


async def test_explicit_origin_can_be_set_on_any_headers() -> None:
    headers = MutableHeaders({"vary": "Cookie"})
    CORSMiddleware.allow_explicit_origin(headers, ORIGIN)
    assert headers.items() == [("vary", "Cookie, Origin"), ("access-control-allow-origin", ORIGIN)]


@pytest.mark.parametrize(
    "options", [{"allow_origins": ["*"]}, {"allow_origins": (ORIGIN, "*")}, {"allow_origin_regex": ".*"}]
)
def test_credentials_for_every_origin_are_warned_about(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(SecurityWarning, match="list trusted origins in allow_origins") as caught:
        CORSMiddleware(UNUSED, allow_credentials=True, **options)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CORSMiddleware(UNUSED, **options)
        CORSMiddleware(
            UNUSED, allow_credentials=True, allow_origins=[ORIGIN], allow_origin_regex=r"https://.*\.example"
        )
        monkeypatch.setattr(mode, "current", mode.STARLETTE)
        CORSMiddleware(UNUSED, allow_credentials=True, **options)
