"""The native half of Pallasite: what each function takes and gives back, and what it raises."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, final

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
