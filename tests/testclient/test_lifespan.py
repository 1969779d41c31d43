"""The test client: lifespan events."""

from __future__ import annotations

import threading

import pytest

from pallasite.responses import JSONResponse
from pallasite.types import ASGIApp, Receive, Scope, Send
from tests.support.clients import ClientFactory
from tests.testclient.apps import messages, thread_identity


def lifespan_app(events: list[str]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await JSONResponse(scope["state"])(scope, receive, send)
            return
        assert (await receive())["type"] == "lifespan.startup"
        events.append("startup")
        scope["state"]["count"] = 1
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    return app


def test_lifespan_runs_around_with(test_client_factory: ClientFactory) -> None:
    events: list[str] = []
    client = test_client_factory(lifespan_app(events))
    for _ in range(2):
        with client:
            assert events == ["startup"]
            assert client.app_state == {"count": 1}
            assert client.get("/").json() == {"count": 1}
        assert events == ["startup", "shutdown"]
        events.clear()
    assert client.get("/").status_code == 200


def test_lifespan_state_is_copied_for_each_request(test_client_factory: ClientFactory) -> None:
    app = lifespan_app([])

    async def spoiling(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        scope["state"]["spoiled"] = True

    with test_client_factory(spoiling) as client:
        client.get("/")
        assert client.get("/").json() == {"count": 1}


@pytest.mark.parametrize("step", ["startup", "shutdown"])
def test_lifespan_failure_is_raised(test_client_factory: ClientFactory, step: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == f"lifespan.{step}":
                await send({"type": f"lifespan.{step}.failed", "message": "no database"})
                raise LookupError("no database")
            await send({"type": f"{message['type']}.complete"})

    client = test_client_factory(app)
    with pytest.raises(LookupError, match="no database"), client:
        assert step == "shutdown"
    assert client.portal is None


@pytest.mark.parametrize("step", ["startup", "shutdown"])
def test_lifespan_failure_without_an_exception_is_an_error(test_client_factory: ClientFactory, step: str) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == f"lifespan.{step}":
                await send({"type": f"lifespan.{step}.failed", "message": "no database"})
                return
            await send({"type": f"{message['type']}.complete"})

    with pytest.raises(RuntimeError, match=f"{step} failed: no database"), test_client_factory(app):
        assert step == "shutdown"


def test_lifespan_raising_before_it_answers_is_raised(test_client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("lifespan")

    with pytest.raises(LookupError, match="lifespan"), test_client_factory(app):
        pytest.fail("started")


def test_lifespan_of_an_application_without_one_is_skipped(test_client_factory: ClientFactory) -> None:
    with test_client_factory(messages()) as client:
        assert client.portal is not None


def test_exception_in_the_with_block_still_shuts_down(test_client_factory: ClientFactory) -> None:
    events: list[str] = []
    with pytest.raises(LookupError), test_client_factory(lifespan_app(events)):
        raise LookupError
    assert events == ["startup", "shutdown"]


def test_portal_calls_into_the_loop(test_client_factory: ClientFactory) -> None:
    with test_client_factory(thread_identity) as client:
        assert client.portal is not None
        assert client.portal.call(threading.get_ident) == client.get("/").json()
