"""The Host header, lists of hosts and origins, and headers that proxies add."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite import _core
from pallasite.applications import Pallasite
from pallasite.datastructures import URL
from pallasite.middleware import Middleware
from pallasite.middleware.cors import CORSMiddleware
from pallasite.middleware.httpsredirect import HTTPSRedirectMiddleware
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response
from pallasite.routing import Host, Route, Router, WebSocketRoute
from pallasite.websockets import WebSocket
from tests.support.asgi import ask, assert_linear, connect, scope_of

pytestmark = pytest.mark.anyio


async def page(request: Request) -> Response:
    return JSONResponse([str(request.url), request.url.hostname, request.url.path, str(request.url_for("page"))])


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.url.path)
    await websocket.close()


ROUTES = [Route("/admin/page", page, name="page"), WebSocketRoute("/admin/ws", socket)]
app = Pallasite(routes=ROUTES)


def guarded(allowed: list[str], debug: bool = False) -> Pallasite:
    middleware = [Middleware(TrustedHostMiddleware, allowed_hosts=allowed, www_redirect=False)]
    return Pallasite(debug=debug, routes=ROUTES, middleware=middleware)


def guarded_twice(allowed: list[str]) -> list[Pallasite]:
    """By the middleware, and by the application's own setting."""
    return [guarded(allowed), Pallasite(routes=ROUTES, allowed_hosts=allowed)]


MALFORMED = {
    "CVE-2026-48710": [
        b"testserver/?",
        b"testserver/health?x=",
        b"testserver#",
        b"testserver/..",
        b"testserver?x",
        b"a/b",
    ],
    "CVE-2012-4520": [
        b"user:password@evil.example",
        b"testserver@evil.example",
        b"testserver:80@evil.example",
        b"@evil",
    ],
    "CVE-2024-11168": [
        b"[evil.example]",
        b"[1.2.3.4]",
        b"testserver[::1]",
        b"[::1]evil.example",
        b"[v1.]",
        b"[::1",
        b"][",
    ],
    "CVE-2025-0938": [b"test[server", b"test]server", b"[test]server", b"te[st]server", b"[]", b"[::1].evil.example"],
    "CVE-2019-9636": ["evil.c\u2100.example".encode(), "testserver\uff0f".encode(), "evil\uff1f".encode(), b"h\xff"],
    "CVE-2019-10160": ["user\uff20evil.example".encode(), "h\uff1a80".encode(), "h\uff03".encode(), "\u212a".encode()],
    "CVE-2022-0391": [
        b"test\tserver",
        b"test\nserver",
        b"test\rserver",
        b"testserver\t",
        b"\ttestserver",
        b"h\r\nx: y",
    ],
    "CVE-2023-24329": [b" testserver", b"\x00testserver", b"\x1ftestserver", b"test server", b"testserver \x85"],
    "CVE-2019-9740": [b"testserver:80\r\nx: y", b"testserver:8 0", b"testserver:", b"testserver:80:80", b"h:8a"],
    "backslash": [b"testserver\\", b"evil\\.example", b"\\\\evil.example"],
    "list": [b"testserver evil.example", b"testserver/evil.example", b"a<b>", b'"testserver"', b"a|b", b"a^b"],
    "empty": [b"", b":80", b":"],
}


@pytest.mark.parametrize("hosts", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_host_moves_nothing_in_the_address(hosts: list[bytes]) -> None:
    for host in hosts:
        assert _core.parse_host(host.decode("latin-1")) is None
        for headers in ([(b"host", host)], [(b"host", host), (b"x-forwarded-host", b"evil.example")]):
            answer = await ask(app, "/admin/page", headers=headers)
            if answer.status != 400:
                url = "http://testserver/admin/page"
                assert answer.body == JSONResponse([url, "testserver", "/admin/page", url]).body
            sent = await connect(app, "/admin/ws", headers=headers)
            if len(sent) > 1:
                assert sent[1]["text"] == "/admin/ws"
            for secured in (*guarded_twice(["testserver"]), *guarded_twice(["testserver", "*.example"])):
                assert (await ask(secured, "/admin/page", headers=headers)).status == 400


@pytest.mark.advisory("CVE-2026-54282")
@pytest.mark.parametrize("host", [b"testserver", b"[::1]", b"testserver:8000"], ids=repr)
@pytest.mark.parametrize(
    "path", ["@evil.example", "evil.example", ".evil.example", ":80@evil.example/", ":pw@evil", "*", ""]
)
async def test_path_without_a_slash_moves_nothing_in_the_address(path: str, host: bytes) -> None:
    for server in (("testserver", 80), ("testserver", 8000), None):
        for headers in ([(b"host", host)], []):
            url = URL(scope=scope_of(path, headers=headers, server=server))
            connection = HTTPConnection(scope_of(path, headers=headers, server=server))
            known = url.hostname in ("testserver", "::1") if headers or server else url.hostname is None
            assert known, str(url)
            assert connection.url.netloc == url.netloc
            assert url.path in (path, "/" + path)
            assert connection.base_url.hostname == url.hostname


@pytest.mark.advisory("CVE-2026-54282")
@pytest.mark.parametrize("root_path", ["@evil.example", ".evil.example", ":80@evil", "evil"])
async def test_root_path_without_a_slash_moves_nothing_in_the_address(root_path: str) -> None:
    connection = HTTPConnection(scope_of("/a", root_path=root_path))
    assert connection.base_url.hostname == "testserver"
    assert connection.url.hostname == "testserver"


# --- lists of hosts

NOT_ALLOWED = {
    "CVE-2026-25479": [b"exampleXcom", b"wwwXexample.com", b"example-com", b"apixexample.com", b"a.b.cdn.example.comx"],
    "CVE-2011-4139": [b"evil.example", b"example.com.evil.example", b"evil-example.com", b"evilexample.com"],
    "CVE-2011-4140": [
        b"evil.example:80",
        b"example.com:80:80",
        b"evil.example#example.com",
        b"evil.example?example.com",
    ],
    "CVE-2021-33571": [b"127.0.0.01", b"0127.0.0.1", b"127.1", b"2130706433", b"0x7f.0.0.1", b"127.0.0.1.evil.example"],
    "CVE-2021-32052": [
        b"example.com\n",
        b"example.com\r",
        b"example.com\n.evil.example",
        b"example.com\0",
        b"example.com\t",
    ],
    "CVE-2026-53878": [
        b"www.example.com\n",
        b"a.cdn.example.net\n",
        b"a\n.cdn.example.net",
        b"127.0.0.1\n",
        b"[::1]\n",
    ],
    "bare suffix": [b"cdn.example.net", b"xcdn.example.net", b"cdn.example.net.evil"],
    "full stop": [b"example.com..", b".example.com", b".", b".cdn.example.net", b"a..cdn.example.net"],
}


@pytest.mark.parametrize("hosts", NOT_ALLOWED.values(), ids=NOT_ALLOWED.keys())
async def test_host_that_only_looks_like_an_allowed_one_is_refused(hosts: list[bytes]) -> None:
    allowed = ["example.com", "www.example.com", "api.example.com", "*.cdn.example.net", "127.0.0.1", "[::1]"]
    for site in guarded_twice(allowed):
        for host in hosts:
            for port in (b"", b":80"):
                answer = await ask(site, "/admin/page", headers=[(b"host", host + port)])
                assert answer.status == 400, host
                assert host not in answer.body
                sent = await connect(site, "/admin/ws", headers=[(b"host", host + port)])
                assert "websocket.accept" not in [message["type"] for message in sent]
        for host in (b"example.com", b"EXAMPLE.com:8000", b"a.b.cdn.example.net", b"127.0.0.1", b"[::1]:80"):
            assert (await ask(site, "/admin/page", headers=[(b"host", host)])).status == 200


@pytest.mark.parametrize("hosts", [*MALFORMED.values(), *NOT_ALLOWED.values()], ids=[*MALFORMED, *NOT_ALLOWED])
async def test_host_has_no_say_where_the_application_names_its_own(hosts: list[bytes]) -> None:
    fixed = Pallasite(
        routes=[*ROUTES, Route("/slash/", page)],
        base_url="https://own.example",
        middleware=[Middleware(HTTPSRedirectMiddleware)],
    )
    for host in hosts:
        for headers in ([(b"host", host)], [(b"host", host), (b"host", host)], [(b"x-forwarded-host", host)]):
            answer = await ask(fixed, "/admin/page", headers=headers, scheme="https")
            url = "https://own.example/admin/page"
            assert answer.body == JSONResponse([url, "own.example", "/admin/page", url]).body
            answer = await ask(fixed, "/admin/page", headers=headers)
            assert (answer.status, answer.header("location")) in ((307, url), (400, None))
            answer = await ask(fixed, "/slash", headers=headers, scheme="https")
            assert answer.header("location") in ("/slash/", "https://own.example/slash/")


@pytest.mark.advisory("CVE-2016-9014")
@pytest.mark.parametrize("debug", [False, True])
async def test_list_of_hosts_holds_in_debug_mode_too(debug: bool) -> None:
    for allowed in (["example.com"], []):
        site = guarded(allowed, debug)
        for host in (b"evil.example", b"localhost", b"127.0.0.1", b"[::1]"):
            answer = await ask(site, "/admin/page", headers=[(b"host", host)])
            assert (answer.status, answer.body) == (400, b"Invalid host header")


@pytest.mark.advisory("CVE-2026-48061")
@pytest.mark.parametrize(
    "name", [b"x-forwarded-host", b"x-host", b"x-original-host", b"forwarded", b"x-http-host-override"]
)
async def test_forwarded_host_does_not_replace_host(name: bytes) -> None:
    site = guarded(["example.com"])
    for headers in (
        [(name, b"example.com")],
        [(b"host", b"evil.example"), (name, b"example.com"), (name, b"host=example.com")],
    ):
        assert (await ask(site, "/admin/page", headers=headers)).status == 400
    answer = await ask(app, "/admin/page", headers=[(b"host", b"testserver"), (name, b"evil.example")])
    assert b"evil" not in answer.body


@pytest.mark.advisory("CVE-2025-59152")
@pytest.mark.parametrize("name", [b"x-forwarded-for", b"x-real-ip", b"forwarded", b"client-ip", b"x-client-ip", b"via"])
async def test_address_of_the_client_is_the_servers_to_tell(name: bytes) -> None:
    async def who(request: Request) -> Response:
        return JSONResponse(request.client)

    site = Pallasite(routes=[Route("/", who)])
    for value in (b"10.0.0.1", b"127.0.0.1, 10.0.0.1", b"for=127.0.0.1"):
        answer = await ask(site, headers=[(b"host", b"testserver"), (name, value)])
        assert answer.body == b'["192.0.2.1",4711]'


HARD_HOSTS = {
    "labels": lambda size: "a." * size,
    "one label": lambda size: "a" * size,
    "hyphens": lambda size: "a-" * size,
    "colons": lambda size: "[" + ":" * size + "]",
    "groups": lambda size: "[" + "1:" * size + "1]",
    "zeros": lambda size: "[" + "0" * size + "::1]",
    "brackets": lambda size: "[" * size + "]" * size,
    "digits": lambda size: "h:" + "9" * size,
    "percents": lambda size: "%" * size,
    "unicode": lambda size: "\u00e9" * size,
}


@pytest.mark.advisory("CVE-2024-56374", "CVE-2023-36053")
@pytest.mark.parametrize("make", HARD_HOSTS.values(), ids=HARD_HOSTS.keys())
def test_host_of_any_length_costs_its_length(make: Any) -> None:
    assert_linear(make, _core.parse_host)


@pytest.mark.advisory("CVE-2023-36053")
@pytest.mark.parametrize("make", HARD_HOSTS.values(), ids=HARD_HOSTS.keys())
async def test_host_of_any_length_is_matched_and_refused(make: Any) -> None:
    tenants = Pallasite(
        routes=[Host("{tenant}.{region}.example.com", Router(ROUTES)), Host("{a}-{b}-{c}.x", Router(ROUTES))]
    )
    header = make(20_000).encode()
    for host in (header, header + b".example.com", header + b"-b-c.x"):
        assert (await ask(tenants, "/admin/page", headers=[(b"host", host)])).status in (200, 404, 400)
        site = guarded(["example.com", "*.cdn.example.net"])
        assert (await ask(site, "/admin/page", headers=[(b"host", host)])).status == 400


# --- origins

ORIGINS = {
    "dot": b"https://goodXexample",
    "suffix": b"https://good.example.evil.example",
    "prefix": b"https://evilgood.example",
    "line end": b"https://good.example\n",
    "null": b"null",
    "case": b"HTTPS://GOOD.EXAMPLE",
    "port": b"https://good.example:8443",
    "user": b"https://good.example@evil.example",
    "path": b"https://good.example/",
    "list": b"https://good.example, https://evil.example",
    "scheme": b"http://good.example",
    "empty": b"",
    "any": b"*",
}


@pytest.mark.advisory("CVE-2026-25478")
@pytest.mark.parametrize("origin", ORIGINS.values(), ids=ORIGINS.keys())
@pytest.mark.parametrize(
    "options",
    [{"allow_origins": ["https://good.example"]}, {"allow_origin_regex": r"https://good\.example"}],
    ids=["list", "expression"],
)
async def test_origin_that_only_looks_like_an_allowed_one_is_not_named(origin: bytes, options: Any) -> None:
    async def plain(request: Request) -> Response:
        return PlainTextResponse("data")

    site = Pallasite(
        routes=[Route("/", plain)], middleware=[Middleware(CORSMiddleware, allow_credentials=True, **options)]
    )
    preflight = [(b"origin", origin), (b"access-control-request-method", b"GET")]
    for method, headers in (("GET", [(b"origin", origin)]), ("OPTIONS", preflight)):
        answer = await ask(site, method=method, headers=headers)
        assert answer.header("access-control-allow-origin") is None
        assert answer.header("vary") is not None
    answer = await ask(site, headers=[(b"origin", b"https://good.example")])
    assert answer.header("access-control-allow-origin") == "https://good.example"


# --- more than one


@pytest.mark.advisory("CVE-2026-34525")
@pytest.mark.parametrize(
    "hosts",
    [
        [b"testserver", b"evil.example"],
        [b"evil.example", b"testserver"],
        [b"testserver", b"testserver"],
        [b"testserver", b""],
        [b"testserver", b"/"],
        [b"testserver, evil.example"],
        [b"testserver,testserver"],
    ],
    ids=str,
)
async def test_request_of_two_hosts_is_of_none(hosts: list[bytes]) -> None:
    headers = [(b"host", host) for host in hosts]
    for site in guarded_twice(["testserver", "evil.example"]):
        assert (await ask(site, "/admin/page", headers=headers)).status == 400
    server = ("inside", 80)
    answer = await ask(app, "/admin/page", headers=headers, server=server)
    if len(hosts) > 1:
        assert b"evil" not in answer.body
        assert b"testserver" not in answer.body
        tenants = Pallasite(routes=[Host("testserver", Router(ROUTES)), Host("evil.example", Router(ROUTES))])
        assert (await ask(tenants, "/admin/page", headers=headers, server=server)).status in (400, 404)
