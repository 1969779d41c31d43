"""A client's connection, as handlers receive it: `HTTPConnection` and `Request`.

Everything is read from the ASGI scope on first access, then kept. Creating a request costs four assignments.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, NoReturn, cast

import anyio
import anyio.lowlevel

from pallasite import _core
from pallasite._compat import mode
from pallasite._compat.stock import original
from pallasite._http import scope_keys
from pallasite._http.form_limits import MAX_FIELDS, MAX_FILES, MAX_PART_BYTES
from pallasite._http.json import decode
from pallasite._utils import AwaitableOrContextManager, AwaitableOrContextManagerWrapper
from pallasite.datastructures import URL, Address, FormData, Headers, QueryParams, State
from pallasite.exceptions import ClientDisconnect, HTTPException
from pallasite.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    if sys.version_info >= (3, 13):
        from typing import TypeVar
    else:
        from typing_extensions import TypeVar

    StateT = TypeVar("StateT", bound=Mapping[str, Any] | State, default=State)
else:
    # A type variable's default is for type checkers. At run time the one of every Python version is enough.
    from typing import TypeVar

    StateT = TypeVar("StateT")

__all__ = [
    "SERVER_PUSH_HEADERS_TO_COPY",
    "ClientDisconnect",
    "ConsumedBody",
    "HTTPConnection",
    "MalformedJSON",
    "Request",
    "cookie_parser",
    "empty_receive",
    "empty_send",
]

# The header fields that a pushed request copies from the request that caused it.
SERVER_PUSH_HEADERS_TO_COPY = {"accept", "accept-encoding", "accept-language", "cache-control", "user-agent"}


# Messages of the body that `Request.is_disconnected` keeps for the next reader. Servers limit the size of each.
_MAX_KEPT_MESSAGES = 64

# In the last message of a body that has been read before: the `ConsumedBody` that explains it.
CONSUMED = "pallasite.consumed"


def cookie_parser(cookie_string: str) -> dict[str, str]:
    """Return the cookies in one ``Cookie`` field value, by name. The last one of a name wins.

    Parsing is as lenient as in browsers: a chunk without ``=`` has an empty name, and quoted values are unquoted.

    Source: RFC 6265 section 5.4, and the practice of servers.
    """
    return _core.parse_cookies(cookie_string)


class MalformedJSON(json.JSONDecodeError, HTTPException):
    """The request body is not JSON (RFC 8259). If it is not caught, the client receives ``400 Bad Request``.

    It is also a `json.JSONDecodeError`, with its ``msg``, ``doc``, ``pos``, ``lineno`` and ``colno``.
    """

    def __init__(self, message: str, document: str = "", position: int = 0) -> None:
        json.JSONDecodeError.__init__(self, message, document, position)
        self.status_code = 400
        self.detail = "Malformed JSON body"
        self.headers = None

    __str__ = json.JSONDecodeError.__str__


class ConsumedBody(RuntimeError):
    """The body was read by another reader, which has not kept it. `form` is the form that it was read as, if any."""

    def __init__(self, message: str, form: FormData | None = None, *, is_strict: bool = False) -> None:
        super().__init__(message)
        self.form = form
        self.is_strict = is_strict  # also in compatibility mode


@functools.cache
def _form_parser() -> Callable[..., Awaitable[FormData]]:
    # Imported with the first form, since few requests are forms. Cached, since an import statement takes 1 us a time.
    from pallasite.formparsers import parse_form

    return parse_form


def _load_json(body: bytes) -> Any:
    try:
        return decode(body)
    except json.JSONDecodeError as error:
        raise MalformedJSON(error.msg, error.doc, error.pos) from None
    except RecursionError:
        raise MalformedJSON("Nested too deeply") from None
    except ValueError as error:  # invalid UTF-8, NaN and infinities, an integer with too many digits
        raise MalformedJSON(str(error)) from error


class HTTPConnection(Mapping[str, Any], Generic[StateT]):
    """The common base of `Request` and `WebSocket`: a mapping over the ASGI scope, whose parts are parsed on access."""

    # Set on first access. Defaults on the class keep creation cheap.
    _url: URL | None = None
    _base_url: URL | None = None
    _headers: Headers | None = None
    _query_params: QueryParams | None = None
    _cookies: dict[str, str] | None = None
    _state: State | None = None

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        assert scope["type"] in ("http", "websocket")
        self.scope = scope

    # Two connections are never equal, even with equal scopes. Mapping would compare them as dictionaries.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __len__(self) -> int:
        return len(self.scope)

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    @property
    def app(self) -> Any:
        """The application that handles the connection."""
        return self.scope["app"]

    @property
    def url(self) -> URL:
        """The requested URL, built from the ``Host`` field and the scope.

        The application's `base_url`, if set, replaces the ``Host`` field.
        """
        url = self._url
        if url is None:
            url = self._url = URL(scope=self.scope)
        return url

    @property
    def base_url(self) -> URL:
        """The URL of the application's root, with a trailing slash. `url_for` builds on it."""
        base = self._base_url
        if base is None:
            scope = self.scope
            # Inside a mount, root_path is the mount's, and app_root_path is the application's own.
            root_path = scope.get("app_root_path", scope.get("root_path", ""))
            path = root_path if root_path.endswith("/") else root_path + "/"
            base = self._base_url = URL(_core.url_from_scope(scope, path))
        return base

    @property
    def headers(self) -> Headers:
        """The header fields. Names are case-insensitive, and several values of a name are kept in order."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers(scope=self.scope)
        return headers

    @property
    def query_params(self) -> QueryParams:
        """The parameters of the query string, decoded."""
        params = self._query_params
        if params is None:
            params = self._query_params = QueryParams(self.scope.get("query_string", b""))
        return params

    @property
    def path_params(self) -> dict[str, Any]:
        """The converted path parameters, by name."""
        params: dict[str, Any] = self.scope.get("path_params", {})
        return params

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies sent by the client, by name."""
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = _core.cookies_from_headers(self.headers._list)
        return cookies

    @property
    def client(self) -> Address | None:
        """The client's address, or None if the server does not know it."""
        address = self.scope.get("client")
        return None if address is None else Address(*address)

    @property
    def session(self) -> dict[str, Any]:
        """The session's data. Changes are stored with the response. Requires `SessionMiddleware`."""
        assert "session" in self.scope, "SessionMiddleware must be installed to access request.session"
        session = self.scope["session"]
        # Another session middleware may store a plain dictionary here.
        mark_accessed = getattr(session, "mark_accessed", None)
        if mark_accessed is not None:
            mark_accessed()
        return cast("dict[str, Any]", session)

    @property
    def auth(self) -> Any:
        """The credentials of this connection. Requires `AuthenticationMiddleware`."""
        assert "auth" in self.scope, "AuthenticationMiddleware must be installed to access request.auth"
        return self.scope["auth"]

    @property
    def user(self) -> Any:
        """The user of this connection. Requires `AuthenticationMiddleware`."""
        assert "user" in self.scope, "AuthenticationMiddleware must be installed to access request.user"
        return self.scope["user"]

    @property
    def state(self) -> StateT:
        """The application's own data, shared by all code that handles this connection's scope."""
        state = self._state
        if state is None:
            state = self._state = State(self.scope.setdefault("state", {}))
        return cast("StateT", state)

    def url_for(self, name: str, /, **path_params: Any) -> URL:
        """Return the absolute URL of the route called `name`.

        Raises:
            NoMatchFound: no route has that name and exactly these parameters.
            RuntimeError: the connection is not handled by a router.
        """
        provider = self.scope.get("router") or self.scope.get("app")
        if provider is None:
            raise RuntimeError("The `url_for` method can only be used inside a Starlette application or with a router.")
        return cast("URL", provider.url_path_for(name, **path_params).make_absolute_url(base_url=self.base_url))


async def empty_receive() -> NoReturn:
    raise RuntimeError("Receive channel has not been made available")


async def empty_send(message: Message) -> NoReturn:
    raise RuntimeError("Send channel has not been made available")


class Request(HTTPConnection[StateT]):
    """An HTTP request: its parts come from the scope, its body from the receive channel.

    ``_body`` and ``_json`` exist only once the body has been read. Other packages check with ``hasattr``.
    """

    _form: FormData | None = None
    _stream_consumed: bool = False
    _is_disconnected: bool = False
    _kept: list[Message] | tuple[()] = ()
    _takes_form = False
    _body: bytes
    _json: Any

    def __init__(self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send) -> None:
        assert scope["type"] == "http"
        self.scope = scope
        self._receive = receive
        self._send = send

    @property
    def method(self) -> str:
        """The request method, in upper case as sent by the client."""
        return cast("str", self.scope["method"])

    @property
    def receive(self) -> Receive:
        """The ASGI receive channel, with what `is_disconnected` has received first."""
        return self._next_message if self._kept else self._receive

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in chunks as they arrive, then one empty chunk. Nothing is kept.

        Raises:
            ClientDisconnect: the client disconnected before the body was complete.
            RuntimeError: the stream has already been read, here or by a middleware that has not kept the body.

        Deviation: a body that a middleware has consumed with `stream` or `form` raises instead of being empty. In
        compatibility mode it is empty, as Starlette's tests require.
        """
        if hasattr(self, "_body"):
            yield self._body
        elif self._stream_consumed:
            raise RuntimeError("Stream consumed")
        else:
            # Another reader may reach the end first, so the request itself keeps track.
            while not self._stream_consumed:
                chunk, _ = await self._receive_chunk()
                if chunk:
                    yield chunk
        yield b""

    async def _receive_chunk(self) -> tuple[bytes, bool]:
        """Return the next chunk of the body, and whether more follow."""
        # While this is set, a response being sent does not listen for a disconnect and so does not consume messages.
        self.scope[scope_keys.READS_BODY] = True
        message = await (self._next_message() if self._kept or self._is_disconnected else self._receive())
        kind = message["type"]
        if kind == "http.disconnect":
            self._is_disconnected = True
            self.scope[scope_keys.READS_BODY] = False
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        more: bool = kind != "http.request" or message.get("more_body", False)
        if not more:
            self._stream_consumed = True
            self.scope[scope_keys.READS_BODY] = False
            if CONSUMED in message:
                self._refuse(message[CONSUMED])
        elif not chunk or kind != "http.request":
            await anyio.lowlevel.checkpoint()  # a `receive` that never waits must not block the event loop
            return b"", True
        return chunk, more

    def _refuse(self, consumed: ConsumedBody) -> None:
        takes_form = self._takes_form and consumed.form is not None
        if consumed.is_strict or takes_form or mode.current.refuses_consumed_bodies:
            raise consumed

    async def _next_message(self) -> Message:
        if self._kept:
            return self._kept.pop(0)
        return {"type": "http.disconnect"} if self._is_disconnected else await self._receive()

    def _keep(self, message: Message) -> None:
        """Keep a message of the body for its reader, if that one still needs it."""
        is_complete = self._stream_consumed or hasattr(self, "_body")
        is_empty = not message.get("body") and message.get("more_body", False)
        if not is_complete and not is_empty and (not self._kept or self._kept[-1].get("more_body", False)):
            self._kept = [*self._kept, message]

    @property
    def _is_unread(self) -> bool:
        """True if `_receive_chunk` returns what `stream` would, without the cost of another frame and a generator."""
        # Fast path: copies `Request.stream`; 9 % fewer instructions (bench: json-body).
        return type(self).stream is _STOCK_STREAM and not self._stream_consumed and not hasattr(self, "_body")

    async def body(self) -> bytes:
        """Return the whole body. It is read once, then kept.

        Raises:
            ClientDisconnect: the client disconnected before the body was complete.
        """
        if not hasattr(self, "_body"):
            self._body = await self._read_body()
        return self._body

    async def _read_body(self) -> bytes:
        # Fast path: copies `Request.stream`; 9 % fewer instructions (bench: json-body).
        if type(self).stream is not _STOCK_STREAM:
            async with aclosing(self.stream()) as stream:
                return b"".join([chunk async for chunk in stream])
        # Most bodies arrive in one message, and then need no generator and no list.
        if self._stream_consumed:
            raise RuntimeError("Stream consumed")
        body, more = await self._receive_chunk()
        if not more:
            return body
        chunks = [body]
        while more:
            chunk, more = await self._receive_chunk()
            chunks.append(chunk)
        return b"".join(chunks)

    async def json(self) -> Any:
        """Return the JSON value of the body. It is parsed once, then kept.

        Raises:
            MalformedJSON: the body is not JSON. If it is not caught, the client receives ``400 Bad Request``.
            ClientDisconnect: the client disconnected before the body was complete.

        Deviation: ``NaN`` and ``Infinity`` are rejected, because RFC 8259 does not allow them. So are numbers that
        would become an infinity, such as ``1e999``.
        """
        if not hasattr(self, "_json"):
            self._json = _load_json(await self.body())
        return self._json

    async def _get_form(
        self,
        *,
        max_files: float = MAX_FILES,
        max_fields: float = MAX_FIELDS,
        max_part_size: int = MAX_PART_BYTES,
        max_fields_size: float | None = None,
    ) -> FormData:
        if self._form is None:
            parse_form = _form_parser()
            self._takes_form = True
            try:
                self._form = await parse_form(
                    self,
                    max_files=max_files,
                    max_fields=max_fields,
                    max_part_size=max_part_size,
                    max_fields_size=max_fields_size,
                )
            except ConsumedBody as error:
                if error.form is None:
                    raise
                self._form = error.form
        return self._form

    def form(
        self,
        *,
        max_files: float = MAX_FILES,
        max_fields: float = MAX_FIELDS,
        max_part_size: int = MAX_PART_BYTES,
        max_fields_size: float | None = None,
    ) -> AwaitableOrContextManager[FormData]:
        """Return the form's fields and uploaded files. Await it, or use it in ``async with`` to close the files.

        If a middleware has already read the form, this is the same object, so the limits are those of the middleware.

        `max_files` and `max_fields` limit the number of parts. `max_part_size` is in bytes and applies to one field,
        `max_fields_size` to all of them together (by default ten times `max_part_size`). Neither applies to files.

        Deviation: Starlette has no limit on all fields together.
        """
        reading = self._get_form(
            max_files=max_files,
            max_fields=max_fields,
            max_part_size=max_part_size,
            max_fields_size=max_fields_size,
        )
        return AwaitableOrContextManagerWrapper(reading)

    async def close(self) -> None:
        """Close the files of the form, if it has been read."""
        if self._form is not None:
            await self._form.close()

    async def is_disconnected(self) -> bool:
        """Return True if the client has disconnected, as far as the server knows now. Never waits.

        Parts of the body that have arrived are kept for `body`, `stream`, `form` and `receive`. Once 64 of them are
        waiting to be read, a disconnect is noticed only by reading.

        Deviation: Starlette drops them.
        """
        if not self._is_disconnected and len(self._kept) < _MAX_KEPT_MESSAGES:
            message: Message = {}
            with anyio.CancelScope() as scope:
                scope.cancel()  # receive only a message that is already there
                message = await self._receive()
            if message.get("type") == "http.request":
                self._keep(message)
            self._is_disconnected = message.get("type") == "http.disconnect"
        return self._is_disconnected

    async def send_push_promise(self, path: str) -> None:
        """Offer `path` to the client by HTTP/2 server push, if the server supports it.

        Raises:
            ValueError: the path contains CR, LF or NUL.
        """
        if "http.response.push" in self.scope.get("extensions", {}):
            if any(character in path for character in "\r\n\0"):
                raise ValueError(f"path must not contain CR, LF or NUL, got {path!r}")
            copied = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name in sorted(SERVER_PUSH_HEADERS_TO_COPY)
                for value in self.headers.getlist(name)
            ]
            await self._send({"type": "http.response.push", "path": path, "headers": copied})

    async def send_early_hints(self, link: str, /, *additional_links: str) -> None:
        """Send a ``103 Early Hints`` response with these ``Link`` values, if the server supports it.

        Raises:
            ValueError: a link contains CR, LF or NUL.

        Source: RFC 8297.
        """
        if "http.response.early_hint" in self.scope.get("extensions", {}):
            links = (link, *additional_links)
            if any(character in value for value in links for character in "\r\n\0"):
                raise ValueError(f"links must not contain CR, LF or NUL, got {links!r}")
            hint = [value.encode("latin-1") for value in links]
            await self._send({"type": "http.response.early_hint", "links": hint})


_STOCK_STREAM = original(Request, "stream")
