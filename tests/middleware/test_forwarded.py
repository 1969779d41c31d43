"""The client behind proxies: whom to believe, how far, and what cannot be believed."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from pallasite._http import scope_keys
from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.forwarded import ForwardedMiddleware
from pallasite.middleware.trustedhost import TrustedHostMiddleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route
from tests.support.asgi import UNUSED, ask, exchange, never, scope_of, socket_scope_of

pytestmark = pytest.mark.anyio

PROXY = ("10.0.0.1", 5000)
TRUSTED = ("10.0.0.0/8", "fd00::/8")


async def seen(*fields: tuple[bytes, bytes], client: Any = PROXY, scope: Any = None, **options: Any) -> dict[str, Any]:
    """Return the scope that the application gets."""
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope)

    options.setdefault("trusted", TRUSTED)
    headers = [(b"host", b"inside.test"), *fields]
    await ForwardedMiddleware(app, **options)(
        (scope or scope_of("/p")) | {"headers": headers, "client": client}, never, UNUSED
    )
    scope_seen: dict[str, Any] = found[0]
    return scope_seen


def by(value: bytes) -> tuple[bytes, bytes]:
    return (b"x-forwarded-for", value)


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([b"192.0.2.1"], ("192.0.2.1", 0)),
        ([b"192.0.2.1:4711"], ("192.0.2.1", 4711)),
        ([b"[2001:db8::1]:4711"], ("2001:db8::1", 4711)),
        ([b"2001:db8::1"], ("2001:db8::1", 0)),
        ([b"::ffff:192.0.2.1"], ("192.0.2.1", 0)),
        ([b"6.6.6.6, 192.0.2.1"], ("192.0.2.1", 0)),
        ([b"6.6.6.6, 192.0.2.1, 10.1.1.1, fd00::7"], ("192.0.2.1", 0)),
        ([b"6.6.6.6", b"192.0.2.1", b"10.1.1.1"], ("192.0.2.1", 0)),
        ([b"10.3.3.3, 10.2.2.2"], ("10.3.3.3", 0)),
        ([b"6.6.6.6, unknown, 10.1.1.1"], ("10.1.1.1", 0)),
        ([b"6.6.6.6, , 10.1.1.1:80"], ("10.1.1.1", 80)),
        ([b"unknown"], PROXY),
        ([b"6.6.6.6, <script>"], PROXY),
        ([b""], PROXY),
        ([], PROXY),
        ([b"\xff\x00"], PROXY),
        ([b"6.6.6.6, " * 20_000 + b"192.0.2.1"], ("192.0.2.1", 0)),
        ([b"1.2.3.4.5"], PROXY),
        ([b"127.1"], PROXY),
        ([b"0x7f.0.0.1"], PROXY),
        ([b"192.0.2.1:99999"], PROXY),
    ],
)
async def test_client_is_the_first_address_from_the_end_that_is_no_proxy(values: list[bytes], client: Any) -> None:
    scope = await seen(*map(by, values))
    assert scope["client"] == client
    assert scope[scope_keys.PEER] == PROXY


@pytest.mark.parametrize(
    ("values", "client"),
    [
        ([b"for=192.0.2.1"], ("192.0.2.1", 0)),
        ([b'for="[2001:db8::1]:4711";by=10.0.0.1'], ("2001:db8::1", 4711)),
        ([b"for=6.6.6.6, for=192.0.2.1", b"for=10.1.1.1"], ("192.0.2.1", 0)),
        ([b"for=6.6.6.6, for=unknown, for=10.1.1.1"], ("10.1.1.1", 0)),
        ([b"for=6.6.6.6, for=_hidden"], PROXY),
        ([b'for="6.6.6.6'], PROXY),
        ([b"for=6.6.6.6;for=7.7.7.7"], PROXY),
        ([b"for=6.6.6.6", b"nonsense"], PROXY),
    ],
)
async def test_client_in_the_field_of_the_rfc(values: list[bytes], client: Any) -> None:
    scope = await seen(*((b"forwarded", value) for value in values), header="forwarded")
    assert scope["client"] == client


async def test_only_the_configured_family_is_read() -> None:
    both = [by(b"192.0.2.1"), (b"forwarded", b"for=192.0.2.2")]
    assert (await seen(*both))["client"] == ("192.0.2.1", 0)
    assert (await seen(*both, header="forwarded"))["client"] == ("192.0.2.2", 0)


@pytest.mark.parametrize("client", [("192.0.2.9", 1), ("::ffff:192.0.2.9", 1), ("testclient", 1), None, ("", 0)])
async def test_nothing_is_believed_from_others(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    fields = [by(b"6.6.6.6"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-prefix", b"/x")]
    caplog.set_level(logging.WARNING)
    scope = await seen(*fields, (b"x-forwarded-host", b"evil.test"), client=client, host=True, prefix=True)
    assert (scope["client"], scope["scheme"], scope["path"]) == (client, "http", "/p")
    assert (b"host", b"inside.test") in scope["headers"]
    assert "is not trusted. If it is a proxy, add it to trusted." in caplog.text


async def test_mistrust_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pass

    middleware = ForwardedMiddleware(app)
    for number in range(3):
        await middleware(scope_of(headers=[by(b"6.6.6.6")], client=(f"192.0.2.{number}", 1)), never, UNUSED)
    await middleware(scope_of(client=("192.0.2.1", 1)), never, UNUSED)
    assert middleware.mistrusted == 3
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("trusted", "client", "believed"),
    [
        (("127.0.0.1", "::1"), ("127.0.0.1", 1), True),
        (("127.0.0.1", "::1"), ("::ffff:127.0.0.1", 1), True),
        (("127.0.0.1", "::1"), ("::1", 1), True),
        (("127.0.0.1", "::1"), ("127.0.0.2", 1), False),
        ("10.0.0.0/8", ("10.255.255.255", 1), True),
        ("unix", None, True),
        ("unix", ("127.0.0.1", 1), False),
        ("*", None, True),
        ("*", ("8.8.8.8", 1), True),
        (("*", "192.0.2.0/24"), ("8.8.8.8", 1), True),
    ],
)
async def test_who_is_trusted(trusted: Any, client: Any, believed: bool) -> None:
    scope = await seen(by(b"6.6.6.6, 198.51.100.1"), client=client, trusted=trusted)
    assert scope["client"] == (("198.51.100.1", 0) if believed else client)


async def test_any_peer_and_known_proxies_behind_it() -> None:
    fields = by(b"6.6.6.6, 198.51.100.1, 192.0.2.5")
    scope = await seen(fields, client=("8.8.8.8", 1), trusted=("*", "192.0.2.0/24"))
    assert scope["client"] == ("198.51.100.1", 0)


@pytest.mark.parametrize(
    ("hops", "client"),
    [(1, ("10.1.1.1", 0)), (2, ("192.0.2.1", 0)), (3, ("6.6.6.6", 0)), (4, ("8.8.8.8", 1))],
)
async def test_number_of_proxies_instead_of_their_addresses(hops: int, client: Any) -> None:
    scope = await seen(by(b"6.6.6.6, 192.0.2.1, 10.1.1.1"), client=("8.8.8.8", 1), hops=hops)
    assert scope["client"] == client


@pytest.mark.parametrize(
    ("addresses", "schemes", "scheme"),
    [
        (b"192.0.2.1", b"https", "https"),
        (b"192.0.2.1", b"HTTPS", "https"),
        (b"192.0.2.1", b"wss", "https"),
        (b"192.0.2.1", b"http", "http"),
        (b"192.0.2.1", b"gopher", "http"),
        (b"192.0.2.1", b"https, http", "http"),
        (b"6.6.6.6, 192.0.2.1, 10.0.0.2", b"http, https, http", "https"),
        (b"6.6.6.6, 192.0.2.1, 10.0.0.2", b"https, http, https", "http"),
        (b"6.6.6.6, 192.0.2.1, 10.0.0.2", b"https", "https"),
        (b"6.6.6.6, 192.0.2.1, 10.0.0.2", b"https, https", "http"),
        (b"", b"https", "https"),
    ],
)
async def test_scheme_is_that_of_the_clients_connection(addresses: bytes, schemes: bytes, scheme: str) -> None:
    fields = [by(addresses), (b"x-forwarded-proto", schemes)]
    assert (await seen(*fields))["scheme"] == scheme
    socket = await seen(*fields, scope=socket_scope_of())
    assert socket["scheme"] == {"http": "ws", "https": "wss"}[scheme]


async def test_scheme_may_also_become_plain() -> None:
    scope = await seen(by(b"192.0.2.1"), (b"x-forwarded-proto", b"http"), scope=scope_of("/p", scheme="https"))
    assert scope["scheme"] == "http"
    scope = scope_of("/p")
    del scope["scheme"]
    assert (await seen((b"x-forwarded-proto", b"https"), scope=scope))["scheme"] == "https"
    odd = await seen((b"x-forwarded-proto", b"https"), scope=scope_of("/p", scheme="unix"))
    assert odd["scheme"] == "unix"


@pytest.mark.parametrize(
    ("given", "host"),
    [
        (b"example.test", b"example.test"),
        (b"example.test:8443", b"example.test:8443"),
        (b"[2001:db8::1]:80", b"[2001:db8::1]:80"),
        (b"a.test, b.test", b"inside.test"),
        (b"user@evil.test", b"inside.test"),
        (b"evil.test/path", b"inside.test"),
        (b"a b", b"inside.test"),
        (b"", b"inside.test"),
        (b"\xff", b"inside.test"),
    ],
)
async def test_host_is_replaced_if_asked_for_and_valid(given: bytes, host: bytes) -> None:
    fields = [by(b"192.0.2.1"), (b"x-forwarded-host", given)]
    scope = await seen(*fields, host=True)
    assert [value for name, value in scope["headers"] if name == b"host"] == [host]
    assert (b"host", b"inside.test") in (await seen(*fields))["headers"]


async def test_host_of_the_rfc_is_that_of_the_clients_connection() -> None:
    value = b"for=6.6.6.6;host=evil.test, for=192.0.2.1;host=outside.test;proto=https, for=10.0.0.2;host=middle.test"
    scope = await seen((b"forwarded", value), header="forwarded", host=True)
    assert (b"host", b"outside.test") in scope["headers"]
    assert scope["scheme"] == "https"


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        (b"/api", "/api"),
        (b"/api/v1/", "/api/v1"),
        (b"api", ""),
        (b"/", ""),
        (b"//evil.test", ""),
        (b"/a/../b", ""),
        (b"/a, /b", ""),
        (b"/a?b", ""),
        (b"/%2e", ""),
        (b"", ""),
    ],
)
async def test_prefix_is_put_in_front_if_asked_for_and_valid(given: bytes, prefix: str) -> None:
    field = (b"x-forwarded-prefix", given)
    scope = await seen(field, prefix=True, scope=scope_of("/p", root_path="/r"))
    assert (scope["root_path"], scope["path"]) == (prefix + "/r", prefix + "/p")
    assert scope["raw_path"] == prefix.encode() + b"/p"
    plain = scope_of("/p")
    del plain["raw_path"]
    assert "raw_path" not in await seen(field, prefix=True, scope=plain)
    assert (await seen(field))["path"] == "/p"


async def test_application_behind_a_proxy_that_strips_a_prefix() -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse(
            f"{request.client.host if request.client else None} {request.url} {request.url_for('page')}"
        )

    app = Pallasite(
        routes=[Route("/page", page)],
        middleware=[
            Middleware(ForwardedMiddleware, host=True, prefix=True),
            Middleware(TrustedHostMiddleware, allowed_hosts=["outside.test"]),
        ],
    )
    fields = [by(b"192.0.2.1"), (b"x-forwarded-proto", b"https"), (b"x-forwarded-prefix", b"/shop")]
    headers = [(b"host", b"inside"), *fields, (b"x-forwarded-host", b"outside.test")]
    answer = await ask(app, "/page", headers=headers, client=("127.0.0.1", 1))
    assert answer.body == b"192.0.2.1 https://outside.test/shop/page https://outside.test/shop/page"
    headers[-1] = (b"x-forwarded-host", b"evil.test")
    assert (await ask(app, "/page", headers=headers, client=("127.0.0.1", 1))).status == 400


async def test_read_once_by_nested_layers_and_not_for_lifespans() -> None:
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.append(scope)

    twice = ForwardedMiddleware(ForwardedMiddleware(app, trusted=("192.0.2.0/24",)), trusted=TRUSTED)
    await twice(scope_of(headers=[by(b"6.6.6.6, 192.0.2.1")], client=PROXY), never, UNUSED)
    assert found[0]["client"] == ("192.0.2.1", 0)
    await exchange(twice, {"type": "lifespan"})
    assert found[1] == {"type": "lifespan"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"header": "x"}, "header must be 'x-forwarded' or 'forwarded', not 'x'"),
        ({"hops": 0}, "hops must be the number of proxies, from 1 to 100, not 0"),
        ({"trusted": ()}, "trusted is empty"),
        ({"trusted": "10.0.0.1/8"}, "trusted takes addresses and networks such as '10.0.0.0/8', not '10.0.0.1/8'"),
        ({"trusted": ["proxy.test"]}, "not 'proxy.test'"),
        ({"prefix": True, "header": "forwarded"}, "prefix needs header='x-forwarded'"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ForwardedMiddleware(UNUSED, **options)
