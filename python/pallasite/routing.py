"""Routes and the router: find the endpoint for a request.

The first route that matches, in the order of declaration, wins. `Router` finds it with one native call whose cost does
not depend on the number of routes. Calling `matches` on each route gives the same result, one route at a time.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from re import Pattern
from typing import Any, ClassVar, cast

from pallasite._compat.public import publish
from pallasite._compat.stock import original
from pallasite._core import Observer, PathPattern, RouteKind, RouteTable, request_host
from pallasite._exception_handler import HANDLERS_SCOPE_KEY, respond_to_exception
from pallasite._http import scope_keys
from pallasite._http.url import local_url
from pallasite._routing.endpoint_apps import FunctionApp, request_response, websocket_session
from pallasite._routing.lifespan import Lifespans, NoLifespan, as_lifespan
from pallasite._routing.match import Match
from pallasite._routing.mistakes import check_endpoint, check_methods, check_path, explain_result
from pallasite._routing.paths import (
    PARAM_FORMAT_REGEX,
    PARAM_REGEX,
    compile_path,
    compile_pattern,
    escape_path,
    format_parts,
    replace_params,
)
from pallasite._routing.route_list import RouteList, route_changed
from pallasite._routing.wrap import wrap
from pallasite._utils import get_route_path
from pallasite.convertors import CONVERTOR_TYPES, Convertor
from pallasite.datastructures import URL, Headers, URLPath  # noqa: F401  # URL is imported from here by users
from pallasite.exceptions import HTTPException
from pallasite.middleware import Middleware
from pallasite.requests import Request
from pallasite.responses import PlainTextResponse, RedirectResponse, Response
from pallasite.types import ASGIApp, Lifespan, Receive, Scope, Send
from pallasite.websockets import WebSocket, WebSocketClose

__all__ = [
    "PARAM_FORMAT_REGEX",
    "PARAM_REGEX",
    "BaseRoute",
    "Host",
    "Match",
    "Mount",
    "NoMatchFound",
    "Route",
    "Router",
    "WebSocketRoute",
    "compile_path",
    "get_name",
    "replace_params",
    "request_response",
    "websocket_session",
]

_STOCK_RESPONSE_CALL = original(Response, "__call__")
_set = object.__setattr__


class NoMatchFound(Exception):
    """No route has the name and exactly the parameters passed to `url_for` or `url_path_for`."""

    def __init__(self, name: str, path_params: dict[str, Any]) -> None:
        super().__init__(f'No route exists for name "{name}" and params "{", ".join(path_params)}".')


def get_name(endpoint: Callable[..., Any]) -> str:
    """Return the default name of a route: the endpoint's name, or that of its class."""
    return getattr(endpoint, "__name__", endpoint.__class__.__name__)


def _is_function(endpoint: Any) -> bool:
    """Return True if an endpoint is a function or method that takes a request, and not an ASGI application."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    return inspect.isfunction(endpoint) or inspect.ismethod(endpoint)


class BaseRoute:
    """The interface between a router and a route. Subclasses implement `matches`, `handle` and `url_path_for`.

    A route is also an ASGI application.
    """

    # The methods that its kind of route defines, by name. Empty for an unknown class.
    _stock_methods: ClassVar[dict[str, Callable[..., Any]]] = {}

    # Attributes that decide what a route matches or is named. Setting one makes its routers rebuild their tables.
    _matched_by: ClassVar[frozenset[str]] = frozenset(
        ("path_regex", "host_regex", "param_convertors", "path_format", "methods", "name")
    )
    # Methods that do the same. An instance has one in its `__dict__` only if it was patched.
    _patched_by: ClassVar[frozenset[str]] = frozenset(("matches", "handle", "url_path_for"))

    def __setattr__(self, name: str, value: Any) -> None:
        known = name in self._patched_by or (name in self._matched_by and name in self.__dict__)
        _set(self, name, value)
        if known:
            route_changed(self)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in self._patched_by:
            route_changed(self)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return how well the route matches the scope, and the values to add to the scope before `handle`."""
        raise NotImplementedError

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the route called `name`. Raises `NoMatchFound` if this is a different route."""
        raise NotImplementedError

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request that this route matches."""
        raise NotImplementedError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match, child_scope = self.matches(scope)
        if match is not Match.NONE:
            scope.update(child_scope)
            await self.handle(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)


class _PathRoute(BaseRoute):
    """A route with a path pattern. The regular expression is compiled on first use: the native table does not need it,
    and compiling would be nine tenths of the cost of creating a route.
    """

    _pattern: PathPattern | None = None
    path_format: str
    param_convertors: dict[str, Convertor[Any]]

    def _set_pattern(self, path: str) -> None:
        pattern = PathPattern(path, CONVERTOR_TYPES)
        self._pattern = pattern
        self.path_format = pattern.format
        self.param_convertors = pattern.convertors

    @property
    def path_regex(self) -> Pattern[str]:
        """The regular expression that must match the whole path."""
        regex = self.__dict__.get("_path_regex")
        if regex is None:
            assert self._pattern is not None
            regex = self.__dict__["_path_regex"] = compile_pattern(self._pattern)
        return cast("Pattern[str]", regex)

    @path_regex.setter
    def path_regex(self, regex: Pattern[str]) -> None:
        self.__dict__["_path_regex"] = regex
        self._pattern = None
        route_changed(self)

    def _match_path(self, path: str) -> dict[str, Any] | None:
        """Return the converted parameters of a matching path, else None."""
        pattern = self._pattern
        if pattern is not None and self.param_convertors is pattern.convertors:
            return pattern.match(path)
        return _match_regex(self.path_regex, self.param_convertors, path)


def _match_regex(regex: Pattern[str], convertors: dict[str, Convertor[Any]], text: str) -> dict[str, Any] | None:
    """Return the converted parameters of a matching text, else None.

    A ValueError from a convertor means that the text, which comes from the client, does not match.
    """
    match = regex.match(text)
    if match is None:
        return None
    try:
        return {name: convertors[name].convert(part) for name, part in match.groupdict().items()}
    except ValueError:
        return None


def _joined_params(scope: Scope, matched: dict[str, Any]) -> dict[str, Any]:
    return {**scope.get("path_params", {}), **matched}


class _Endpoint(_PathRoute):
    """The common base of `Route` and `WebSocketRoute`: one path, one endpoint, one name."""

    _named_alone = True
    _protocol: ClassVar[Any]

    path: str
    name: str
    endpoint: Callable[..., Any]
    app: ASGIApp

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        convertors = self.param_convertors
        if name != self.name or path_params.keys() != convertors.keys():
            raise NoMatchFound(name, path_params)
        parts = list(format_parts(self.path_format))
        for place in range(1, len(parts), 2):
            key = parts[place]
            parts[place] = convertors[key].to_string(path_params[key])
        return URLPath(escape_path("".join(parts)), self._protocol)


class Route(_Endpoint):
    """An HTTP endpoint at a path.

    `endpoint` is a function or coroutine function ``(request) -> response``, or an ASGI application (an instance or a
    class such as `HTTPEndpoint`). `methods` defaults to GET for functions and to all methods for applications. GET
    implies HEAD. `max_body_size` is in bytes; None sets no limit.

    `timeout` is in seconds: a request that takes longer is cancelled and answered with 504. With `cancel_on_disconnect`
    it is cancelled once the client has disconnected, unless its response has started. None leaves either to the
    application. `math.inf` lifts the application's `timeout`.
    """

    _kind = RouteKind.HTTP
    _protocol = "http"

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
        middleware: Sequence[Middleware] | None = None,
        max_body_size: int | None = None,
        timeout: float | None = None,
        cancel_on_disconnect: bool | None = None,
    ) -> None:
        check_path(path)
        check_methods(path, methods)
        check_endpoint(path, endpoint, "request")
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint) if name is None else name
        self.include_in_schema = include_in_schema
        if _is_function(endpoint):
            app = request_response(endpoint)
            methods = ["GET"] if methods is None else methods
        else:
            app = endpoint
        self.app = wrap(app, middleware, max_body_size, timeout, cancel_on_disconnect)
        self.methods = None if methods is None else {method.upper() for method in methods}
        if self.methods and "GET" in self.methods:
            self.methods.add("HEAD")
        self._set_pattern(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        matched = self._match_path(get_route_path(scope))
        if matched is None:
            return Match.NONE, {}
        allowed = not self.methods or scope["method"] in self.methods
        child_scope = {"endpoint": self.endpoint, "path_params": _joined_params(scope, matched)}
        return Match.FULL if allowed else Match.PARTIAL, child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.methods or scope["method"] in self.methods:
            await self.app(scope, receive, send)
            return
        # Deviation: the methods of all routes with this path, not only of the first (RFC 9110 section 15.5.6).
        allowed: set[str] = self.methods | scope.get(scope_keys.ALLOWED_METHODS, frozenset())
        headers = {"Allow": ", ".join(sorted(allowed))}
        if "app" in scope:  # inside an application, its exception handlers decide on the response
            raise HTTPException(status_code=405, headers=headers)
        await PlainTextResponse("Method Not Allowed", status_code=405, headers=headers)(scope, receive, send)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Route):
            return False
        return (self.path, self.endpoint, self.methods) == (other.path, other.endpoint, other.methods)

    def __repr__(self) -> str:
        methods = sorted(self.methods or [])
        return f"{self.__class__.__name__}(path={self.path!r}, name={self.name!r}, methods={methods!r})"


class WebSocketRoute(_Endpoint):
    """A websocket endpoint at a path: a coroutine function ``(websocket) -> None``, or an ASGI application."""

    _kind = RouteKind.WEBSOCKET
    _protocol = "websocket"

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        middleware: Sequence[Middleware] | None = None,
    ) -> None:
        check_path(path)
        check_endpoint(path, endpoint, "websocket")
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint) if name is None else name
        self.app = wrap(websocket_session(endpoint) if _is_function(endpoint) else endpoint, middleware)
        self._set_pattern(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        matched = self._match_path(get_route_path(scope)) if scope["type"] == "websocket" else None
        if matched is None:
            return Match.NONE, {}
        return Match.FULL, {"endpoint": self.endpoint, "path_params": _joined_params(scope, matched)}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WebSocketRoute) and (self.path, self.endpoint) == (other.path, other.endpoint)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(path={self.path!r}, name={self.name!r})"


def _holds(route: Mount | Host, name: str) -> bool:
    """Return True if a child route may have that name: ``own_name:child_name``, or any name if the route has none."""
    return route.name is None or name.startswith(route.name + ":")


def _children_path_for(
    routes: Iterable[BaseRoute], own_name: str | None, name: str, path_params: dict[str, Any]
) -> URLPath | None:
    """Return the path that a child route of a mount or host has for ``own_name:child_name``, or None."""
    child_name = name if own_name is None else name[len(own_name) + 1 :]
    if type(routes) is RouteList:
        routes = (routes.names or routes.built_names()).candidates(child_name)
    for route in routes:
        try:
            return route.url_path_for(child_name, **path_params)
        except NoMatchFound:
            continue
    return None


class Mount(_PathRoute):
    """Another ASGI application, or a list of routes, under a path prefix.

    The mounted application receives the prefix in ``root_path``.
    """

    _kind = RouteKind.MOUNT

    def __init__(
        self,
        path: str,
        app: ASGIApp | None = None,
        routes: Sequence[BaseRoute] | None = None,
        name: str | None = None,
        *,
        middleware: Sequence[Middleware] | None = None,
        max_body_size: int | None = None,
    ) -> None:
        if path != "":
            check_path(path)
        assert app is not None or routes is not None, "Either 'app=...', or 'routes=' must be specified"
        self.path = path.rstrip("/")
        self._base_app: ASGIApp = Router(routes=routes) if app is None else app
        self.app = wrap(self._base_app, middleware, max_body_size)
        self.name = name
        self._set_pattern(self.path + "/{path:path}")

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the mounted application, or an empty list."""
        return getattr(self._base_app, "routes", [])

    def _mounted(self, path: str) -> tuple[ASGIApp, str]:
        """Return the application and, for messages, its full path, below `path`."""
        return getattr(self, "_base_app", self.app), path + self.path

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        route_path = get_route_path(scope)
        matched = self._match_path(route_path)
        if matched is None:
            return Match.NONE, {}
        root_path = scope.get("root_path", "")
        rest = "/" + matched.pop("path")
        return Match.FULL, {
            "path_params": _joined_params(scope, matched),
            # Set by the outermost mount: the application's own root, for url_for.
            "app_root_path": scope.get("app_root_path", root_path),
            "root_path": root_path + route_path[: -len(rest)],
            "endpoint": self.app,
        }

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        asked = dict(path_params)
        if self.name is not None and name == self.name and "path" in path_params:
            path_params["path"] = path_params["path"].lstrip("/")
            path, rest = replace_params(self.path_format, self.param_convertors, path_params)
            if not rest:
                return URLPath(path=path)
        elif _holds(self, name):
            child_path = path_params.pop("path", None)
            prefix, rest = replace_params(self.path_format, self.param_convertors, {**path_params, "path": ""})
            if child_path is not None:
                rest["path"] = child_path
            url = _children_path_for(self.routes, self.name, name, rest)
            if url is not None:
                return URLPath(path=prefix.rstrip("/") + str(url), protocol=url.protocol)
        raise NoMatchFound(name, asked)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mount) and (self.path, self.app) == (other.path, other.app)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(path={self.path!r}, name={self.name or ''!r}, app={self.app!r})"


class Host(BaseRoute):
    """Another ASGI application for requests whose ``Host`` field matches, such as ``{tenant}.example.org``.

    Port and case are ignored. A request with two ``Host`` fields or a malformed one does not match.
    """

    _kind = RouteKind.HOST
    _pattern: PathPattern | None
    host_regex: Pattern[str]

    def __init__(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        assert not host.startswith("/"), "Host must not start with '/'"
        self.host = host
        self.app = app
        self.name = name
        self._pattern = pattern = PathPattern(host, CONVERTOR_TYPES)
        self.host_format, self.param_convertors = pattern.format, pattern.convertors
        self.host_regex = compile_pattern(pattern)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("host_regex", "param_convertors") and name in self.__dict__:
            self._pattern = None  # the pattern no longer describes what matches
        super().__setattr__(name, value)

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the application, or an empty list."""
        return getattr(self.app, "routes", [])

    def _mounted(self, path: str) -> tuple[ASGIApp, str]:
        """Return the application and, for messages, its full path, below `path`."""
        return self.app, f"{self.host}{path}"

    def _match_host(self, host: str) -> dict[str, Any] | None:
        if self._pattern is not None:
            return self._pattern.match(host)
        return _match_regex(self.host_regex, self.param_convertors, host)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        named = request_host(Headers(scope=scope)._list)
        matched = None if named is None else self._match_host(named[0].lower())
        if matched is None:
            return Match.NONE, {}
        return Match.FULL, {"path_params": _joined_params(scope, matched), "endpoint": self.app}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        asked = dict(path_params)
        if self.name is not None and name == self.name and "path" in path_params:
            path = path_params.pop("path")
            host, rest = replace_params(self.host_format, self.param_convertors, path_params)
            if not rest:
                return URLPath(path=path, host=host)
        elif _holds(self, name):
            host, rest = replace_params(self.host_format, self.param_convertors, path_params)
            url = _children_path_for(self.routes, self.name, name, rest)
            if url is not None:
                return URLPath(path=str(url), protocol=url.protocol, host=host)
        raise NoMatchFound(name, asked)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and (self.host, self.app) == (other.host, other.app)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(host={self.host!r}, name={self.name or ''!r}, app={self.app!r})"


# The native table and the index of names do the work of these methods, unless a subclass or a patch replaces them.
for _kind in (Route, WebSocketRoute, Mount, Host):
    _kind._stock_methods = {name: original(_kind, name) for name in ("matches", "handle", "url_path_for")}


class Router:
    """Sends each request to the first of its routes that matches.

    `default` responds if no route matches (by default with 404). `redirect_slashes` redirects to the path with the last
    slash added or removed if only that one has a route. `lifespan` is active while requests are served. `max_body_size`
    is in bytes; None sets no limit.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute] | None = None,
        redirect_slashes: bool = True,
        default: ASGIApp | None = None,
        lifespan: Lifespan[Any] | None = None,
        *,
        middleware: Sequence[Middleware] | None = None,
        max_body_size: int | None = None,
    ) -> None:
        self.routes = [] if routes is None else list(routes)
        self.redirect_slashes = redirect_slashes
        self.default = self.not_found if default is None else default
        self.lifespan_context: Lifespan[Any] = NoLifespan() if lifespan is None else as_lifespan(lifespan)
        self.middleware_stack = wrap(self._inner_app(), middleware, max_body_size)

    def _inner_app(self) -> ASGIApp:
        """Return the application inside the router's middleware. Compatibility mode replaces it for FastAPI."""
        return self.app

    # Whether a subclass overrides `routes`, which must then be read for each request.
    _computes_routes: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._computes_routes = cls.routes is not Router.routes

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes, in the order in which they are tried. Change or replace the list at any time."""
        return self._routes

    @routes.setter
    def routes(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = routes if type(routes) is RouteList else RouteList(routes)

    def _route_list(self) -> RouteList:
        routes = self.routes
        # A subclass may compute its routes. The lookup structures are then built for each request.
        return routes if isinstance(routes, RouteList) else RouteList(routes)

    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond if no route matches: with 404, or by closing the websocket."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
        elif "app" in scope:  # inside an application, its exception handlers decide on the response
            raise HTTPException(status_code=404)
        else:
            await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the route called `name` with these parameters. ``mount:route`` is one inside a mount.

        Raises:
            NoMatchFound: no route has that name and exactly these parameters.
        """
        routes = self._route_list() if self._computes_routes else self._routes
        for route in (routes.names or routes.built_names()).candidates(name):
            try:
                return route.url_path_for(name, **path_params)
            except NoMatchFound:
                continue
        raise NoMatchFound(name, path_params)

    def unreachable_routes(self) -> list[tuple[BaseRoute, BaseRoute]]:
        """Return the routes that no request can reach, each with the earlier route that always wins instead.

        They are usually mistakes. Routes with their own `matches` and custom convertors are left out as uncertain.
        """
        routes = self._route_list()
        return [(routes[hidden], routes[winner]) for hidden, winner in routes.built_table().unreachable()]

    async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan while requests are served, and report its outcome to the server.

        The lifespans of mounted applications run inside it. See `mounted_lifespans` of the application.
        """
        phase = "startup"
        await receive()
        try:
            async with Lifespans(self, scope):
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except BaseException:
            await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
            raise
        await send({"type": "lifespan.shutdown.complete"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.middleware_stack(scope, receive, send)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the route and let it respond. Runs inside the router's own middleware."""
        kind = scope["type"]
        assert kind in ("http", "websocket", "lifespan")
        scope.setdefault("router", self)
        if kind == "lifespan":
            await self.lifespan(scope, receive, send)
        elif not await self.dispatch(scope, receive, send):
            await self.default(scope, receive, send)

    async def dispatch(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Let the matching route respond to a request or websocket. Return False if there is none."""
        if "router" not in scope:
            scope["router"] = self
        routes = self._route_list() if self._computes_routes else self._routes
        table = routes.table or routes.built_table()
        # One native call fills the scope and returns what to await: the route's `handle` or, if that would only
        # forward the call, its `app`.
        endpoint: ASGIApp | FunctionApp | None = table.match(scope)  # type: ignore[arg-type]  # a scope is a dict
        if type(endpoint) is FunctionApp:
            # The application that `request_response` makes, without its frame: 0.2 us of 3 (bench: hello-json).
            request: Request = Request(scope, receive, send)
            handlers = scope.get(HANDLERS_SCOPE_KEY)
            observed = send if type(send) is Observer else Observer.of(scope, send)
            try:
                response = await endpoint.func(request)
                # Fast path: copies `Response.__call__`; 6 % fewer instructions (bench: hello-json).
                if type(response).__call__ is _STOCK_RESPONSE_CALL:
                    await observed(
                        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
                    )
                    await observed({"type": "http.response.body", "body": response.body})
                    if response.background is not None:
                        await response.background()
                elif callable(response):
                    await response(scope, receive, observed)
                else:
                    raise explain_result(endpoint.func, response, scope["path"])
            except Exception as exc:
                if not await respond_to_exception(handlers, exc, request, scope, receive, observed):
                    raise
            return True
        if endpoint is None:
            location = self._redirected_path(table, scope) if self.redirect_slashes else None
            if location is None:
                return False
            endpoint = RedirectResponse(location)
        await endpoint(scope, receive, send)
        return True

    def _redirected_path(self, table: RouteTable, scope: Scope) -> str | None:
        """Return the URL with the last slash added or removed if a route matches it, else None.

        Deviation: the URL has no host, because the client might have forged it.
        """
        route_path = get_route_path(scope)
        if route_path == "/" or scope["type"] != "http":
            return None
        other = dict(scope)
        other["path"] = other["path"].rstrip("/") if route_path.endswith("/") else other["path"] + "/"
        return local_url(scope, other["path"]) if table.match(other) is not None else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Router) and self.routes == other.routes

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Add a `Mount`."""
        self.routes.append(Mount(path, app=app, name=name))

    def host(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        """Add a `Host`."""
        self.routes.append(Host(host, app=app, name=name))

    def add_route(
        self,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response] | Response],
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> None:
        """Add a `Route`."""
        self.routes.append(Route(path, endpoint, methods=methods, name=name, include_in_schema=include_in_schema))

    def add_websocket_route(
        self, path: str, endpoint: Callable[[WebSocket], Awaitable[None]], name: str | None = None
    ) -> None:
        """Add a `WebSocketRoute`."""
        self.routes.append(WebSocketRoute(path, endpoint, name=name))


publish(globals())
