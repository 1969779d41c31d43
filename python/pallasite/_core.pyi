"""The native half of Pallasite: what each function takes and gives back, and what it raises."""

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, MutableMapping
from os import PathLike
from typing import Any, ClassVar, TypeAlias, final

from pallasite.convertors import Convertor

__version__: str

# Of a file: index in the items, name, file name (None for a field), headers; then its content; then None.
_MultipartEvent: TypeAlias = tuple[int, str, str | None, list[tuple[bytes, bytes]]] | bytes | memoryview | None

# --- accept
# Content negotiation (RFC 9110 section 12) and Content-Type (section 8.3). Bytes are read as latin-1.
# Quoted strings are unquoted. No input is an error: at most 256 elements of a list and 32 parameters of each are
# looked at.

def coding_weight(header: str | bytes, coding: str, /) -> float:
    """How much an Accept-Encoding header wants `coding`, 0.0 (not at all) to 1.0: its own weight, else that of `*`,
    else 0.0, but 1.0 for "identity". An absent header accepts everything, which is for the caller to know.

    Source: RFC 9110 section 12.5.3.
    """

def parse_accept(header: str | bytes, /) -> list[tuple[str, float, dict[str, str]]]:
    """The choices of an Accept, Accept-Encoding or Accept-Language header: value in lower case, weight 0.0 to 1.0,
    parameters before the weight. Most wanted first, equal ones as written; those with a malformed weight are left out.
    """

def parse_content_type(header: str | bytes, /) -> tuple[str, dict[str, str]]:
    """Media type and parameter names in lower case, the first of a repeated parameter. Nothing is checked: an empty
    header gives `("", {})`.
    """

# --- condition

def names_tag(tags: str, tag: str, /) -> bool:
    """Whether a list of entity tags, as If-None-Match has it, is `*` or names `tag`, be either of them weak or not.

    A comma within quotes is part of a tag. Tags without quotes are read as well. Source: RFC 9110 section 13.1.2.
    """

def parse_http_date(text: str, /) -> int | None:
    """Seconds since 1970 of a date in one of the three forms of HTTP; None for any other text.

    Source: RFC 9110 section 5.6.7. Deviation: two digits of a year mean 1969 to 2068, whatever the year is now.
    """

# --- cookie

def cookies_from_headers(headers: Iterable[tuple[bytes, bytes]], /) -> dict[str, str]:
    """What `parse_cookies` gives for every Cookie header in a header list, taken together, later ones winning."""

def parse_cookies(header: str, /) -> dict[str, str]:
    """Names and values of a Cookie header, read as browsers write it: the last of a repeated name, "" as the name of a
    value without `=`, quoted values unquoted as `http.cookies` does. No text is an error; lone surrogates are kept.

    Left out is what no browser sends: a pair with a control character in it; a name that begins with `__Host-`,
    `__Secure-` or `__Http-`, in any case, beside a stray blank; and a `__Host-` name that is there twice. Only blanks
    and tabs are trimmed.

    Deviation: RFC 6265 section 4.2.1 allows fewer characters.
    """

# --- form
# Bodies of forms, pushed in pieces of any size: how a body is cut makes no difference to what comes out. Linear in the
# body; at most one field or one part's headers are kept. An instance serves one body and one thread at a time (another
# gets a RuntimeError). Limits are any numbers, `math.inf` included.

class FormError(ValueError):
    """A form that cannot be read: `args` is a code, one of "no_boundary", "no_name", "too_many_files",
    "too_many_fields", "field_too_long", "fields_too_large", "malformed", and a text that says more. It stays: later
    calls raise it too.
    """

@final
class MultipartParser:
    """Reads `multipart/form-data` (RFC 7578) as leniently as Python programs are used to.

    `codec` is a codec of Python's, "utf-8" and "latin-1" fastest; what it cannot decode is latin-1. `max_part_size` is
    in bytes and holds for parts without file name, `max_fields_size` for all of them together with their names; it is
    infinite by default. With `stream_fields`, fields are handed out as files are.

    Raises FormError for a boundary that is empty, longer than 256 bytes, or with a line break in it.

    A part with `filename*` alone (RFC 8187) is a file, too.

    Deviation: two names, two file names or two Content-Disposition headers in a part are an error, and so is a body
    that ends before its closing boundary.
    """

    def __new__(
        cls,
        boundary: bytes,
        codec: str,
        max_files: float,
        max_fields: float,
        max_part_size: float,
        stream_fields: bool = False,
        max_fields_size: float = ...,
        /,
    ) -> MultipartParser: ...
    @property
    def steps(self) -> int:
        """Bytes looked at so far."""

    def feed(self, piece: bytes | bytearray | memoryview, items: list[Any], /) -> list[_MultipartEvent] | None:
        """Append the fields that `piece` completes to `items`, as `(name, value)`, and None where a file begins.

        What it brought of files comes back, None if nothing: a tuple when one begins, content that may refer to
        `piece`, None when it is complete.
        """

    def finish(self) -> None:
        """Say that the body is complete. Raises FormError if it does not look so."""

@final
class UrlencodedParser:
    """Reads `application/x-www-form-urlencoded`: unescaped bytes as latin-1, escapes as UTF-8, with U+FFFD for what is
    not.

    `max_part_size` is in bytes and holds for a field's name and value together, as they are sent.
    `max_fields_size` holds for all fields together, and is infinite by default.
    """

    def __new__(cls, max_fields: float, max_part_size: float, max_fields_size: float = ..., /) -> UrlencodedParser: ...
    @property
    def steps(self) -> int:
        """Bytes looked at so far."""

    def feed(self, piece: bytes | bytearray | memoryview, items: list[Any], /) -> None:
        """Append the fields that `piece` completes to `items`, as `(name, value)`."""

    def finish(self, items: list[Any], /) -> None:
        """Say that the body is complete, and append its last field."""

def form_parameters(header: bytes, first: bytes, second: bytes, /) -> tuple[bytes | None, bytes | None]:
    """The values of two parameters, their names given in lower case, of a form's Content-Type or Content-Disposition.

    Only `\\\\` and `\\"` are escapes in a quoted value, since a backslash in a file name is mostly a Windows path.
    Raises FormError if one of them is there twice.
    """

# --- gzip
# RFC 1952. Levels as in zlib: 0 (stored) to 9 (smallest), -1 for 6; any other is a ValueError.

@final
class GzipStream:
    """Compresses piece by piece, as `zlib.compressobj(level, wbits=31)` does and with the same result. Give it to one
    thread at a time: a call during another is a RuntimeError, and so is one after the end.
    """

    def __new__(cls, level: int = 9) -> GzipStream: ...
    def compress(self, data: bytes | bytearray | memoryview, /, flush: int = 0) -> bytes:
        """What can be sent by now. `flush` is `zlib.Z_NO_FLUSH`, `Z_SYNC_FLUSH` (all) or `Z_FINISH` (and the end).

        128 KiB and more are compressed detached from the interpreter.
        """

    def flush(self, mode: int = 4) -> bytes:
        """`compress(b"", mode)`."""

def gzip(data: bytes | bytearray | memoryview, level: int = 9, /) -> bytes:
    """All of `data` compressed, several times faster than zlib and not larger than it at the same level; where
    that takes longer search, it is made.

    128 KiB and more are compressed detached from the interpreter: call it on a worker thread then.
    """

# --- header
# An ASGI header list, `[(name, value), ...]`. Any iterable of pairs can be read, tuples of bytes fastest; a pair of
# another length is a ValueError. Names are looked for in any case and stored in lower case, as ASGI wants. Values
# are latin-1.

def encode_header(name: str, value: str, /) -> tuple[bytes, bytes]:
    """The pair to send, its name in lower case.

    Raises ValueError for a name that is no token (RFC 9110 section 5.6.2) or a value with CR, LF or NUL (section 5.5),
    and UnicodeEncodeError, which is a ValueError, for a value outside latin-1.
    """

def find_header(headers: Iterable[tuple[bytes, bytes]], name: str, /) -> str | None:
    """The first value of a header; None also for a name that no header can have."""

def header_items(headers: Iterable[tuple[bytes, bytes]], /) -> list[tuple[str, str]]:
    """Every header as text."""

def header_values(headers: Iterable[tuple[bytes, bytes]], name: str, /) -> list[str]:
    """Every value of a header, in order."""

def remove_header(headers: list[tuple[bytes, bytes]], name: str, /) -> None:
    """Remove every header of this name, in place and in one pass."""

def set_header(headers: list[tuple[bytes, bytes]], name: str, value: str, /) -> None:
    """Replace the first header of this name where it stands and remove the others, or append one if there is none.

    Raises as `encode_header` does, and then changes nothing.
    """

# --- host

def is_valid_port(port: str, /) -> bool:
    """Whether digits are a TCP port: at most 65535, however many zeros lead. An empty port is valid (RFC 3986)."""

def parse_host(header: str, /) -> tuple[str, str | None] | None:
    """Host (brackets of an IP literal kept) and port digits of a Host header; None if it is anything else.

    Refuses user information, slashes, white space and whatever else could change a URL built from it; IPv6 addresses
    are validated. The port is not: see `is_valid_port`. Source: RFC 9110 section 7.2, RFC 3986 section 3.2.2.
    """

def request_host(headers: Iterable[tuple[bytes, bytes]], /) -> tuple[str, str | None] | None:
    """What `parse_host` gives for the one Host header in a header list; None also where there is none or a second one,
    be it the same. Source: RFC 9112 section 3.2.
    """

# --- json

def dumps(obj: Any, /) -> bytes | None:
    """The bytes of `json.dumps(obj, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")`.

    None for whatever needs Python's encoder, be it for the result or for the error: objects that are not exactly dict,
    list, tuple, str, int, float, bool or None, NaN and infinities, lone surrogates, integers of more digits than Python
    converts, more than 128 containers inside each other. Dict keys may be any of the scalars. Stays attached to the
    interpreter.
    """

def may_overflow(document: str | bytes, /) -> bool:
    """Whether JSON text (bytes: in UTF-8) may hold a number that a float cannot, such as 1e999.

    True for every document that does and for few others (looks into strings too); a tenth of the cost of decoding.
    """

# --- observer

@final
class Observer:
    """A `send` that records whether a response has started, then calls the `send` it wraps.

    It is not a coroutine function: it returns the awaitable that the wrapped `send` returned.

    Deviation: a response with the status 1xx, 204, 205 or 304 is passed on without content and without
    `content-length` and `transfer-encoding`, except for ``content-length: 0`` with 205. Servers fail or break the
    connection otherwise. An `inner` observer leaves that to the one outside it.
    Source: RFC 9110 sections 8.6, 15.2, 15.3.5, 15.3.6 and 15.4.5.
    """

    _qualname: ClassVar[str]
    """The `__qualname__` of every instance. Compatibility mode replaces it."""

    def __new__(
        cls, send: Callable[[MutableMapping[str, Any]], Awaitable[None]], inner: bool = False, /
    ) -> Observer: ...
    @staticmethod
    def of(scope: MutableMapping[str, Any], send: Callable[[MutableMapping[str, Any]], Awaitable[None]], /) -> Observer:
        """Return `send` if it is an observer, otherwise a new one, which is an inner one inside an application."""
    def __call__(self, message: MutableMapping[str, Any]) -> Awaitable[None]:
        """Raises KeyError for a message without `type`, and whatever the wrapped `send` raises."""

    def add_field(self, name: bytes, value: bytes, /) -> None:
        """Add a field to the response, behind its own, when it starts. The application's message is not changed.

        Raises RuntimeError if the response has started.
        """
    @property
    def __name__(self) -> str:
        """The last part of `__qualname__`, ``send``."""
    @property
    def __qualname__(self) -> str:
        """``Observer.send`` for every instance, so that tracers name all of them alike."""
    @property
    def send(self) -> Callable[[MutableMapping[str, Any]], Awaitable[None]]:
        """The wrapped `send`."""
    @property
    def started(self) -> bool:
        """True once a message of type `http.response.start` was passed on."""
    @property
    def is_open(self) -> bool:
        """True if the last of the messages about its state accepted the WebSocket."""
    @property
    def is_closed(self) -> bool:
        """True once the WebSocket was closed or rejected."""
    @property
    def dropped(self) -> tuple[int, int] | None:
        """The status of a response without content, and how many bytes of content were left out. None if none were."""

# --- query
# `application/x-www-form-urlencoded`. Bytes are read as latin-1, escapes as UTF-8 with U+FFFD for what is not;
# an escape that is none stays, lone surrogates too. No input is an error.

def encode_query(pairs: Iterable[tuple[Any, Any]], /) -> str:
    """What `urllib.parse.urlencode` gives for a list of pairs. TypeError for what is no pair, UnicodeEncodeError for a
    lone surrogate.
    """

def parse_query(query: str | bytes, /) -> list[tuple[str, str]]:
    """What `urllib.parse.parse_qsl` gives with `keep_blank_values`."""

def parse_query_multi(query: str | bytes, /) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """`parse_query`, and the last value of each name."""

# --- range

def parse_ranges(header: str, size: int, max_ranges: int, /) -> list[tuple[int, int]] | None:
    """The byte ranges that a Range header asks of a file of `size` bytes, as (start, end), the end being exclusive: in
    order, those that touch or overlap made one. None if one starts behind the end of the file.

    Empty for more than `max_ranges` parts: send the whole file then. Parts that are no ranges are passed over.

    Raises ValueError for another unit than bytes, no range at all, or one whose end is before its start. Source: RFC
    9110 section 14.
    """

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
class RouteKind:
    """How a `RouteTable` matches a route."""

    HTTP: ClassVar[RouteKind]
    """By path and method, for requests."""
    WEBSOCKET: ClassVar[RouteKind]
    """By path, for WebSockets."""
    MOUNT: ClassVar[RouteKind]
    """By a prefix of the path: the pattern ends in `{path:path}`."""
    HOST: ClassVar[RouteKind]
    """By the Host header."""
    OPAQUE: ClassVar[RouteKind]
    """By calling its `matches`."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __int__(self, /) -> int: ...

@final
class RouteTable:
    """The routes of a router in declaration order, frozen, ready to be searched.

    The answers are those of asking each route in turn; the time does not grow with the number of routes. Building is
    linear and never calls a route. A table holds its routes.
    """

    def __new__(
        cls,
        entries: Iterable[tuple[RouteKind, Any, PathPattern | None, Container[str] | None, bool]],
        no_match: object = None,
    ) -> RouteTable:
        """Each entry is `(kind, route, pattern, methods, direct)`.

        `kind`: a route of kind `OPAQUE`, and one whose pattern is None or does not suit its kind, is asked: its
        `matches(scope)` is called when no earlier route has won. `methods`: the route's own set, looked into at each
        match; None or empty for all methods. `direct`: whether `route.app` may be called in place of `route.handle`.

        `no_match`: the verdict by which `matches` declines, recognized by identity. For other verdicts, their
        `value` is read: 0 for no match, 1 for a partial and 2 for a full one.

        Raises:
            OverflowError: more than four thousand million routes or bytes of patterns.
        """
    def match(self, scope: dict[str, Any]) -> Callable[..., Any] | None:
        """What to call with (scope, receive, send): the first full match, else the first partial one, else None.

        A partial match is one for another method. A match sets `route`, `endpoint` and a new `path_params` in the
        scope, a mount also `root_path` and `app_root_path`, and an opaque route what its `matches` returned. Without a
        match the scope is untouched. Without a valid Host header no host matches.

        The callable is `route.app` for a full match of a direct entry, otherwise `route.handle`, both read at that
        moment. An `app` is replaced by its `_function_app` if it has one whose own `app` is this one.

        While the class of a route of a known kind has another `matches` than when the table was built, every route is
        asked in turn; while it has another `handle`, that is called.

        Raises:
            KeyError: the scope lacks `type`, `path` or a needed `method`.
            Exception: whatever a route's `matches` or a convertor raises, but a convertor's ValueError is no match.
        """
    def unreachable(self) -> list[tuple[int, int]]:
        """The routes that no request can reach: (index, index of the earlier route that always wins), by index.

        Only what is certain, paths with a line feed (`{x:path}` does not take them) set aside: custom
        convertors and opaque routes win nothing.
        """
    def __len__(self) -> int: ...

def register_stock_convertors(convertors: dict[str, Convertor[Any]], /) -> None:
    """Convert natively from now on what these convertors accept, by the names that paths use. The first call counts.

    A convertor stays native while its class is the one registered here, with the same `convert` and `regex`. All others
    are called.
    """

# --- set_cookie

def http_date(timestamp: float, /) -> str:
    """A moment in seconds since 1970, rounded down, as `Sun, 06 Nov 1994 08:49:37 GMT`.

    Source: RFC 9110 section 5.6.7, IMF-fixdate. Raises ValueError outside the years 1 to 9999.
    """

def set_cookie(
    key: str,
    value: object,
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

    A value that is no text is turned into one. `max_age` and a number for `expires` are seconds from now (by
    `time.time`). Empty attributes are left out.

    Raises:
        ValueError: the key is empty, an attribute's name, or has characters beyond letters, digits and
            !#$%&'*+-.^_`|~: in it; an attribute holds a control character or a semicolon; something is not Latin-1.
    """

# --- static_file

def open_cached(directory: str | PathLike[str], path: str | PathLike[str], follow_symlink: bool, /) -> int | None:
    """A descriptor, for reading, of what lies at a relative path in a directory, or None if nothing does.

    Never waits for a disk. Without `follow_symlink` nothing outside the directory is reached and no symbolic link is
    followed; with it, a path with `..` in it may lead anywhere. The caller closes the descriptor.

    Raises:
        BlockingIOError: it takes more to know, as with a name that the kernel has not cached, a symbolic link, a
            missing permission, or another system than Linux 5.12 and later. Ask again by other means, in a thread.
        ValueError: (UnicodeEncodeError) no file can have such a name.
    """

# --- url

def absolute_url(base: str, path: str, protocol: str, host: str, /) -> str | None:
    """`path` appended to that of `base`, on `host` unless empty; protocol "http" or "websocket" picks the scheme,
    secure if the base's is. None if any of them is less than plain (see `split_url`), or the base has no scheme or
    authority.
    """

def split_url(url: str, /) -> tuple[str, str, str, str, str] | None:
    """What `urllib.parse.urlsplit` gives for a plain URL: visible ASCII, its scheme in lower case, no brackets in its
    authority. None for any other, which is for `urlsplit` to split or refuse.
    """

def url_from_scope(scope: Mapping[str, Any], other_path: str | None = None, /) -> str:
    """The URL a request was sent to: authority from the one Host header if it is valid, else from `server`, else a
    relative URL. `pallasite.origin` in the scope, a scheme and an authority, takes the place of all three.

    `?`, `#` and backslashes of the path are percent-encoded, and so are query bytes that are not UTF-8. A server's
    port may be written as text; a server without one, such as a Unix socket, counts as none.
    KeyError without `path` or `headers`; TypeError for a value of another type than ASGI's.
    """
