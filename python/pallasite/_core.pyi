"""The native half of Pallasite: what each function takes and gives back, and what it raises."""

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, MutableMapping
from typing import Any, final

from pallasite.convertors import Convertor

__version__: str

# --- json

def dumps(obj: Any, /) -> bytes | None:
    """The bytes of `json.dumps(obj, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")`.

    None for whatever needs Python's encoder, be it for the result or for the error: objects that are not exactly dict,
    list, tuple, str, int, float, bool or None, NaN and infinities, lone surrogates, integers of more digits than Python
    converts, more than 128 containers inside each other. Dict keys may be any of the scalars. Stays attached to the
    interpreter.
    """

# --- observer

@final
class Observer:
    """A `send` that notes whether a response has started, then calls the `send` it wraps.

    It is no coroutine function: it gives back the very awaitable that the wrapped `send` returned.
    """

    def __new__(cls, send: Callable[[MutableMapping[str, Any]], Awaitable[None]], /) -> Observer: ...
    def __call__(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        """Raises KeyError for a message without `type`, and whatever the wrapped `send` raises."""
    @property
    def send(self) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]:
        """The wrapped `send`."""
    @property
    def started(self) -> bool:
        """True once a message of type `http.response.start` was passed on."""

# --- response

def response_head(
    status_code: int,
    body: bytes | memoryview | None,
    media_type: str | None,
    charset: str,
    headers: Mapping[str, str] | None = None,
    /,
) -> list[tuple[bytes, bytes]]:
    """The given headers with lower-case names, then `content-length` and `content-type` unless they are among them.

    No length for a body of None and for statuses without content: 1xx, 204, 304. A media type that begins with `text/`
    and names no charset gets the given one.

    Raises:
        ValueError: a name is no token; a value holds CR, LF or NUL or (UnicodeEncodeError) is not Latin-1.
    """

# --- route

@final
class PathPattern:
    """The pattern of a path (`/users/{id:int}`) or, without a leading slash, of a host (`{tenant}.example.org`).

    `{name}` and `{name:convertor}` are parameters; all other text stands for itself. A match covers the whole text, a
    line feed at its end included. In a host, letter case is ignored, and a port in the pattern's last text is dropped.

    Patterns of the five stock expressions are matched natively, in time linear in the text; any other expression goes
    through `re`. Values of unchanged stock convertors are made natively too.
    """

    def __new__(cls, path: str, convertors: Mapping[str, Convertor[Any]]) -> PathPattern:
        """Looks up each parameter's convertor by name (`str` where none is given) and reads its `regex`, once.

        Raises:
            AssertionError: a convertor is unknown.
            ValueError: a parameter name occurs twice.
            re.error: a convertor's expression is none.
        """
    @property
    def convertors(self) -> dict[str, Convertor[Any]]:
        """The convertors by parameter name, in the order of the pattern."""
    @property
    def format(self) -> str:
        """The pattern with `{name}` for each parameter: what URL building fills in."""
    @property
    def is_host(self) -> bool:
        """Whether the pattern is that of a host."""
    @property
    def regex(self) -> str:
        """The same pattern for `re.compile`, from `^` to `\\Z`; a host's needs `re.IGNORECASE`."""
    def match(self, text: str) -> dict[str, Any] | None:
        """The converted parameters, or None if the text does not match or a convertor raises ValueError for it.

        Raises:
            Exception: whatever else a convertor raises.
        """

@final
class RouteTable:
    """The routes of a router in declaration order, frozen, ready to be searched.

    The answers are those of asking each route in turn; the time does not grow with the number of routes. Building is
    linear and never calls a route. A table holds its routes.
    """

    def __new__(
        cls,
        entries: Iterable[tuple[int, Any, PathPattern | None, Container[str] | None, bool]],
    ) -> RouteTable:
        """Each entry is `(kind, route, pattern, methods, direct)`.

        `kind`: 0 HTTP route, 1 WebSocket route, 2 mount (its pattern ends in `{path:path}`), 3 host, 4 any other: its
        `matches(scope)` is called when no earlier route has won. A pattern of None, or one that does not suit the kind,
        makes it a 4. `methods`: the route's own set, looked into at each match; None or empty for all methods.
        `direct`: whether `route.app` may be called in place of `route.handle`.

        Raises:
            ValueError: a kind is unknown.
            OverflowError: more than four thousand million routes or bytes of patterns.
        """
    def match(self, scope: dict[str, Any]) -> Callable[..., Any] | None:
        """What to call with (scope, receive, send): the first full match, else the first partial one, else None.

        Partial is a match for another method. A match sets `route`, `endpoint` and a new `path_params` in the scope, a
        mount also `root_path` and `app_root_path`, a route of kind 4 what its `matches` gave; without one the scope is
        untouched. The callable is `route.app` for a full match of a direct entry, otherwise `route.handle`, both read
        at that moment. An invalid Host header matches no host.

        Raises:
            KeyError: the scope lacks `type`, `path`, or a needed `method` or `headers`.
            Exception: whatever a route's `matches` or a convertor raises, but a convertor's ValueError is no match.
        """
    def unreachable(self) -> list[tuple[int, int]]:
        """The routes that no request can reach: (index, index of the earlier route that always wins), by index.

        Only what is certain, paths with a line feed (`{x:path}` does not take them) set aside: convertors of one's own
        and routes of kind 4 win nothing.
        """
    def __len__(self) -> int: ...

# --- set_cookie

def http_date(timestamp: float, /) -> str:
    """A moment in seconds since 1970, rounded down, as `Sun, 06 Nov 1994 08:49:37 GMT`.

    Source: RFC 9110 section 5.6.7, IMF-fixdate. Raises ValueError outside the years 1 to 9999.
    """

def set_cookie(
    key: str,
    value: str,
    max_age: int | str | None,
    expires: float | str | None,
    path: str | None,
    domain: str | None,
    secure: bool,
    httponly: bool,
    samesite: str | None,
    partitioned: bool,
    /,
) -> bytes:
    """The value of a `set-cookie` header, quoted and ordered as `http.cookies` does it. Source: RFC 6265 section 4.1.

    `max_age` and a number for `expires` are seconds from now (by `time.time`). Empty attributes are left out.

    Raises:
        ValueError: the key is empty, an attribute's name, or has characters beyond letters, digits and
            !#$%&'*+-.^_`|~: in it; an attribute holds a control character or a semicolon; something is not Latin-1.
    """
