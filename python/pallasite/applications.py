"""The application: a router inside its middleware, with its exception handlers and its state."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from pallasite._compat.stock import original
from pallasite._core import Observer, find_header
from pallasite._http.origin import SELF, is_admitted, parse_origin
from pallasite._routing.mistakes import check_factory, check_middleware
from pallasite._routing.wrap import wrap
from pallasite.datastructures import State, URLPath
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware, _MiddlewareFactory
from pallasite.middleware._fixed_origin import FixedOrigin
from pallasite.middleware.body_limit import RequestBodyLimitMiddleware
from pallasite.middleware.errors import ServerErrorMiddleware
from pallasite.middleware.exceptions import ExceptionMiddleware
from pallasite.middleware.trustedhost import TrustedHostMiddleware, check_host_patterns
from pallasite.requests import Request
from pallasite.responses import Response
from pallasite.routing import BaseRoute, Router
from pallasite.types import ASGIApp, ExceptionHandler, Lifespan, Receive, Scope, Send
from pallasite.websockets import WebSocketClose

if TYPE_CHECKING:
    from pallasite.shutdown import Draining

__all__ = ["Pallasite", "Starlette"]

AppType = TypeVar("AppType", bound="Pallasite")
P = ParamSpec("P")

_logger = logging.getLogger("pallasite.websockets")

_STOCK_ERRORS_CALL = original(ServerErrorMiddleware, "__call__")
_STOCK_EXCEPTIONS_CALL = original(ExceptionMiddleware, "__call__")


class Pallasite:
    """An ASGI application.

    A request passes through `ServerErrorMiddleware` (which answers unhandled exceptions with a 500), the `middleware`
    in order, `ExceptionMiddleware` (which runs the exception handlers) and the router.

    Args:
        debug: answer unhandled exceptions with their traceback. Not for production.
        routes: the routes, tried in this order.
        middleware: the first one is outermost.
        exception_handlers: ``handler(request, exc) -> response`` by status code or exception class. The one for 500
            or `Exception` answers what no other handler does. The one for 500 also answers HTTPException(500).
        lifespan: ``lifespan(app)``, an async context manager that is active while the application serves requests. A
            mapping that it yields becomes ``request.state``.
        max_body_size: the maximum size of a request body in bytes. None sets no limit.
        mounted_lifespans: run the lifespans of mounted applications inside this one, in the order of their routes. This
            includes applications mounted in those, unless their own setting differs. A mapping that a lifespan yields
            is the state of its own requests. None, the default, runs them except in compatibility mode, because
            Starlette does not. A lifespan that is skipped is logged as a warning to `pallasite.lifespan`.
        websocket_origins: the origins of pages that may open a WebSocket, such as ``"https://example.org"``. ``"self"``
            means `base_url`, or without one the host that the handshake is addressed to. ``"https://*.example.org"``
            means the hosts below a domain. Any other origin is answered with 403 before any code of the application
            runs. Clients that are not browsers send no origin and are accepted. None, the default, checks nothing.
        allowed_hosts: a request with a Host header that names none of these is answered with 400, as by
            `TrustedHostMiddleware`, before it reaches the `middleware`. None allows all hosts.
        base_url: a scheme and a host, such as ``https://example.org``, that absolute URLs start with instead of the
            Host header: `request.url`, `request.base_url`, `url_for` and redirects built from them, here and in
            mounted applications without their own `base_url`.
        timeout: seconds. A request that takes longer is cancelled and answered with 504, or broken off if its response
            has started. Event streams and WebSockets last as long as they like. A route's own `timeout` replaces it.
            None sets no limit.
        cancel_on_disconnect: cancel a request once its client has disconnected, unless its response has started.

    The keyword-only settings are attributes as well, for subclasses with their own constructor.

    Raises:
        ValueError: `base_url` does not have that form.
        AssertionError: `allowed_hosts` contains an item that is neither a host nor a pattern.
    """

    # Also class attributes, so that a subclass that does not call this constructor has all settings.
    allowed_hosts: Sequence[str] | None = None
    base_url: str | None = None
    mounted_lifespans: bool | None = None
    websocket_origins: Sequence[str] | None = None
    timeout: float | None = None
    cancel_on_disconnect: bool = False
    #: Set by `shutdown.Drain`: whether the server was told to stop.
    draining: Draining | None = None

    def __init__(
        self,
        debug: bool = False,
        routes: Sequence[BaseRoute] | None = None,
        middleware: Sequence[Middleware] | None = None,
        exception_handlers: Mapping[Any, ExceptionHandler] | None = None,
        lifespan: Lifespan[Self] | None = None,
        *,
        max_body_size: int | None = None,
        mounted_lifespans: bool | None = None,
        websocket_origins: Sequence[str] | None = None,
        allowed_hosts: Sequence[str] | None = None,
        base_url: str | None = None,
        timeout: float | None = None,
        cancel_on_disconnect: bool = False,
    ) -> None:
        self.debug = debug
        self.state = State()
        self.router = Router(routes, lifespan=lifespan)
        self.max_body_size = max_body_size
        self.mounted_lifespans = mounted_lifespans
        self.websocket_origins = websocket_origins
        if allowed_hosts is not None:
            check_host_patterns(allowed_hosts)
        self.allowed_hosts = allowed_hosts
        if base_url is not None:
            parse_origin(base_url)
        self.base_url = base_url
        if timeout is not None:
            from pallasite._runtime.seconds import check_seconds

            check_seconds("timeout", timeout)
        self.timeout = timeout
        self.cancel_on_disconnect = cancel_on_disconnect
        self.exception_handlers = dict(exception_handlers or {})
        self.user_middleware = list(middleware or [])
        for item in self.user_middleware:
            check_middleware(item)
        self.middleware_stack: ASGIApp | None = None

    def build_middleware_stack(self) -> ASGIApp:
        """Return the router wrapped in its middleware. Called once, when the first request or the lifespan arrives."""
        last_resort: ExceptionHandler | None = None
        handlers: dict[Any, ExceptionHandler] = {}
        for key, handler in self.exception_handlers.items():
            if key == 500 or key is Exception:
                last_resort = handler
            if key is not Exception:
                # Deviation: also for 500, which an HTTPException can have like any other status.
                handlers[key] = handler

        # All middleware is created through `Middleware`, including ours: tracers watch its __init__.
        layers = [Middleware(ServerErrorMiddleware, handler=last_resort, debug=self.debug)]
        if self.max_body_size is not None:
            layers.append(Middleware(RequestBodyLimitMiddleware, max_body_size=self.max_body_size))
        layers.extend(self.user_middleware)
        layers.append(Middleware(ExceptionMiddleware, handlers=handlers, debug=self.debug))

        stack = wrap(self.router, None, None, self.timeout, self.cancel_on_disconnect or None)
        for cls, args, kwargs in reversed(layers):
            stack = cls(stack, *args, **kwargs)
        return stack

    def _within_hosts(self, stack: ASGIApp) -> ASGIApp:
        """Add the middleware for the `base_url` and `allowed_hosts` settings, just inside the outermost middleware.

        This is not in `build_middleware_stack`, because subclasses override that method. FastAPI does.
        """
        outermost = stack if isinstance(stack, ServerErrorMiddleware) else None
        inside = stack if outermost is None else outermost.app
        if self.base_url is not None:
            inside = FixedOrigin(inside, self.base_url)
        if self.allowed_hosts is not None:
            inside = TrustedHostMiddleware(inside, self.allowed_hosts)
        if outermost is None:
            return inside
        outermost.app = inside
        return outermost

    @property
    def routes(self) -> list[BaseRoute]:
        """The router's routes, in the order in which they are tried."""
        return self.router.routes

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the route called `name`. See `Router.url_path_for`."""
        return self.router.url_path_for(name, **path_params)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        stack = self.middleware_stack
        if stack is None:
            stack = self.middleware_stack = self._within_hosts(self.build_middleware_stack())
        # Fast path: copies `ServerErrorMiddleware.__call__`; 11 % fewer instructions (bench: hello-json).
        if (
            type(stack) is not ServerErrorMiddleware
            or ServerErrorMiddleware.__call__ is not _STOCK_ERRORS_CALL
            or stack.debug
            or scope["type"] != "http"
        ):
            if scope["type"] == "websocket" and self._is_foreign(scope):
                await WebSocketClose()(scope, receive, send)
            elif scope["type"] == "websocket" and self.draining is not None:
                await self.draining.serve_websocket(stack, scope, receive, send)
            else:
                await stack(scope, receive, send)
            return
        observed = Observer(send)
        try:
            app = stack.app
            # Fast path: copies `ExceptionMiddleware.__call__`; 7 % fewer instructions (bench: hello-json).
            if type(app) is not ExceptionMiddleware or ExceptionMiddleware.__call__ is not _STOCK_EXCEPTIONS_CALL:
                await app(scope, receive, observed)
                return
            missing: HTTPException | None = None
            try:
                router = app.enter(scope)
                if router is None:
                    await app.app(scope, receive, observed)
                elif not await router.dispatch(scope, receive, observed):
                    missing = app.no_route(router, scope)
                    if missing is None:
                        await router.default(scope, receive, observed)
            except Exception as exc:
                if not await app.answer(exc, scope, receive, observed):
                    raise
            # Outside the inner `try`: what the handler of a missing route raises is for the outer one.
            if missing is not None and not await app.answer(missing, scope, receive, observed):
                raise missing
        except Exception as exc:
            if not await stack.answer(exc, scope, receive, observed):
                raise

    def _is_foreign(self, scope: Scope) -> bool:
        """Return True if a WebSocket is opened by a page whose origin is not allowed."""
        origins = self.websocket_origins
        if origins is None:
            return False
        origins = (origins,) if isinstance(origins, str) else origins
        if self.base_url is not None:
            # The configured name is more trustworthy than a Host header, which contains whatever name a page has
            # pointed at this server.
            origins = [self.base_url if origin == SELF else origin for origin in origins]
        if is_admitted(scope, origins):
            return False
        _logger.info(
            "Rejected a WebSocket from origin %r: not in websocket_origins", find_header(scope["headers"], "origin")
        )
        return True

    def add_middleware(self, middleware_class: _MiddlewareFactory[P], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add a middleware around those added before.

        Raises:
            RuntimeError: the application has already started.
        """
        if self.middleware_stack is not None:
            raise RuntimeError("Cannot add middleware after an application has started")
        check_factory(middleware_class)
        self.user_middleware.insert(0, Middleware(middleware_class, *args, **kwargs))

    def add_exception_handler(self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler) -> None:
        """Register `handler` for a status code or an exception class. Call it before the first request."""
        self.exception_handlers[exc_class_or_status_code] = handler

    def add_route(
        self,
        path: str,
        route: Callable[[Request], Awaitable[Response] | Response],
        methods: list[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> None:
        """Add a `Route` at the end."""
        self.router.add_route(path, route, methods=methods, name=name, include_in_schema=include_in_schema)

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Mount another ASGI application at `path`."""
        self.router.mount(path, app=app, name=name)

    def host(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        """Route requests for `host` to another ASGI application."""
        self.router.host(host, app=app, name=name)


#: Starlette's name for it.
Starlette = Pallasite
