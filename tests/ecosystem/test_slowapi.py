"""slowapi: limits on how often an endpoint may be called, by decorator and by middleware."""

from __future__ import annotations

import pytest
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware
from slowapi.util import get_remote_address
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient


def by_client(request: Request) -> str:
    return request.headers.get("x-client") or get_remote_address(request)


def limited(limiter: Limiter, **settings: object) -> Starlette:
    app = Starlette(**settings)
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return app


def test_decorated_endpoint_called_too_often_is_429() -> None:
    limiter = Limiter(key_func=by_client, headers_enabled=True)

    @limiter.limit("2/minute")
    async def quote(request: Request) -> Response:
        return PlainTextResponse("panta rhei")

    client = TestClient(limited(limiter, routes=[Route("/quote", quote)]))
    first, second, third = (client.get("/quote") for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert [first.headers["x-ratelimit-remaining"], second.headers["x-ratelimit-remaining"]] == ["1", "0"]
    assert third.json() == {"error": "Rate limit exceeded: 2 per 1 minute"}
    assert int(third.headers["retry-after"]) <= 60
    assert client.get("/quote", headers={"x-client": "another"}).text == "panta rhei"


@pytest.mark.parametrize("middleware", [SlowAPIMiddleware, SlowAPIASGIMiddleware])
def test_default_limit_of_middleware_counts_each_route_by_itself(middleware: type) -> None:
    limiter = Limiter(key_func=by_client, default_limits=["1/minute"], headers_enabled=True)

    def day(request: Request) -> Response:
        return PlainTextResponse("day")

    def night(request: Request) -> Response:
        return PlainTextResponse("night")

    @limiter.exempt
    def always(request: Request) -> Response:
        return PlainTextResponse("always")

    routes = [Route("/day", day), Route("/night", night), Route("/always", always)]
    app = limited(limiter, routes=routes)
    app.add_middleware(middleware)
    client = TestClient(app)
    assert [client.get("/day").status_code for _ in range(2)] == [200, 429]
    assert client.get("/night").headers["x-ratelimit-limit"] == "1"
    assert [client.get("/always").status_code for _ in range(3)] == [200, 200, 200]
