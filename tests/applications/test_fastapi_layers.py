"""The middleware that Starlette does not have, on a FastAPI application: added as FastAPI shows it, all at once."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

pytest.importorskip("fastapi")

PROGRAM = """
    import pallasite
    pallasite.install_as_starlette(COMPILED)

    import importlib

    from fastapi import APIRouter, Depends, FastAPI, Request
    from fastapi.responses import PlainTextResponse
    from fastapi.testclient import TestClient

    from pallasite.health import Health
    from pallasite.middleware.concurrency_limit import ConcurrencyLimitMiddleware
    from pallasite.middleware.cross_origin import CrossOriginMiddleware
    from pallasite.middleware.forwarded import ForwardedMiddleware
    from pallasite.middleware.observability import ObservabilityMiddleware
    from pallasite.middleware.rate_limit import RateLimitMiddleware
    from pallasite.middleware.security_headers import SecurityHeadersMiddleware
    from pallasite.middleware.timeout import TimeoutMiddleware
    from pallasite.problems import problem_handlers
    from pallasite.shutdown import Drain

    app = FastAPI(lifespan=Drain(grace=0))
    app.add_middleware(TimeoutMiddleware, seconds=30)
    app.add_middleware(ConcurrencyLimitMiddleware, limit=10)
    app.add_middleware(RateLimitMiddleware, policies=("7/hour",))
    app.add_middleware(CrossOriginMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, preset="api")
    app.add_middleware(Health, checks={"always": lambda: True})
    app.add_middleware(ObservabilityMiddleware, prometheus="/metrics")
    app.add_middleware(ForwardedMiddleware, trusted=["10.0.0.7"])
    problem_handlers(app)
    router = APIRouter(prefix="/items")

    def who(request: Request):
        return request.client.host

    @router.get("/{number}")
    def item(number: int, client: str = Depends(who)):
        return [number, client, pallasite.request_id()]

    @router.post("/")
    def post():
        return "posted"

    app.include_router(router, prefix="/api")

    with TestClient(app, client=("10.0.0.7", 1), headers={"x-forwarded-for": "192.0.2.1"}) as client:
        response = client.get("/api/items/7")
        assert response.json() == [7, "192.0.2.1", response.headers["x-request-id"]], response.text
        assert response.headers["content-security-policy"].startswith("default-src 'none'")
        problem = client.get("/api/items/x", headers={"accept": "application/json"})
        assert problem.status_code == 422
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["instance"] == "urn:uuid:" + problem.headers["x-request-id"]
        refused = client.post("/api/items/", headers={"sec-fetch-site": "cross-site"})
        assert (refused.status_code, "x-request-id" in refused.headers) == (403, True)
        assert client.post("/api/items/").json() == "posted"
        for _ in range(5):
            limited = client.get("/api/items/7")
        assert limited.status_code == 429, limited.text
        assert client.get("/readyz").json() == {"status": "pass"}
        text = client.get("/metrics").text
        for status, route in (("200", "/api/items/{number}"), ("403", ""), ("429", "")):
            assert f'status_code="{status}",http_route="{route}"' in text, text
        app.draining.start()
        assert client.get("/readyz").status_code == 503

    for name in ("health", "shutdown", "problems", "middleware.observability", "middleware.forwarded"):
        try:
            importlib.import_module("starlette." + name)
        except ModuleNotFoundError:
            continue
        raise AssertionError(name)
"""


@pytest.mark.parametrize("compiled", ["", "compile_fastapi=True"])
def test_all_at_once(compiled: str) -> None:
    program = textwrap.dedent(PROGRAM).replace("COMPILED", compiled)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
