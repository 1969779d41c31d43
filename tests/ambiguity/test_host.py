"""A request with two hosts, or with a malformed Host, has no host."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite.datastructures import URL
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse
from pallasite.routing import Host, Match, Route, Router
from tests.support.asgi import exchange, scope_of

pytestmark = pytest.mark.anyio

GOOD = b"here.example"

NO_HOSTS = {
    "two": [GOOD, b"evil.example"],
    "two, the last one good": [b"evil.example", GOOD],
    "twice the same": [GOOD, GOOD],
    "three": [GOOD, GOOD, GOOD],
    "an empty second": [GOOD, b""],
    "a malformed second": [GOOD, b"a b"],
    "user information": [b"here.example@evil.example"],
    "a path": [b"here.example/evil"],
    "a fragment": [b"evil.example#here.example"],
    "a backslash": [b"evil.example\\here.example"],
    "a blank": [b"here.example evil.example"],
    "a tab": [b"here.example\tevil.example"],
    "a line feed": [b"here.example\nx: y"],
    "nul": [b"here.example\0"],
    "a byte that is not ASCII": [b"h\xc3\xa9re.example"],
    "no digits": [b"here.example:80evil"],
    "two ports": [b"here.example:80:81"],
    "an open bracket": [b"[::1"],
    "nothing": [b""],
}


def with_hosts(hosts: list[bytes], **more: Any) -> Any:
    headers = [(b"accept", b"*/*"), *((b"host", host) for host in hosts), (b"accept", b"x")]
    return scope_of("/p", headers=headers, **{"server": ("server.internal", 8000), **more})


async def answer_of(app: Any, scope: Any) -> tuple[int, bytes]:
    start, body = await exchange(app, scope)
    return start["status"], body["body"]


@pytest.mark.parametrize("hosts", NO_HOSTS.values(), ids=NO_HOSTS.keys())
async def test_request_without_one_valid_host_names_none(hosts: list[bytes]) -> None:
    scope = with_hosts(hosts)
    assert str(URL(scope=scope)) == "http://server.internal:8000/p"
    assert str(Request(scope).base_url) == "http://server.internal:8000/"
    scope["server"] = None
    assert str(URL(scope=scope)) == "/p"

    app = TrustedHostMiddleware(PlainTextResponse("in"), ["here.example", "*.example", "localhost"])
    assert await answer_of(app, with_hosts(hosts)) == (400, b"Invalid host header")

    route = Host("{name:path}", PlainTextResponse("host"))
    assert route.matches(with_hosts(hosts))[0] is Match.NONE
    router = Router([route, Host("here.example", PlainTextResponse("here")), Route("/p", PlainTextResponse("any"))])
    assert await answer_of(router, with_hosts(hosts)) == (200, b"any")


async def test_request_with_one_valid_host_names_it() -> None:
    scope = with_hosts([GOOD])
    assert str(URL(scope=scope)) == "http://here.example/p"
    app = TrustedHostMiddleware(PlainTextResponse("in"), ["here.example"])
    assert await answer_of(app, with_hosts([GOOD])) == (200, b"in")
    route = Host("{name}.example", PlainTextResponse("host"))
    assert route.matches(scope)[0] is Match.FULL
    assert await answer_of(Router([route]), with_hosts([GOOD])) == (200, b"host")


async def test_escape_in_a_host_is_not_a_subdomain() -> None:
    # Some clients would decode it, and find another host before a slash.
    app = TrustedHostMiddleware(PlainTextResponse("in"), ["*.here.example"])
    assert (await answer_of(app, with_hosts([b"evil.example%2f.here.example"])))[0] == 400
    assert (await answer_of(app, with_hosts([b"a_b-c.here.example"])))[0] == 200
