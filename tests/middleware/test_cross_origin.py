"""Requests of pages of other sites: the steps of the decision, as data, for requests and WebSockets."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.cross_origin import CrossOriginMiddleware, CrossOriginRefused
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route
from pallasite.types import Receive, Scope, Send
from tests.support.asgi import UNUSED, Answer, Sent, ask, never, scope_of

pytestmark = pytest.mark.anyio

HOST = "example.org"


async def passed(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await PlainTextResponse("passed")(scope, receive, send)


async def request(
    app: Any, method: str = "POST", path: str = "/", *, host: str | None = HOST, headers: Any = (), **fields: str
) -> Answer:
    raw = [] if host is None else [(b"host", host.encode())]
    raw += [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return await ask(app, path, method=method, headers=[*raw, *headers])


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        # Sec-Fetch-Site decides, if there is one.
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "rubbish"}, False),
        ({"sec_fetch_site": "Same-Origin"}, False),
        ({"sec_fetch_site": "same-origin", "origin": "https://evil.example"}, True),
        ({"sec_fetch_site": "cross-site", "origin": "https://example.org"}, False),
        # Without one, a request without Origin is not from a page.
        ({}, True),
        ({"sec_fetch_site": ""}, True),
        # Otherwise the host of the origin must be that of the request. The scheme does not count.
        ({"origin": "https://example.org"}, True),
        ({"origin": "http://example.org"}, True),
        ({"sec_fetch_site": "", "origin": "https://example.org"}, True),
        ({"origin": "https://EXAMPLE.org"}, True),
        ({"origin": "https://example.org:443"}, True),
        ({"origin": "https://example.org:8443"}, False),
        ({"origin": "https://www.example.org"}, False),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "https://example.org.evil.example"}, False),
        ({"origin": "https://example.org@evil.example"}, False),
        ({"origin": "null"}, False),  # a sandboxed frame, a file, a redirect from another site
        ({"origin": "example.org"}, False),
        ({"origin": ""}, False),
    ],
)
async def test_request_passes_if_it_is_from_the_same_origin_or_from_no_page(
    fields: dict[str, str], passes: bool
) -> None:
    app = CrossOriginMiddleware(passed)
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "PURGE", "get"):
        assert (await request(app, method, **fields)).status == (200 if passes else 403), method
    for method in ("GET", "HEAD", "OPTIONS"):
        assert (await request(app, method, **fields)).status == 200


@pytest.mark.parametrize(("site", "passes"), [("same-origin", True), ("cross-site", False), ("same-site", False)])
async def test_websocket_of_another_site_is_refused(site: str, passes: bool) -> None:
    sent = Sent()
    headers = [(b"host", HOST.encode()), (b"sec-fetch-site", site.encode())]
    await CrossOriginMiddleware(passed)(scope_of(type="websocket", headers=headers), never, sent)
    assert [message["type"] for message in sent] == ["websocket.accept" if passes else "websocket.close"]


@pytest.mark.parametrize("name", [b"origin", b"sec-fetch-site"])
async def test_header_that_is_there_twice_is_refused(name: bytes) -> None:
    value = b"https://example.org" if name == b"origin" else b"same-origin"
    app = CrossOriginMiddleware(passed, trusted_origins=["https://example.org"])
    assert (await request(app, headers=[(name, value)] * 2)).status == 403


async def test_host_that_is_missing_or_there_twice_is_no_host() -> None:
    app = CrossOriginMiddleware(passed)
    assert (await request(app, host=None, origin="https://example.org")).status == 403
    twice = await request(app, headers=[(b"host", HOST.encode())], origin="https://example.org")
    assert twice.status == 403


async def test_base_url_of_the_application_is_the_host() -> None:
    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("passed")

    app = Pallasite(
        routes=[Route("/", endpoint, methods=["POST"])],
        middleware=[Middleware(CrossOriginMiddleware)],
        base_url="https://public.example",
    )
    assert (await request(app, host="internal:8000", origin="https://public.example")).status == 200
    assert (await request(app, host="internal:8000", origin="https://internal:8000")).status == 403


async def test_trusted_origins_pass() -> None:
    app = CrossOriginMiddleware(passed, trusted_origins=["https://login.example", "http://localhost:3000"])
    for origin, status in (
        ("https://login.example", 200),
        ("http://localhost:3000", 200),
        ("http://login.example", 403),
        ("https://login.example.evil.example", 403),
        ("https://LOGIN.example", 403),
    ):
        assert (await request(app, sec_fetch_site="cross-site", origin=origin)).status == status, origin
        assert (await request(app, origin=origin)).status == status, origin


async def test_exempt_paths_pass() -> None:
    app = CrossOriginMiddleware(passed, exempt=["/webhooks/"])
    assert (await request(app, path="/webhooks/a", sec_fetch_site="cross-site")).status == 200
    assert (await request(app, path="/webhooks", sec_fetch_site="cross-site")).status == 403


async def test_same_site_may_be_allowed() -> None:
    app = CrossOriginMiddleware(passed, allow_same_site=True)
    assert (await request(app, sec_fetch_site="same-site")).status == 200
    assert (await request(app, sec_fetch_site="cross-site")).status == 403


async def test_report_only_lets_pass_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    app = CrossOriginMiddleware(passed, report_only=True)
    with caplog.at_level(logging.WARNING, "pallasite.middleware.cross_origin"):
        assert (await request(app, sec_fetch_site="cross-site")).status == 200
        assert (await request(app, sec_fetch_site="same-origin")).status == 200
    assert caplog.messages == ["Would refuse POST /: Sec-Fetch-Site is 'cross-site'"]


async def test_refusal_is_a_problem_document_or_text() -> None:
    app = CrossOriginMiddleware(passed, status=400)
    answer = await request(app, sec_fetch_site="cross-site")
    assert answer.status == 400
    assert answer.header("content-type") == "application/problem+json"
    page = await request(app, sec_fetch_site="cross-site", accept="text/html")
    assert page.body == b"400 Bad Request: The request comes from a page of another site."


async def test_exception_handler_of_the_application_answers() -> None:
    seen: list[CrossOriginRefused] = []

    async def answer(request: Request, exc: Any) -> Response:
        seen.append(exc)
        return PlainTextResponse("no", status_code=403)

    app = Pallasite(middleware=[Middleware(CrossOriginMiddleware)], exception_handlers={CrossOriginRefused: answer})
    assert (await request(app, origin="https://evil.example")).body == b"no"
    assert (seen[0].reason, seen[0].origin) == ("Origin is 'https://evil.example'", "https://evil.example")


async def test_other_scopes_are_passed_on() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await CrossOriginMiddleware(app)({"type": "lifespan"}, UNUSED, UNUSED)
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trusted_origins": ["example.org"]}, "it needs a scheme, http or https, and a host"),
        ({"trusted_origins": ["ftp://example.org"]}, "it needs a scheme, http or https, and a host"),
        ({"trusted_origins": "https://"}, "it needs a scheme, http or https, and a host"),
        ({"trusted_origins": ["https://example.org/"]}, "it must end after the host and port"),
        ({"trusted_origins": ["https://a@example.org"]}, "it must end after the host and port"),
        ({"trusted_origins": ["https://Example.org"]}, "it must be in lower case"),
        ({"trusted_origins": ["https://example.org:443"]}, "it must not name the default port 443"),
        ({"trusted_origins": ["http://example.org:80"]}, "it must not name the default port 80"),
        ({"exempt": ["a"]}, "exempt takes path prefixes that start with a slash, not 'a'"),
        ({"status": 302}, "status must be that of a client error (400 to 499), not 302"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CrossOriginMiddleware(UNUSED, **settings)
