"""Exceptions that have a handler: the lookup, the arguments and the return value."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite._compat import mode
from pallasite.applications import Pallasite
from pallasite.exceptions import HTTPException, WebSocketException
from pallasite.middleware import Middleware
from pallasite.middleware.errors import ServerErrorMiddleware
from pallasite.middleware.exceptions import ExceptionMiddleware
from pallasite.requests import Request
from pallasite.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from pallasite.routing import Mount, Route, Router, WebSocketRoute
from pallasite.websockets import WebSocket, WebSocketDisconnect


class Base(Exception):
    pass


class Derived(Base):
    pass


def raising(exc: Exception) -> Any:
    async def endpoint(request: Request) -> Response:
        raise exc

    return endpoint


def label(text: str, status: int = 418) -> Any:
    async def handler(request: Request, exc: Exception) -> Response:
        return PlainTextResponse(text, status_code=status)

    return handler


def test_http_exception_becomes_its_status_detail_and_headers(test_client_factory: Any) -> None:
    exc = HTTPException(406, detail="no such form", headers={"x-why": "because"})
    response = test_client_factory(Pallasite(routes=[Route("/", raising(exc))])).get("/")
    assert (response.status_code, response.text, response.headers["x-why"]) == (406, "no such form", "because")


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_content_has_none(status: int, test_client_factory: Any) -> None:
    app = Pallasite(routes=[Route("/", raising(HTTPException(status, detail="unseen", headers={"x-a": "b"})))])
    response = test_client_factory(app).get("/")
    assert (response.status_code, response.content, response.headers["x-a"]) == (status, b"", "b")


def test_handler_of_the_nearest_class_wins(test_client_factory: Any) -> None:
    app = Pallasite(
        routes=[Route("/derived", raising(Derived())), Route("/base", raising(Base()))],
        exception_handlers={Base: label("base"), Derived: label("derived")},
    )
    client = test_client_factory(app)
    assert client.get("/derived").text == "derived"
    assert client.get("/base").text == "base"


def test_status_handler_goes_before_class_handler(test_client_factory: Any) -> None:
    app = Pallasite(
        routes=[Route("/404", raising(HTTPException(404))), Route("/403", raising(HTTPException(403)))],
        exception_handlers={404: label("by status"), HTTPException: label("by class")},
    )
    client = test_client_factory(app)
    assert client.get("/404").text == "by status"
    assert client.get("/nowhere").text == "by status"
    assert client.get("/403").text == "by class"


def test_handler_sees_the_endpoints_own_request(test_client_factory: Any) -> None:
    async def endpoint(request: Request) -> Response:
        await request.body()
        raise Base

    async def handler(request: Request, exc: Exception) -> Response:
        return PlainTextResponse(await request.body())

    app = Pallasite(routes=[Route("/", endpoint, methods=["POST"])], exception_handlers={Base: handler})
    assert test_client_factory(app).post("/", content=b"once").text == "once"


def test_function_handler_runs_and_none_sends_nothing(test_client_factory: Any) -> None:
    seen: list[Exception] = []

    def handler(request: Request, exc: Exception) -> Any:
        seen.append(exc)
        return JSONResponse({"handled": True})

    app = Pallasite(routes=[Route("/", raising(Base("x")))], exception_handlers={Base: handler})
    assert test_client_factory(app).get("/").json() == {"handled": True}
    assert [str(exc) for exc in seen] == ["x"]


def test_reused_exception_does_not_collect_frames(test_client_factory: Any) -> None:
    exc = HTTPException(400)
    client = test_client_factory(Pallasite(routes=[Route("/", raising(exc))]))
    for _ in range(3):
        client.get("/")
    assert exc.__traceback__ is None


@pytest.mark.parametrize("mode_name", ["PALLASITE", "STARLETTE"])
def test_handled_exception_after_start_is_raised_itself(
    mode_name: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mode, "current", getattr(mode, mode_name))

    async def body() -> Any:
        yield b"some"
        raise Base("in mid-stream")

    async def endpoint(request: Request) -> Response:
        return StreamingResponse(body())

    app = Pallasite(routes=[Route("/", endpoint)], exception_handlers={Base: label("never")})
    if mode_name == "PALLASITE":
        with pytest.raises(Base, match="in mid-stream"):
            test_client_factory(app).get("/")
    else:
        with pytest.raises(RuntimeError, match="response already started") as caught:
            test_client_factory(app).get("/")
        assert isinstance(caught.value.__cause__, Base)


def test_handler_that_returns_an_awaitable_is_awaited(test_client_factory: Any) -> None:
    async def respond(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("handled")

    async def endpoint(request: Request) -> Response:
        raise Base

    app = Pallasite(routes=[Route("/", endpoint)], exception_handlers={Base: lambda *args: respond(*args)})
    assert test_client_factory(app).get("/").text == "handled"


def test_websocket_exception_closes_with_code_and_reason(test_client_factory: Any) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise WebSocketException(4001, reason="not today")

    client = test_client_factory(Pallasite(routes=[WebSocketRoute("/", endpoint)]))
    with client.websocket_connect("/") as session, pytest.raises(WebSocketDisconnect) as caught:
        session.receive_text()
    assert (caught.value.code, caught.value.reason) == (4001, "not today")


def test_custom_websocket_handler_is_called(test_client_factory: Any) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise Base

    async def handler(websocket: WebSocket, exc: Exception) -> None:
        await websocket.close(4002)

    client = test_client_factory(Pallasite(routes=[WebSocketRoute("/", endpoint)], exception_handlers={Base: handler}))
    with client.websocket_connect("/") as session, pytest.raises(WebSocketDisconnect) as caught:
        session.receive_text()
    assert caught.value.code == 4002


def test_replaced_handlers_are_used_by_running_routes(test_client_factory: Any) -> None:
    # Tracers replace every value of this private table right after it is made.
    middleware = ExceptionMiddleware(Router([Route("/", raising(Base()))]), handlers={Base: label("first")})
    for key in middleware._exception_handlers:
        middleware._exception_handlers[key] = label("replaced")
    assert test_client_factory(middleware).get("/").text == "replaced"


def test_key_must_be_a_status_or_an_exception_class() -> None:
    middleware = ExceptionMiddleware(Router())
    with pytest.raises(AssertionError):
        middleware.add_exception_handler(KeyboardInterrupt, label("no"))  # type: ignore[arg-type]


def test_exception_without_handler_passes(test_client_factory: Any) -> None:
    with pytest.raises(Base):
        test_client_factory(ExceptionMiddleware(Router([Route("/", raising(Base()))]))).get("/")


def test_lifespan_passes_untouched(test_client_factory: Any) -> None:
    kinds: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kinds.append(scope["type"])
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            await send({"type": "lifespan.shutdown.complete"})

    with test_client_factory(ExceptionMiddleware(app)):
        pass
    assert kinds == ["lifespan"]


@pytest.mark.parametrize("layers", [[], [Middleware(ServerErrorMiddleware)]], ids=["written out", "layered"])
def test_what_the_handler_for_404_raises_is_a_server_error(layers: list[Middleware], test_client_factory: Any) -> None:
    async def conflict(request: Request, exc: Exception) -> Response:
        raise HTTPException(409)

    client = test_client_factory(Pallasite(middleware=layers, exception_handlers={404: conflict}))
    with pytest.raises(HTTPException, match="409"):
        client.get("/nowhere")


def test_handlers_of_a_mounted_application_are_not_those_of_the_one_around_it(test_client_factory: Any) -> None:
    inner = Pallasite(routes=[Route("/", raising(Base()))], exception_handlers={Base: raising_handler})
    with pytest.raises(Derived):
        test_client_factory(Pallasite(routes=[Mount("/in", inner)])).get("/in/")


async def raising_handler(request: Request, exc: Exception) -> Response:
    raise Derived


def test_handlers_of_an_application_called_by_an_endpoint_stay_its_own(test_client_factory: Any) -> None:
    class Calling(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await ExceptionMiddleware(PlainTextResponse("inner"), handlers={Base: label("inner")})(
                scope, receive, nowhere
            )
            raise Base

    async def nowhere(message: Any) -> None:
        pass

    async def endpoint(request: Request) -> Response:
        return Calling()

    app = Pallasite(routes=[Route("/", endpoint)], exception_handlers={Base: label("outer")})
    assert test_client_factory(app).get("/").text == "outer"


def test_router_that_runs_another_ones_routes_is_left_to_do_so(test_client_factory: Any) -> None:
    app = Pallasite(routes=[Route("/own", label("own"))])
    app.router.middleware_stack = Router([Route("/other", PlainTextResponse("other"))]).app
    client = test_client_factory(app)
    assert client.get("/other").text == "other"
    assert client.get("/own").status_code == 404


@pytest.mark.parametrize("layers", ["written out", "called"])
def test_not_found_without_any_handler_is_raised(layers: str, test_client_factory: Any) -> None:
    app = Pallasite()
    app.middleware_stack = app.build_middleware_stack()
    assert isinstance(app.middleware_stack, ServerErrorMiddleware)
    inner = app.middleware_stack.app
    assert isinstance(inner, ExceptionMiddleware)
    inner._exception_handlers.clear()
    if layers == "called":

        async def pass_on(scope: Any, receive: Any, send: Any) -> None:
            await inner(scope, receive, send)

        app.middleware_stack.app = pass_on
    with pytest.raises(HTTPException):
        test_client_factory(app).get("/missing")
    assert test_client_factory(app, raise_server_exceptions=False).get("/missing").status_code == 500
