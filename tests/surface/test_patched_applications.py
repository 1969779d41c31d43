"""Patches of applications and middleware reach every request, whenever they are made."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import pytest

from tests.surface.patching import WHENEVER, application, client_of_patched, spy_on_call

# Applications and middleware classes.


@WHENEVER
def test_application_call_patched_on_the_class_is_reached(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    cls = lib("applications").Starlette
    client = client_of_patched(
        when, lambda: application(lib), lambda: spy_on_call(monkeypatch, cls, calls), test_client_factory
    )
    calls.clear()
    assert client.get("/").text == "home"
    assert calls == ["/"]


MIDDLEWARE: dict[str, tuple[str, dict[str, Any]]] = {
    "AuthenticationMiddleware": ("authentication", {}),
    "BaseHTTPMiddleware": ("base", {}),
    "CORSMiddleware": ("cors", {}),
    "ExceptionMiddleware": ("exceptions", {}),
    "GZipMiddleware": ("gzip", {}),
    "HTTPSRedirectMiddleware": ("httpsredirect", {}),
    "RequestBodyLimitMiddleware": ("body_limit", {"max_body_size": 10}),
    "ServerErrorMiddleware": ("errors", {}),
    "SessionMiddleware": ("sessions", {"secret_key": "a secret of more than 32 characters"}),
    "TrustedHostMiddleware": ("trustedhost", {}),
}


def middleware_of(lib: Any, name: str) -> Any:
    """A `Middleware` entry of that class, with what its `__init__` needs."""
    module, options = MIDDLEWARE[name]
    if name == "AuthenticationMiddleware":

        class Nobody(lib("authentication").AuthenticationBackend):  # type: ignore[misc]
            async def authenticate(self, conn: Any) -> Any:
                return None

        options = {"backend": Nobody()}
    elif name == "BaseHTTPMiddleware":

        async def dispatch(request: Any, call_next: Any) -> Any:
            return await call_next(request)

        options = {"dispatch": dispatch}
    return lib("middleware").Middleware(getattr(lib("middleware." + module), name), **options)


@WHENEVER
@pytest.mark.parametrize("name", MIDDLEWARE)
def test_middleware_call_patched_on_the_class_is_reached(
    lib: Any, name: str, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    entry = middleware_of(lib, name)
    client = client_of_patched(
        when,
        lambda: application(lib, middleware=[entry]),
        lambda: spy_on_call(monkeypatch, entry.cls, calls),
        test_client_factory,
    )
    calls.clear()
    client.get("/", follow_redirects=False)
    # Two more of them are in every application.
    assert calls == ["/"] * (2 if name in ("ExceptionMiddleware", "ServerErrorMiddleware") else 1)


@pytest.mark.parametrize("name", MIDDLEWARE)
def test_middleware_methods_are_python_functions(lib: Any, name: str) -> None:
    cls = middleware_of(lib, name).cls
    assert inspect.isfunction(cls.__call__)
    assert inspect.isfunction(cls.__init__)
    assert cls.__call__.__name__ == "__call__"
    assert str(cls.__init__).startswith(f"<function {name}.__init__ at ")


@pytest.mark.parametrize("when", ["before-construction", "after-construction"])
def test_exception_middleware_init_patched_sees_its_handlers(
    lib: Any, when: str, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its stack is built with the first request, so a patch counts until then."""
    cls = lib("middleware.exceptions").ExceptionMiddleware
    seen: list[Any] = []
    old_init = cls.__init__

    def traced(self: Any, *args: Any, **kwargs: Any) -> None:
        old_init(self, *args, **kwargs)
        seen.append(self._exception_handlers)

    client = client_of_patched(
        when,
        lambda: application(lib, exception_handlers={LookupError: print}),
        lambda: monkeypatch.setattr(cls, "__init__", traced),
        test_client_factory,
    )
    client.get("/")
    assert len(seen) == 1
    assert seen[0][LookupError] is print


def test_every_built_in_layer_is_made_through_middleware(
    lib: Any, test_client_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = lib("middleware").Middleware
    made: list[str] = []
    old_init = cls.__init__

    def traced(self: Any, middleware_class: Any, *args: Any, **kwargs: Any) -> None:
        made.append(middleware_class.__name__)
        old_init(self, middleware_class, *args, **kwargs)

    monkeypatch.setattr(cls, "__init__", traced)
    app = application(lib, max_body_size=10)
    app.add_middleware(lib("middleware.gzip").GZipMiddleware)
    test_client_factory(app).get("/")
    assert sorted(made) == [
        "ExceptionMiddleware",
        "GZipMiddleware",
        "RequestBodyLimitMiddleware",
        "ServerErrorMiddleware",
    ]


# Applications, instance by instance.


def test_build_middleware_stack_is_called_through_the_instance(lib: Any, test_client_factory: Any) -> None:
    app = application(lib, exception_handlers={500: print})
    original, built = app.build_middleware_stack, []

    class Outer:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["path"] = "/"
            await self.app(scope, receive, send)

    def build() -> Any:
        stack = original()
        assert isinstance(stack, lib("middleware.errors").ServerErrorMiddleware)
        assert (stack.handler, stack.debug) == (print, False)
        stack.app = Outer(stack.app)
        built.append(stack)
        return stack

    app.build_middleware_stack = build
    client = test_client_factory(app)
    assert client.get("/somewhere").text == client.get("/else").text == "home"
    assert built == [app.middleware_stack]


def test_middleware_stack_can_be_read_and_assigned(lib: Any, test_client_factory: Any) -> None:
    app = application(lib)
    assert app.middleware_stack is None
    client = test_client_factory(app)
    client.get("/")
    assert isinstance(app.middleware_stack, lib("middleware.errors").ServerErrorMiddleware)
    app.middleware_stack = lib("responses").PlainTextResponse("another stack")
    assert client.get("/").text == "another stack"
    app.middleware_stack = None
    assert client.get("/").text == "home"


def test_user_middleware_is_a_list_of_entries_that_can_be_changed(lib: Any, test_client_factory: Any) -> None:
    app = application(lib, middleware=[middleware_of(lib, "GZipMiddleware")])
    assert [entry.cls.__name__ for entry in app.user_middleware] == ["GZipMiddleware"]
    entry = middleware_of(lib, "CORSMiddleware")
    entry.kwargs["allow_origins"] = ["*"]
    app.user_middleware.insert(0, entry)
    response = test_client_factory(app).get("/", headers={"origin": "https://example.org"})
    assert response.headers["access-control-allow-origin"] == "*"


def test_stack_is_rebuilt_where_its_entries_were_changed_later(lib: Any, test_client_factory: Any) -> None:
    app = application(lib)
    client = test_client_factory(app)
    client.get("/")
    entry = middleware_of(lib, "CORSMiddleware")
    entry.kwargs["allow_origins"] = ["*"]
    app.user_middleware.insert(0, entry)
    app.middleware_stack = app.build_middleware_stack()
    response = client.get("/", headers={"origin": "https://example.org"})
    assert response.headers["access-control-allow-origin"] == "*"


def test_lifespan_context_assigned_is_read_at_the_start(lib: Any, test_client_factory: Any) -> None:
    app, events = application(lib), []
    before = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def wrapped(app: Any) -> Any:
        async with before(app) as state:
            events.append("start")
            yield {"from": "lifespan", **(state or {})}
            events.append("stop")

    app.router.lifespan_context = wrapped
    with test_client_factory(app) as client:
        assert events == ["start"]
        assert client.app_state == {"from": "lifespan"}
    assert events == ["start", "stop"]


def test_application_class_replaced_in_its_module_is_what_is_made(lib: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    applications = lib("applications")

    class Instrumented(applications.Starlette):  # type: ignore[misc, name-defined]
        instances: list[Any] = []

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.instances.append(self)

    monkeypatch.setattr(applications, "Starlette", Instrumented)
    app = applications.Starlette(debug=True)
    assert Instrumented.instances == [app]
    assert app.debug is True
