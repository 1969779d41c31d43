"""`RateLimitMiddleware`: what is allowed, what clients are told, and the bounds of memory."""

from __future__ import annotations

import json
import logging
import random
import threading
from typing import Any

import anyio
import pytest

from pallasite.applications import Pallasite
from pallasite.middleware import Middleware
from pallasite.middleware.rate_limit import (
    Decision,
    MemoryRateLimitStore,
    RateLimitMiddleware,
    RateLimitPolicy,
    client_key,
    limit,
)
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route
from tests.support.asgi import Sent, ask, connect, exchange, socket_scope_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def page(request: Request) -> Response:
    return PlainTextResponse("page")


def application(clock: Clock | None = None, **options: Any) -> Pallasite:
    store = options.pop("store", None) or MemoryRateLimitStore(clock=clock or Clock())
    return Pallasite(routes=[Route("/", page)], middleware=[Middleware(RateLimitMiddleware, store=store, **options)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100/minute", (100, 60)),
        ("5 per 10 seconds", (5, 10)),
        ("1/day", (1, 86400)),
        (" 20 / 2 hours ", (20, 7200)),
        ("3/second", (3, 1)),
    ],
)
def test_policy_is_read(text: str, expected: tuple[int, float]) -> None:
    assert RateLimitPolicy.parse(text)[:2] == expected


@pytest.mark.parametrize(
    "text", ["", "100", "0/minute", "-1/minute", "5/month", "5/0 minutes", "1.5/minute", "5/minute; x"]
)
def test_policy_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a policy is written as '100/minute'"):
        RateLimitPolicy.parse(text)


@pytest.mark.anyio
async def test_client_may_send_its_limit_and_then_what_its_rate_allows() -> None:
    clock = Clock()
    app = application(clock, policies=["3/minute"])
    assert [(await ask(app)).status for _ in range(4)] == [200, 200, 200, 429]
    clock.now += 19.9
    assert (await ask(app)).status == 429
    clock.now += 0.1  # a third of a minute
    assert [(await ask(app)).status for _ in range(2)] == [200, 429]
    clock.now += 3600
    assert [(await ask(app)).status for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.anyio
async def test_response_tells_what_is_left() -> None:
    clock = Clock()
    app = application(clock, policies=["2/minute", "10 per hour"])
    answer = await ask(app)
    assert answer.header("ratelimit-policy") == '"2/minute";q=2;w=60, "10 per hour";q=10;w=3600'
    assert answer.header("ratelimit") == '"2/minute";r=1;t=30, "10 per hour";r=9;t=360'
    await ask(app)
    refused = await ask(app)
    assert refused.status == 429
    assert refused.header("retry-after") == "30"
    assert refused.header("ratelimit") == '"2/minute";r=0;t=60, "10 per hour";r=8;t=720'  # it counts for neither
    assert refused.header("content-type") == "application/problem+json"
    assert json.loads(refused.body)["status"] == 429


@pytest.mark.anyio
async def test_legacy_fields_are_those_of_the_scarcest_policy() -> None:
    answer = await ask(application(policies=["5/minute", "2/hour"], headers="legacy"))
    fields = {name: answer.header(f"x-ratelimit-{name}") for name in ("limit", "remaining", "reset")}
    assert fields == {"limit": "2", "remaining": "1", "reset": "1800"}
    bare = await ask(application(headers=None))
    assert [name for name, _ in bare.headers if b"ratelimit" in name] == []


@pytest.mark.anyio
async def test_clients_have_limits_of_their_own() -> None:
    app = application(policies="1/minute")
    clients = [("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.1", 2), ("2001:db8::1", 1), ("2001:db8::2", 1), None, None]
    statuses = [(await ask(app, client=client)).status for client in clients]
    assert statuses == [200, 200, 429, 200, 429, 200, 200]


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no:address", "no:address"),
        ("testclient", "testclient"),
    ],
)
def test_address_is_the_key(host: str, key: str) -> None:
    assert client_key({"client": (host, 1)}) == key
    assert client_key({"client": None}) is None


@pytest.mark.anyio
async def test_route_may_have_a_limit_of_its_own() -> None:
    routes = [Route("/login", page, middleware=[limit("1/minute")]), Route("/", page)]
    app = Pallasite(routes=routes)
    assert [(await ask(app, path)).status for path in ("/login", "/login", "/", "/")] == [200, 429, 200, 200]


@pytest.mark.anyio
async def test_websocket_is_refused_before_it_is_accepted() -> None:
    app = application(policies=["1/minute"])
    assert [message["type"] for message in await connect(app, "/nowhere")] == ["websocket.close"]
    scope = socket_scope_of("/nowhere", extensions={"websocket.http.response": {}})
    [start, _] = await exchange(app, scope, [{"type": "websocket.connect"}])
    assert start["status"] == 429


@pytest.mark.anyio
async def test_lifespan_is_not_limited() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await RateLimitMiddleware(app)({"type": "lifespan"}, None, Sent())  # type: ignore[arg-type]
    assert seen == ["lifespan"]


class Failing:
    async def take(self, key: str, policies: Any) -> Decision:
        raise OSError("no store")


class Slow:
    async def take(self, key: str, policies: Any) -> Decision:
        await anyio.sleep_forever()
        raise AssertionError


class Open:
    async def take(self, key: str, policies: Any) -> Decision:
        return Decision(0.0, tuple((1, 1.0) for _ in policies))


@pytest.mark.anyio
@pytest.mark.parametrize("store", [Failing(), Slow()], ids=["fails", "slow"])
async def test_store_that_fails_allows_or_refuses(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert (await ask(application(store=store))).status == 200
        app = application(store=store, on_error="refuse")
        sent = await exchange(app, {**socket_scope_of("/"), "type": "http", "method": "GET", "scheme": "http"})
    assert sent[0]["status"] == 503
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records[:2]] == ["allowed", "refused"]


@pytest.mark.anyio
async def test_store_of_another_kind_is_asked() -> None:
    answer = await ask(application(store=Open(), policies=["1/second"]))
    assert (answer.status, answer.header("ratelimit")) == (200, '"1/second";r=1;t=1')


@pytest.mark.anyio
async def test_memory_store_may_be_awaited() -> None:
    store = MemoryRateLimitStore(clock=Clock())
    policies = [RateLimitPolicy.parse("1/minute")]
    assert (await store.take("a", policies)).retry_after == 0
    assert (await store.take("a", policies)).retry_after == 60


def test_least_recent_client_is_forgotten_first() -> None:
    store = MemoryRateLimitStore(max_keys=3, clock=Clock())
    policies = [RateLimitPolicy.parse("1/minute")]
    for key in ("a", "b", "c", "a", "d"):
        store.take_now(key, policies)
    assert len(store) == 3
    allowed = {key: store.take_now(key, policies).retry_after == 0 for key in ("a", "c", "d")}
    assert allowed == {"a": False, "c": False, "d": False}
    assert store.take_now("b", policies).retry_after == 0


def test_no_period_has_more_than_the_limit_and_the_rate() -> None:
    clock, chance = Clock(), random.Random(7)
    store, policy = MemoryRateLimitStore(clock=clock), RateLimitPolicy.parse("10/minute")
    allowed = []
    for _ in range(3000):
        clock.now += chance.choice([0, 0, 0.01, 1, 6, 90])
        if store.take_now("a", [policy]).retry_after == 0:
            allowed.append(clock.now)
    for place, start in enumerate(allowed):
        for other in range(place, min(place + 60, len(allowed))):
            period = allowed[other] - start
            assert other - place + 1 <= 10 + 10 * period / 60 + 1e-6


def test_threads_share_a_limit() -> None:
    store, policies = MemoryRateLimitStore(clock=Clock()), [RateLimitPolicy.parse("50/minute")]
    allowed: list[bool] = []

    def work() -> None:
        allowed.extend(store.take_now("a", policies).retry_after == 0 for _ in range(100))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 50


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policies": []}, "policies must contain at least one"),
        ({"headers": "new"}, "headers must be 'draft', 'legacy' or None, not 'new'"),
        ({"on_error": "wait"}, "on_error must be 'allow' or 'refuse', not 'wait'"),
    ],
)
def test_setting_that_can_never_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RateLimitMiddleware(Pallasite(), **options)
    with pytest.raises(ValueError, match="max_keys must be at least 1, not 0"):
        MemoryRateLimitStore(max_keys=0)
