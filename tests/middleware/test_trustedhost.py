"""Hosts that are allowed and hosts that are not."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.middleware.trustedhost import TrustedHostMiddleware as StarlettesMiddleware

from pallasite.middleware.trustedhost import ENFORCE_DOMAIN_WILDCARD, TrustedHostMiddleware
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.support.asgi import UNUSED, Sent

pytestmark = pytest.mark.anyio


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def request(app: ASGIApp, host: str | None, kind: str = "http", **scope: Any) -> Any:
    sent = Sent()
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    scope = {"type": kind, "scheme": "https", "path": "/a", "query_string": b"b=c", "headers": headers, **scope}
    await app(scope, UNUSED, sent)
    return sent


HOSTS = ["example.org", "*.example.com", "www.only.example", "[2001:db8::1]", "LOUD.example"]


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("example.org", True),
        ("EXAMPLE.org", True),
        ("example.org:8000", True),
        ("sub.example.org", False),
        ("example.com", False),
        ("a.example.com", True),
        ("a.b.Example.com:1", True),
        ("evilexample.com", False),
        ("loud.example", True),
        ("[2001:db8::1]", True),
        ("[2001:DB8::1]:443", True),
        ("2001:db8::1", False),
        ("[2001:db8::2]", False),
        ("[example.org]", False),
        ("example.org@evil.example", False),
        ("example.org/", False),
        ("evil.example/.example.com", False),
        ("evil.example#.example.com", False),
        ("a b.example.com", False),
        ("example.org:", False),
        ("example.org:x", False),
        ("\xe4.example.com", False),
        ("", False),
        (None, False),
        ("x" * 100_000, False),
    ],
)
async def test_host_is_answered_if_allowed(host: Any, is_allowed: bool) -> None:
    sent = await request(TrustedHostMiddleware(ok, HOSTS), host)
    assert sent == await request(StarlettesMiddleware(ok, HOSTS), host)
    assert sent[0]["status"] == (200 if is_allowed else 400)
    if not is_allowed:
        assert sent[1]["body"] == b"Invalid host header"


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        # Deviation: an empty label is none, and a final dot is not part of the name (RFC 1034 section 3.1).
        (".example.com", False),
        ("a..example.com", False),
        ("x" * 64 + ".example.com", False),
        ("x" * 63 + ".example.com", True),
        ("example.org.", True),
        ("example.org.:443", True),
        ("a.example.com.", True),
        ("dotted.example", True),
        ("dotted.example.", True),
        ("example.org..", False),
        ("sub.example.org.", False),
    ],
)
async def test_host_is_a_name_of_the_dns(host: str, is_allowed: bool) -> None:
    sent = await request(TrustedHostMiddleware(ok, [*HOSTS, "dotted.example."]), host)
    assert sent[0]["status"] == (200 if is_allowed else 400)


@pytest.mark.parametrize("hosts", [None, ["*"], ["example.org", "*"]])
async def test_any_host_is_answered_by_default(hosts: Any) -> None:
    middleware = TrustedHostMiddleware(ok, hosts)
    assert middleware.allow_any
    assert (await request(middleware, "what ever"))[0]["status"] == 200


@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("only.example", b"https://www.only.example/a?b=c"),
        ("only.example:8443", b"https://www.only.example:8443/a?b=c"),
        ("ONLY.example", b"https://www.ONLY.example/a?b=c"),
    ],
)
async def test_missing_www_is_redirected(host: str, location: bytes) -> None:
    sent = await request(TrustedHostMiddleware(ok, HOSTS), host)
    assert sent == await request(StarlettesMiddleware(ok, HOSTS), host)
    assert sent[0]["status"] == 307
    assert dict(sent[0]["headers"])[b"location"] == location


async def test_missing_www_is_refused_when_redirects_are_off() -> None:
    sent = await request(TrustedHostMiddleware(ok, HOSTS, www_redirect=False), "only.example")
    assert sent[0]["status"] == 400


async def test_websocket_to_another_host_is_refused() -> None:
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    middleware = TrustedHostMiddleware(ok, HOSTS)
    sent = await request(middleware, "evil.example", kind="websocket", extensions=extensions)
    assert sent[0]["type"] == "websocket.http.response.start"
    assert sent[0]["status"] == 400
    assert (await request(middleware, "example.org", kind="websocket"))[0]["status"] == 200


async def test_lifespan_passes() -> None:
    assert (await request(TrustedHostMiddleware(ok, HOSTS), None, kind="lifespan"))[0]["status"] == 200


async def test_error_of_the_application_passes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise KeyError("app")

    with pytest.raises(KeyError, match="app"):
        await request(TrustedHostMiddleware(app, HOSTS), "example.org")


async def test_host_added_later_is_answered() -> None:
    middleware = TrustedHostMiddleware(ok, HOSTS)
    assert (await request(middleware, "late.example"))[0]["status"] == 400
    middleware.allowed_hosts.append("late.example")
    assert (await request(middleware, "late.example"))[0]["status"] == 200


@pytest.mark.parametrize("pattern", ["a*", "*example.com", "a.*.com", "**", "*.*"])
async def test_wildcard_not_at_the_start_is_an_error(pattern: str) -> None:
    with pytest.raises(AssertionError, match="wildcard") as caught:
        TrustedHostMiddleware(ok, [pattern])
    assert str(caught.value) == ENFORCE_DOMAIN_WILDCARD
