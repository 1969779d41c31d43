"""The contract of the native half of Pallasite: arguments, results and exceptions."""

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, MutableMapping, Sequence
from os import PathLike
from types import ModuleType
from typing import Any, ClassVar, TypeAlias, TypeVar, final

from pallasite.convertors import Convertor

__version__: str

_T = TypeVar("_T")

# For a file: its index in the items, name, file name (None for a field) and headers, then its content, then None.
_MultipartEvent: TypeAlias = tuple[int, str, str | None, list[tuple[bytes, bytes]]] | bytes | memoryview | None

# --- accept
# Content negotiation (RFC 9110 section 12) and Content-Type (section 8.3). Bytes are read as latin-1.
# Quoted strings are unquoted. No input is an error. At most 256 elements of a list, and 32 parameters of each element,
# are read.

def coding_weight(header: str | bytes, coding: str, /) -> float:
    """Return the weight of `coding` in an Accept-Encoding header, from 0.0 (not acceptable) to 1.0.

    This is its own weight, otherwise the weight of `*`, otherwise 0.0, or 1.0 for "identity". An absent header, which
    accepts every coding, must be handled by the caller.

    Source: RFC 9110 section 12.5.3.
    """

def parse_accept(header: str | bytes, /) -> list[tuple[str, float, dict[str, str]]]:
    """Return the choices in an Accept, Accept-Encoding or Accept-Language header.

    Each has its value in lower case, its weight from 0.0 to 1.0, and the parameters before the weight. Sorted by
    descending weight, equal ones in the order of the header. Choices with a malformed weight are left out.
    """

def parse_content_type(header: str | bytes, /) -> tuple[str, dict[str, str]]:
    """Return the media type and the parameters of a Content-Type header, with names in lower case.

    The first of repeated parameters is used. Nothing is validated: an empty header returns `("", {})`.
    """

# --- condition

def names_strong_tag(tags: str, tag: str, /) -> bool:
    """Return True if a list of entity tags, such as If-Match, is `*` or contains `tag`, and neither is weak.

    Source: RFC 9110 section 13.1.1.
    """

def names_tag(tags: str, tag: str, /) -> bool:
    """Return True if a list of entity tags, such as If-None-Match, is `*` or contains `tag`.

    Weak and strong tags are equal. A comma within quotes is part of a tag. Tags without quotes are accepted.
    Source: RFC 9110 section 13.1.2.
    """

# --- cookie

def cookies_from_headers(headers: Iterable[tuple[bytes, bytes]], /) -> dict[str, str]:
    """Return the result of `parse_cookies` for all Cookie headers in a header list. Later cookies win."""

def parse_cookies(header: str, /) -> dict[str, str]:
    """Return the names and values in a Cookie header, read as browsers write it.

    The last of repeated names is used, a value without `=` has the name "", and quoted values are unquoted as by
    `http.cookies`. No text is an error, and lone surrogates are kept. Only spaces and tabs are trimmed.

    Cookies that no browser sends are left out: a pair that contains a control character; a name that starts with
    `__Host-`, `__Secure-` or `__Http-`, in any case, next to stray whitespace; and a `__Host-` name that occurs twice.

    Deviation: RFC 6265 section 4.2.1 allows fewer characters.
    """

# --- date

def http_date(timestamp: float, /) -> str:
    """Return a timestamp in seconds since 1970, rounded down, as `Sun, 06 Nov 1994 08:49:37 GMT`.

    Source: RFC 9110 section 5.6.7, IMF-fixdate.

    Raises:
        ValueError: the date is outside the years 1 to 9999.
    """

def parse_http_date(text: str, /) -> int | None:
    """Return the seconds since 1970 of a date in one of the three forms of HTTP, or None for any other text.

    Source: RFC 9110 section 5.6.7.
    Deviation: a year of two digits is in 1969 to 2068 regardless of the current year.
    """

# --- file_lookup

def open_cached(directory: str | PathLike[str], path: str | PathLike[str], follow_symlink: bool, /) -> int | None:
    """Return a file descriptor, open for reading, for a relative path in a directory, or None if it does not exist.

    Never waits for a disk. Without `follow_symlink`, nothing outside the directory is opened and no symbolic link is
    followed. With it, a path that contains `..` may lead anywhere. The caller must close the descriptor.

    Raises:
        BlockingIOError: the file cannot be opened without blocking: the kernel has not cached a name, there is a
            symbolic link or a missing permission, or the system is not Linux 5.12 or later. Open it in a worker thread.
        ValueError: (UnicodeEncodeError) no file can have this name.
    """

# --- form
# Bodies of forms, fed in chunks of any size. The result does not depend on how a body is cut into chunks. Linear in the
# body; at most one field or the headers of one part are kept. An instance is for one body and one thread at a time
# (another thread gets a RuntimeError). Limits are any numbers, including `math.inf`.

class FormError(ValueError):
    """The form cannot be read. Later calls of the parser raise the same error.

    `args` is a code and a description. The code is one of "no_boundary", "no_name", "too_many_files",
    "too_many_fields", "field_too_long", "fields_too_large" and "malformed".
    """

@final
class MultipartParser:
    """A parser for `multipart/form-data` (RFC 7578), as lenient as other parsers for Python.

    `codec` is the name of a Python codec; "utf-8" and "latin-1" are fastest. Bytes that are invalid in it are decoded
    as latin-1. `max_part_size`, in bytes, limits each part without a file name. `max_fields_size` limits all of them
    together, including their names, and is infinite by default. With `stream_fields`, fields are returned like files.
    A part that has only `filename*` (RFC 8187) is also a file.

    Raises:
        FormError: the boundary is empty, longer than 256 bytes, or contains a line break.

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
        """Bytes examined so far."""

    def feed(self, chunk: bytes | bytearray | memoryview, items: list[Any], /) -> list[_MultipartEvent] | None:
        """Parse a chunk and return the events of files, or None without any.

        Appends each field that the chunk completes to `items`, as `(name, value)`, and None for each file that starts.
        The events of a file are a tuple when it starts, its content, which may refer to `chunk`, and None when it is
        complete.

        Raises:
            FormError: the body is malformed or exceeds a limit.
        """

    def finish(self) -> None:
        """End the body.

        Raises:
            FormError: the body is incomplete.
        """

@final
class UrlencodedParser:
    """A parser for `application/x-www-form-urlencoded`.

    Unescaped bytes are decoded as latin-1, and escapes as UTF-8, with U+FFFD for invalid sequences. `max_part_size`, in
    bytes, limits the name and value of a field together, as sent. `max_fields_size` limits all fields together and is
    infinite by default.
    """

    def __new__(cls, max_fields: float, max_part_size: float, max_fields_size: float = ..., /) -> UrlencodedParser: ...
    @property
    def steps(self) -> int:
        """Bytes examined so far."""

    def feed(self, chunk: bytes | bytearray | memoryview, items: list[Any], /) -> None:
        """Parse a chunk and append each field that it completes to `items`, as `(name, value)`.

        Raises:
            FormError: a limit is exceeded.
        """

    def finish(self, items: list[Any], /) -> None:
        """End the body and append its last field.

        Raises:
            FormError: a limit is exceeded.
        """

def form_parameters(header: bytes, first: bytes, second: bytes, /) -> tuple[bytes | None, bytes | None]:
    """Return the values of two parameters of a Content-Type or Content-Disposition header in a form.

    Give the names in lower case. Only `\\\\` and `\\"` are escapes in a quoted value, because most backslashes in file
    names are part of a Windows path.

    Raises:
        FormError: one of them occurs twice.
    """

# --- forwarded

@final
class TrustedProxies:
    """Reads what proxies say about a request: in `Forwarded` if `is_rfc7239`, otherwise in `X-Forwarded-For` and so on.

    With `hops`, that many proxies are believed. Otherwise those are whose address is in one of the `networks`: the
    client is the first other one, from the end of the field. IPv4 addresses in IPv6 notation are IPv4 addresses.

    Sources: RFC 7239; the fields that start with `X-` have no specification.

    Raises:
        ValueError: a network is not one in CIDR notation.
    """

    def __new__(cls, networks: Sequence[str], hops: int | None, is_rfc7239: bool, /) -> TrustedProxies: ...
    def trusts(self, address: str, /) -> bool:
        """Return True if the address is in one of the networks."""
    def read(
        self, headers: Iterable[tuple[bytes, bytes]], /
    ) -> tuple[tuple[str, int] | None, bool | None, bytes | None] | None:
        """Return the address of the client and its port (0 if unknown), whether its scheme is secure, and its host.

        Each is None if it is missing or not valid. The whole result is None without such a field.
        """
    @staticmethod
    def prefix(headers: Iterable[tuple[bytes, bytes]], /) -> str | None:
        """Return the path in `X-Forwarded-Prefix`, without a slash at its end. None if it is missing or not valid."""

# --- guard

@final
class Guard:
    """Tells whether names of modules and classes still have the values that they had when the guard was made.

    `names` are pairs of a module or class and an attribute. A fast path that stands in for functions asks it before
    each use, so that a patch of any of them is honoured. Attributes of instances are not seen.
    """

    def __new__(cls, names: list[tuple[ModuleType | type, str]], /) -> Guard: ...
    def holds(self) -> bool:
        """Return True if all values are the same objects as then, or missing as then."""

# --- gzip
# RFC 1952. Levels are those of zlib: 0 (stored) to 9 (smallest), and -1 for 6. Any other level is a ValueError.

@final
class GzipStream:
    """Compresses chunk by chunk, with the same result as `zlib.compressobj(level, wbits=31)`.

    Use it from one thread at a time. A call during another one, or after the end, raises RuntimeError.
    """

    def __new__(cls, level: int = 9) -> GzipStream: ...
    def compress(self, data: bytes | bytearray | memoryview, /, flush: int = 0) -> bytes:
        """Compress `data` and return the output that can be sent by now.

        `flush` is `zlib.Z_NO_FLUSH`, `Z_SYNC_FLUSH` (return all output) or `Z_FINISH` (and end the stream). Data of 128
        KiB or more is compressed detached from the interpreter.
        """

    def flush(self, mode: int = 4) -> bytes:
        """Return `compress(b"", mode)`."""

def gzip(data: bytes | bytearray | memoryview, level: int = 9, /) -> bytes:
    """Return all of `data` compressed, several times faster than by zlib and not larger at the same level.

    Spends more time where zlib would compress better. Data of 128 KiB or more is compressed detached from the
    interpreter; use a worker thread for it.
    """

# --- header
# An ASGI header list is `[(name, value), ...]`. Any iterable of pairs can be read, tuples of bytes fastest; an item
# that is not a pair is a ValueError. Lookups ignore case. Names are stored in lower case, as ASGI requires. Values are
# latin-1.

def encode_header(name: str, value: str, /) -> tuple[bytes, bytes]:
    """Return the pair to send, with the name in lower case.

    Raises:
        ValueError: the name is not a token (RFC 9110 section 5.6.2), or the value contains CR, LF or NUL (section 5.5)
            or (UnicodeEncodeError) is not latin-1.
    """

def find_header(headers: Iterable[tuple[bytes, bytes]], name: str, /) -> str | None:
    """Return the first value of a header, or None. A name that is not a valid header name is not found."""

def header_items(headers: Iterable[tuple[bytes, bytes]], /) -> list[tuple[str, str]]:
    """Return every header as text."""

def header_values(headers: Iterable[tuple[bytes, bytes]], name: str, /) -> list[str]:
    """Return every value of a header, in order."""

def remove_header(headers: list[tuple[bytes, bytes]], name: str, /) -> None:
    """Remove every header with this name, in place and in one pass."""

def set_header(headers: list[tuple[bytes, bytes]], name: str, value: str, /) -> None:
    """Replace the first header with this name and remove the others, or append one if there is none.

    Raises the exceptions of `encode_header`; the list is then unchanged.
    """

# --- host

def is_valid_port(port: str, /) -> bool:
    """Return True if the digits are a TCP port: at most 65535, with any number of leading zeros.

    An empty port is valid (RFC 3986 section 3.2.3).
    """

def parse_host(header: str, /) -> tuple[str, str | None] | None:
    """Return the host, including the brackets of an IP literal, and the port digits of a Host header.

    None if it is invalid: with user information, slashes, whitespace or anything else that could change a URL built
    from it, and for a name that the DNS cannot have: with more than 253 bytes, an empty label or one of more than 63
    bytes. IPv6 addresses are validated, the port is not: see `is_valid_port`. Source: RFC 9110 section 7.2, RFC 3986
    section 3.2.2, RFC 1035 section 2.3.4.
    """

def request_host(headers: Iterable[tuple[bytes, bytes]], /) -> tuple[str, str | None] | None:
    """Return the result of `parse_host` for the Host header in a header list, without the final dot of a name.

    None if there is none or more than one, even if they are equal. Source: RFC 9112 section 3.2.
    """

# --- json

def dumps(obj: Any, /) -> bytes | None:
    """Return `json.dumps(obj, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")`.

    None if Python's encoder is needed, for the result or for the error: for objects that are not exactly dict, list,
    tuple, str, int, float, bool or None, for NaN and infinities, lone surrogates, integers with more digits than Python
    converts, and more than 128 levels of containers. Dict keys may be any of the scalars. Stays attached to the
    interpreter.
    """

def dumps_plain(obj: Any, /) -> bytes | None:
    """Return the same for a value that FastAPI's `jsonable_encoder` would leave as it is, else None.

    Such a value consists of dictionaries, lists, strings, numbers, booleans and None only, not of subclasses. Its keys
    are strings other than those that SQLAlchemy adds to its objects, and it is at most 100 levels deep.
    """

def loads(document: str | bytes, default: _T, /) -> Any | _T:
    """Return the value of a JSON document, or the default if it is for Python's decoder.

    That is a document that is not JSON (RFC 8259) or not UTF-8, is more than 128 levels deep, or contains a lone
    surrogate or a number that overflows.
    """

def may_overflow(document: str | bytes, /) -> bool:
    """Return True if JSON text, or bytes in UTF-8, may contain a number beyond the range of a float, such as 1e999.

    True for every document that contains one and for few others, because strings are not skipped. Costs a tenth of
    decoding.
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
        """Add a field after those of the response when it starts. The application's message is not changed.

        Raises:
            RuntimeError: the response has already started.
        """

    def record_to(self, record: ResponseRecord, /) -> None:
        """Note what is sent from now on in `record`.

        Raises:
            RuntimeError: there is a record already.
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
        """The status of a response that must not have content, and the bytes of content removed. None if none were."""

# --- query
# `application/x-www-form-urlencoded`. Bytes are read as latin-1, escapes as UTF-8, with U+FFFD for invalid sequences.
# Invalid escapes and lone surrogates are kept. No input is an error.

def encode_query(pairs: Iterable[tuple[Any, Any]], /) -> str:
    """Return the result of `urllib.parse.urlencode` for pairs.

    Raises:
        TypeError: an item is not a tuple of two.
        UnicodeEncodeError: a lone surrogate.
    """

def parse_query(query: str | bytes, /) -> list[tuple[str, str]]:
    """Return the result of `urllib.parse.parse_qsl` with `keep_blank_values`."""

def parse_query_multi(query: str | bytes, /) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return the result of `parse_query`, and the last value of each name."""

# --- range

def parse_ranges(
    header: str, size: int, max_ranges: int, /, *, as_starlette: bool = False
) -> list[tuple[int, int]] | None:
    """Return the byte ranges of a file of `size` bytes as (start, end), the end exclusive, or None for status 416.

    They are in order, and ranges that touch or overlap are joined. Those past the end of the file are left out, unless
    all are: then the result is None. The result is empty, which stands for the whole file, for more than `max_ranges`
    parts, and for the last bytes of an empty file.

    Source: RFC 9110 section 14. With `as_starlette`, parts that are not ranges are skipped, and one range past the end
    is enough for None.

    Raises:
        ValueError: the header is invalid and should be ignored: another unit than bytes, no range, a part that is not a
            range, or one whose end is before its start.
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
    """Return the headers with names in lower case, then `content-length` and `content-type` if they are missing.

    There is no length for a body of None and for statuses without content: 1xx, 204 and 304. The charset is added to a
    media type that starts with `text/` and has none.

    Raises:
        ValueError: a name is not a token, or a value contains CR, LF or NUL or (UnicodeEncodeError) is not latin-1.
    """

# --- response record

@final
class ResponseRecord:
    """What an `Observer` notes of a response. Its clock starts when it is created."""

    def __new__(cls) -> ResponseRecord: ...
    @staticmethod
    def identified(scope: MutableMapping[str, Any], name: bytes, trusted: bool, /) -> ResponseRecord:
        """Return a record of a request with an id, which is written to the headers, the state and the key
        `pallasite.request_id` of its scope.

        The response, or the acceptance of a WebSocket, gets the id in a field called `name`, unless the application
        gave one.

        The id is the one in the request if `trusted` and if it has 1 to 128 letters, digits, dots, underscores and
        hyphens. Otherwise it is a new UUID of version 7, which starts with the time (RFC 9562 section 5.7).

        Raises:
            KeyError: the scope has no `headers`.
            OSError: the system has no random bytes.
        """
    @property
    def field(self) -> tuple[bytes, bytes] | None:
        """The field with the id, None without one."""
    @property
    def request_id(self) -> str | None:
        """The id, None without one."""
    @property
    def status(self) -> int:
        """The status code of the response: 101 for an accepted WebSocket, 403 for a closed one, 0 before the start."""
    @property
    def size(self) -> int:
        """Bytes of content sent."""
    @property
    def complete(self) -> bool:
        """True once the last message of the response was passed on."""
    @property
    def first_byte(self) -> int:
        """Microseconds from the creation of the record to the start of the response, or to now before that."""
    @property
    def duration(self) -> int:
        """Microseconds from the creation of the record to the last message, or to now before that."""

# --- route

@final
class PathPattern:
    """The pattern of a path (`/users/{id:int}`) or, without a leading slash, of a host (`{tenant}.example.org`).

    `{name}` and `{name:convertor}` are parameters; all other text is literal. A match covers the whole text, including
    a line feed at its end. In a host, case is ignored, and a port at the end of the pattern is dropped.

    Patterns of the five stock expressions are matched natively, in time linear in the text. All others are matched by
    `re`. Unchanged stock convertors also convert natively.
    """

    def __new__(cls, path: str, convertors: Mapping[str, Convertor[Any]]) -> PathPattern:
        """Look up the convertor of each parameter by name (`str` without one) and read its `regex`, once.

        Raises:
            AssertionError: a convertor is unknown.
            ValueError: a parameter name occurs twice.
            re.error: the expression of a convertor is invalid.
        """
    @property
    def convertors(self) -> dict[str, Convertor[Any]]:
        """The convertors by parameter name, in the order of the pattern."""
    @property
    def format(self) -> str:
        """The pattern with `{name}` for each parameter, used to build URLs."""
    @property
    def is_host(self) -> bool:
        """True for the pattern of a host."""
    @property
    def regex(self) -> str:
        """The pattern as a regular expression, from `^` to `\\Z`. That of a host requires `re.IGNORECASE`."""
    def match(self, text: str) -> dict[str, Any] | None:
        """Return the converted parameters, or None if the text does not match or a convertor raises ValueError.

        Raises:
            Exception: any other exception of a convertor.
        """

@final
class RouteKind:
    """How a `RouteTable` matches a route."""

    HTTP: ClassVar[RouteKind]
    """By path and method, for requests."""
    WEBSOCKET: ClassVar[RouteKind]
    """By path, for WebSockets."""
    MOUNT: ClassVar[RouteKind]
    """By a prefix of the path: the pattern ends with `{path:path}`."""
    HOST: ClassVar[RouteKind]
    """By the Host header."""
    OPAQUE: ClassVar[RouteKind]
    """By calling its `matches`."""
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self, /) -> int: ...
    def __int__(self, /) -> int: ...

@final
class RouteTable:
    """The routes of a router in declaration order, indexed for search.

    The result is the same as from trying each route in turn, but the time does not grow with the number of routes.
    Building is linear and never calls a route. A table is immutable and keeps its routes alive.
    """

    def __new__(
        cls,
        entries: Iterable[tuple[RouteKind, Any, PathPattern | None, Container[str] | None, bool]],
        no_match: object = None,
    ) -> RouteTable:
        """Each entry is `(kind, route, pattern, methods, direct)`.

        `kind`: for a route of kind `OPAQUE`, and one whose pattern is None or does not fit its kind, `matches(scope)`
        is called if no earlier route has matched. `methods`: the set of the route itself, read at each match; None or
        empty for all methods. `direct`: True if `route.app` may be called in place of `route.handle`.

        `no_match`: the result of `matches` for no match, recognised by identity. For other results, `value` is read: 0
        for no match, 1 for a partial match and 2 for a full match.

        Raises:
            OverflowError: there are more routes, or bytes of patterns, than 32-bit numbers can count.
        """
    def match(self, scope: dict[str, Any]) -> Callable[..., Any] | None:
        """Return the ASGI application of the first full match, otherwise of the first partial match, otherwise None.

        A partial match is one for another method. A match sets `route`, `endpoint` and a new `path_params` in the
        scope; a mount also sets `root_path` and `app_root_path`, and an opaque route the result of its `matches`.
        Without a match the scope is unchanged. Without a valid Host header no host matches.

        The application is `route.app` for a full match of a direct entry, otherwise `route.handle`, both read at each
        match. An `app` is replaced by its `_function_app` if that has this `app` as its own `app`.

        While the class of a route has another `matches` than when the table was built, every route is tried in turn.
        While it has another `handle`, that is called.

        Raises:
            KeyError: the scope lacks `type`, `path` or, if a route has methods, `method`.
            Exception: any exception of a route's `matches` or a convertor, except for a ValueError of a convertor,
                which is no match.
        """
    def unreachable(self) -> list[tuple[int, int]]:
        """Return the routes that no request can reach: (index, index of the earlier route that always wins), by index.

        Only certain cases are listed: custom convertors and opaque routes never count as winners. Paths with a line
        feed, which `{x:path}` does not match, are not considered.
        """
    def __len__(self) -> int: ...

def register_stock_convertors(convertors: dict[str, Convertor[Any]], /) -> None:
    """Register the stock convertors, by the names used in paths, for native conversion. Later calls have no effect.

    A convertor is native while its class is the one registered here, with the same `convert` and `regex`. All others
    are called.
    """

# --- set_cookie

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
    """Return the value of a `set-cookie` header, quoted and ordered as by `http.cookies`.

    A value that is not a str is converted with `str()`. `max_age`, and `expires` as a number, are seconds from now (by
    `time.time`). Empty attributes are left out. Source: RFC 6265 section 4.1.

    Raises:
        ValueError: the key is empty, is the name of an attribute, or contains characters other than ASCII letters,
            digits and !#$%&'*+-.^_`|~:; an attribute contains a control character or a semicolon; the value or an
            attribute is not latin-1; the expiry date is outside the years 1 to 9999.
    """

# --- shared numbers

@final
class SharedNumbers:
    """Unsigned 64-bit numbers in `shared`, a writable buffer of them that other processes may read.

    Nothing else may write there. Changes of several threads are not lost. The numbers can be those of
    two histograms of durations: the upper bounds of their buckets in microseconds, ascending.

    Raises:
        ValueError: the buffer is read-only.
        BufferError: the buffer has other items.
    """

    def __new__(cls, shared: memoryview, bounds: Sequence[int], /) -> SharedNumbers: ...
    def add(self, index: int, by: int, /) -> None:
        """Raises IndexError if there is no such number."""
    def count(self, record: ResponseRecord, abandoned: bool, /) -> None:
        """Count a response in both histograms. The numbers are its duration by bucket, with one more bucket for all
        longer ones, then the sum of the durations; the same of the times to the first byte; bytes; abandoned responses.

        Raises:
            IndexError: there are more or fewer numbers than that.
        """

# --- url

def absolute_url(base: str, path: str, protocol: str, host: str, /) -> str | None:
    """Return `base` with `path` appended to its path.

    A `host` that is not empty replaces the host. A protocol of "http" or "websocket" replaces the scheme, by a secure
    one if that of `base` is. None if an argument is not plain (see `split_url`), or `base` has no scheme or authority.
    """

def split_url(url: str, /) -> tuple[str, str, str, str, str] | None:
    """Return the result of `urllib.parse.urlsplit` for a plain URL, and None for any other URL.

    A plain URL is visible ASCII with its scheme in lower case and no brackets in its authority.
    """

def url_from_scope(scope: Mapping[str, Any], other_path: str | None = None, /) -> str:
    """Return the URL of a request, or of `other_path` on the same host.

    The authority is that of the only Host header if it is valid, otherwise that of `server`; without both, the URL is
    relative. `pallasite.origin` in the scope, a scheme and an authority, replaces all of these.

    The characters `?`, `#`, `%`, backslash and control characters in the path are percent-encoded, and so are query
    bytes that are not UTF-8. The port of a server may be text. A server without a port, such as a Unix socket, is
    ignored.

    Raises:
        KeyError: the scope lacks `path` or `headers`.
        TypeError: a value has another type than in ASGI.
    """

# --- uuid

def forget_random() -> None:
    """Forget the random bytes kept for the ids of `ResponseRecord`. A child process must: its parent has the same."""
