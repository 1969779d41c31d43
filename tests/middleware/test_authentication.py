"""AuthenticationMiddleware: the connections that the backend sees, and responses to wrong credentials."""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from pallasite.middleware import Middleware
from pallasite.middleware.authentication import AuthenticationMiddleware
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pallasite.routing import Route, WebSocketRoute
from pallasite.types import ASGIApp, Message, Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketDisconnect
from tests.support.asgi import UNUSED
from tests.support.clients import ClientFactory

pytestmark = pytest.mark.anyio


class Basic(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> Any:
        header = conn.headers.get("authorization")
        if header is None:
            return None
        try:
            scheme, _, credentials = header.partition(" ")
            if scheme.lower() != "basic":
                return None
            name, _, _ = base64.b64decode(credentials, validate=True).decode("ascii").partition(":")
        except (ValueError, binascii.Error):
            raise AuthenticationError("Invalid basic auth credentials") from None
        return AuthCredentials(["authenticated"]), SimpleUser(name)


async def tell(request: Request) -> JSONResponse:
    return JSONResponse([request.user.display_name, request.auth.scopes])


async def stream(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[Any]:
        yield request.user.display_name
        yield "!"

    return StreamingResponse(pieces())


async def fail(request: Request) -> None:
    raise AuthenticationError("from an endpoint")


async def tell_websocket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(websocket.user.display_name)
    await websocket.close()


def application(**options: Any) -> Any:
    return Pallasite(
        routes=[
            Route("/", tell),
            Route("/stream", stream),
            Route("/fail", fail),
            WebSocketRoute("/ws", tell_websocket),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=Basic(), **options)],
    )


def basic(name: str) -> Any:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:secret".encode()).decode()}


WRONG = [{"authorization": "Basic not base64!"}, {"authorization": "Basic /w=="}, {"authorization": "basic é"}]


def test_known_and_unknown_clients_reach_the_endpoint(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(application())
    assert client.get("/").json() == ["", []]
    assert client.get("/", headers={"authorization": "Bearer x"}).json() == ["", []]
    assert client.get("/", headers=basic("ada")).json() == ["ada", ["authenticated"]]
    assert client.get("/stream", headers=basic("ada")).text == "ada!"


@pytest.mark.parametrize("headers", WRONG, ids=["characters", "bytes", "latin-1"])
def test_wrong_credentials_are_a_bad_request(test_client_factory: ClientFactory, headers: Any) -> None:
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    response = test_client_factory(application()).get("/", headers=raw)
    assert (response.status_code, response.text) == (400, "Invalid basic auth credentials")


def test_on_error_answers_instead(test_client_factory: ClientFactory) -> None:
    def on_error(conn: HTTPConnection, error: Any) -> JSONResponse:
        return JSONResponse({"error": str(error), "path": conn.url.path}, status_code=401)

    response = test_client_factory(application(on_error=on_error)).get("/", headers={"authorization": "basic !"})
    assert response.status_code == 401
    assert response.json() == {"error": "Invalid basic auth credentials", "path": "/"}


def test_websocket_is_known_or_closed(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(application())
    with client.websocket_connect("/ws", headers=basic("ada")) as websocket:
        assert websocket.receive_text() == "ada"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers={"authorization": "basic !"}):
        pass


def test_errors_of_the_application_are_its_own(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(application(), raise_server_exceptions=False)
    assert client.get("/fail").status_code == 500
    with pytest.raises(AuthenticationError, match="from an endpoint"):
        test_client_factory(application()).get("/fail")


async def test_client_that_leaves_ends_the_response() -> None:
    async def gone(message: Message) -> None:
        raise OSError("gone")

    layer = AuthenticationMiddleware(PlainTextResponse("ok"), backend=Basic())
    with pytest.raises(OSError, match="gone"):
        await layer({"type": "http", "method": "GET", "path": "/", "headers": []}, UNUSED, gone)


async def test_lifespan_is_not_authenticated(test_client_factory: ClientFactory) -> None:
    events = []

    @contextlib.asynccontextmanager
    async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
        events.append("up")
        yield
        events.append("down")

    class Never(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> None:
            pytest.fail("asked who the lifespan is")

    scopes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)

    await AuthenticationMiddleware(app, backend=Never())({"type": "lifespan"}, UNUSED, UNUSED)
    assert scopes == [{"type": "lifespan"}]
    layers = [Middleware(AuthenticationMiddleware, backend=Never())]
    with test_client_factory(Pallasite(middleware=layers, lifespan=lifespan)):
        assert events == ["up"]
    assert events == ["up", "down"]
