"""The scope: a real dictionary, which middleware writes and other packages read, key by key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.asgi import always


def seeing(lib: Any, seen: dict[str, Any]) -> Any:
    """An endpoint that notes the scope as it finds it."""

    async def endpoint(request: Any) -> Any:
        seen.update(request.scope)
        seen["the scope itself"] = request.scope
        return lib("responses").PlainTextResponse("seen")

    return endpoint


def serve(lib: Any, client_factory: Any, path: str = "/", **options: Any) -> dict[str, Any]:
    """The scope that an endpoint at ``/`` and ``/items/{id:int}`` sees."""
    seen: dict[str, Any] = {}
    Route = lib("routing").Route
    endpoint = seeing(lib, seen)
    app = lib("applications").Starlette(routes=[Route("/", endpoint), Route("/items/{id:int}", endpoint)], **options)
    assert client_factory(app).get(path).text == "seen"
    seen["the application"], seen["the function"] = app, endpoint
    return seen


def middleware(lib: Any, module: str, name: str, **options: Any) -> list[Any]:
    return [lib("middleware").Middleware(getattr(lib("middleware." + module), name), **options)]


def test_scope_names_application_router_route_endpoint_and_parameters(lib: Any, test_client_factory: Any) -> None:
    seen = serve(lib, test_client_factory, "/items/3")
    app = seen["the application"]
    assert seen["app"] is app
    assert seen["router"] is app.router
    assert seen["route"] is app.routes[1]
    assert seen["endpoint"] is seen["the function"]
    assert seen["path_params"] == {"id": 3}


def test_scope_is_a_dictionary_with_text_keys(lib: Any, test_client_factory: Any) -> None:
    seen = serve(lib, test_client_factory)
    assert type(seen["the scope itself"]) is dict
    assert all(type(key) is str for key in seen["the scope itself"])


@pytest.mark.anyio
async def test_scope_given_by_the_server_is_the_one_that_is_filled(lib: Any) -> None:
    async def endpoint(request: Any) -> Any:
        request.scope["fastapi_inner"] = "mine"
        assert request["fastapi_outer"] == "yours"
        return lib("responses").PlainTextResponse("")

    async def send(message: Any) -> None:
        pass

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "fastapi_outer": "yours",
    }
    app = lib("applications").Starlette(routes=[lib("routing").Route("/", endpoint)])
    await app(scope, always({"type": "http.request"}), send)
    assert scope["fastapi_inner"] == "mine"
    assert scope["endpoint"] is endpoint
    assert scope["app"] is app


def test_scope_written_by_middleware_is_what_routing_reads(lib: Any, test_client_factory: Any) -> None:
    class Moving:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope["path"] = "/items/7"
                scope["added"] = True
            await self.app(scope, receive, send)

    seen = serve(lib, test_client_factory, "/anywhere", middleware=[lib("middleware").Middleware(Moving)])
    assert seen["path_params"] == {"id": 7}
    assert seen["added"] is True


def test_scope_copied_by_middleware_is_what_the_endpoint_sees(lib: Any, test_client_factory: Any) -> None:
    outer: list[Any] = []

    class Copying:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            outer.append(scope)
            await self.app({**scope, "copied": True}, receive, send)

    seen = serve(lib, test_client_factory, middleware=[lib("middleware").Middleware(Copying)])
    assert seen["copied"] is True
    assert "copied" not in outer[0]
    assert "route" not in outer[0]


def test_mount_sets_root_path_and_app_root_path(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    seen: dict[str, Any] = {}
    inner = routing.Mount("/in/{x}", routes=[routing.Route("/deep", seeing(lib, seen))])
    app = lib("applications").Starlette(routes=[routing.Mount("/out", routes=[inner])])
    assert test_client_factory(app, root_path="/root").get("/root/out/in/1/deep").text == "seen"
    assert seen["root_path"] == "/root/out/in/1"
    assert seen["app_root_path"] == "/root"
    assert seen["path_params"] == {"x": "1"}
    assert seen["router"] is app.router


def test_outermost_router_stays_in_the_scope(lib: Any, test_client_factory: Any) -> None:
    routing = lib("routing")
    seen: dict[str, Any] = {}
    inner = lib("applications").Starlette(routes=[routing.Route("/x", seeing(lib, seen))])
    outer = lib("applications").Starlette(routes=[routing.Mount("/sub", app=inner)])
    assert test_client_factory(outer).get("/sub/x").text == "seen"
    assert seen["router"] is outer.router
    assert seen["app"] is inner


def test_session_is_a_dictionary_in_the_scope(lib: Any, test_client_factory: Any) -> None:
    layers = middleware(lib, "sessions", "SessionMiddleware", secret_key="a secret of more than 32 characters")
    seen = serve(lib, test_client_factory, middleware=layers)
    assert isinstance(seen["session"], dict)
    assert seen["session"] == {}


def test_session_put_there_by_another_is_used(lib: Any) -> None:
    request = lib("requests").Request({"type": "http", "session": {"user": "me"}})
    assert request.session == {"user": "me"}
    assert request.session is request.scope["session"]


def test_auth_and_user_are_written_by_authentication(lib: Any, test_client_factory: Any) -> None:
    authentication = lib("authentication")

    class Backend(authentication.AuthenticationBackend):  # type: ignore[misc, name-defined]
        async def authenticate(self, conn: Any) -> Any:
            return authentication.AuthCredentials(["admin"]), authentication.SimpleUser("ada")

    layers = middleware(lib, "authentication", "AuthenticationMiddleware", backend=Backend())
    seen = serve(lib, test_client_factory, middleware=layers)
    assert seen["auth"].scopes == ["admin"]
    assert seen["user"].username == "ada"


def test_auth_and_user_put_there_by_another_are_used(lib: Any) -> None:
    request = lib("requests").Request({"type": "http", "auth": "a", "user": "u"})
    assert (request.auth, request.user) == ("a", "u")


def test_state_of_the_scope_is_the_state_of_the_request(lib: Any, test_client_factory: Any) -> None:
    request = lib("requests").Request({"type": "http", "state": {"given": 1}})
    request.state.more = 2
    assert request.state.given == 1
    assert request.scope["state"] == {"given": 1, "more": 2}
    fresh = lib("requests").Request({"type": "http"})
    fresh.state.mine = 3
    assert fresh.scope["state"] == {"mine": 3}
    assert lib("requests").Request(fresh.scope).state.mine == 3


def test_debug_extension_carries_template_and_context(lib: Any, tmp_path: Any, test_client_factory: Any) -> None:
    (tmp_path / "page.html").write_text("hello {{ name }}")
    templates = lib("templating").Jinja2Templates(tmp_path)

    async def show(request: Any) -> Any:
        return templates.TemplateResponse(request, "page.html", {"name": "you"})

    sent: list[Any] = []

    class Watching:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def watch(message: Any) -> None:
                sent.append(message)
                await send(message)

            scope.setdefault("extensions", {})["http.response.debug"] = {}
            await self.app(scope, receive, watch)

    app = lib("applications").Starlette(
        routes=[lib("routing").Route("/", show)], middleware=[lib("middleware").Middleware(Watching)]
    )
    response = test_client_factory(app).get("/")
    assert response.text == "hello you"
    [debug] = [message["info"] for message in sent if message["type"] == "http.response.debug"]
    assert debug["template"].name == "page.html"
    assert debug["context"]["name"] == "you"
    assert response.context["name"] == "you"


def test_exception_handlers_are_in_the_scope(lib: Any, test_client_factory: Any) -> None:
    async def handler(request: Any, exc: Exception) -> Any:
        return lib("responses").PlainTextResponse("handled")

    seen = serve(lib, test_client_factory, exception_handlers={LookupError: handler, 418: handler})
    by_class, by_status = seen["starlette.exception_handlers"]
    assert by_class[LookupError] is handler
    assert by_status == {418: handler}


def test_body_limit_is_in_the_scope_under_its_key(lib: Any, test_client_factory: Any) -> None:
    seen = serve(lib, test_client_factory, max_body_size=5)
    assert seen[lib("middleware.body_limit").MAX_BODY_SIZE_SCOPE_KEY] == 5


# Attributes of an application that other packages read.


def test_exception_handlers_of_an_application_can_be_read_and_replaced(lib: Any, test_client_factory: Any) -> None:
    async def failing(request: Any) -> Any:
        raise LookupError

    async def handler(request: Any, exc: Exception) -> Any:
        return lib("responses").PlainTextResponse("replaced")

    app = lib("applications").Starlette(
        routes=[lib("routing").Route("/", failing)], exception_handlers={LookupError: print}
    )
    assert app.exception_handlers == {LookupError: print}
    app.exception_handlers = {**app.exception_handlers, LookupError: handler}
    assert test_client_factory(app).get("/").text == "replaced"


def test_debug_set_after_construction_is_respected(lib: Any, test_client_factory: Any) -> None:
    async def failing(request: Any) -> Any:
        raise RuntimeError("inside")

    app = lib("applications").Starlette(routes=[lib("routing").Route("/", failing)])
    app.debug = True
    response = test_client_factory(app, raise_server_exceptions=False).get("/")
    assert "RuntimeError: inside" in response.text


def test_layers_are_walked_by_app_from_outside_to_the_router(lib: Any) -> None:
    layers: list[Any] = [
        *middleware(lib, "base", "BaseHTTPMiddleware", dispatch=print),
        *middleware(lib, "gzip", "GZipMiddleware"),
        *middleware(lib, "cors", "CORSMiddleware"),
        *middleware(lib, "sessions", "SessionMiddleware", secret_key="a secret of more than 32 characters"),
        *middleware(lib, "trustedhost", "TrustedHostMiddleware"),
        *middleware(lib, "httpsredirect", "HTTPSRedirectMiddleware"),
        *middleware(lib, "authentication", "AuthenticationMiddleware", backend=object()),
        *middleware(lib, "body_limit", "RequestBodyLimitMiddleware", max_body_size=1),
    ]
    app = lib("applications").Starlette(middleware=layers)
    layer, chain = app.build_middleware_stack(), []
    while not isinstance(layer, lib("routing").Router):
        chain.append(type(layer).__name__)
        layer = layer.app
    assert layer is app.router
    assert chain == ["ServerErrorMiddleware", *(entry.cls.__name__ for entry in layers), "ExceptionMiddleware"]


def test_layer_put_into_the_chain_is_passed_through(lib: Any, test_client_factory: Any) -> None:
    seen: list[str] = []

    class Inserted:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["path"])
            await self.app(scope, receive, send)

    async def show(request: Any) -> Any:
        return lib("responses").PlainTextResponse("shown")

    app = lib("applications").Starlette(routes=[lib("routing").Route("/", show)])
    client = test_client_factory(app)
    client.get("/")
    innermost = app.middleware_stack
    while not isinstance(innermost.app, lib("routing").Router):
        innermost = innermost.app
    innermost.app = Inserted(innermost.app)
    assert client.get("/").text == "shown"
    assert seen == ["/"]
