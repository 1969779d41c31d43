"""The connection a client opened, as handlers see it: `HTTPConnection` and `Request`.

Everything is read from the ASGI scope when it is asked for, and kept: creating a request costs four assignments.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, NoReturn, cast

import anyio

from pallasite import _core
from pallasite._compat.stock import original
from pallasite._http import scope_keys
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
    # A type variable's default is for type checkers; at run time the one that every Python has will do.
    from typing import TypeVar

    StateT = TypeVar("StateT")

__all__ = [
    "SERVER_PUSH_HEADERS_TO_COPY",
    "ClientDisconnect",
    "HTTPConnection",
    "MalformedJSON",
    "Request",
    "cookie_parser",
    "empty_receive",
    "empty_send",
]

# What a pushed request repeats of the request that caused it.
SERVER_PUSH_HEADERS_TO_COPY = {"accept", "accept-encoding", "accept-language", "cache-control", "user-agent"}


def cookie_parser(cookie_string: str) -> dict[str, str]:
    """The cookies of one ``Cookie`` field value, by name; the last one of a name wins.

    Lenient as browsers are: a chunk without ``=`` has an empty name, quoted values are unquoted.

    Source: RFC 6265 section 5.4, and the practice of servers.
    """
    return _core.parse_cookies(cookie_string)


class MalformedJSON(json.JSONDecodeError, HTTPException):
    """The request body is not JSON (RFC 8259). Unhandled, it becomes a ``400 Bad Request``.

    It is a `json.JSONDecodeError` too, with its ``msg``, ``doc``, ``pos``, ``lineno`` and ``colno``.
    """

    def __init__(self, message: str, document: str = "", position: int = 0) -> None:
        json.JSONDecodeError.__init__(self, message, document, position)
        self.status_code = 400
        self.detail = "Malformed JSON body"
        self.headers = None

    __str__ = json.JSONDecodeError.__str__


@functools.cache
def _form_parser() -> Callable[..., Awaitable[FormData]]:
    # Imported when the first form comes, as few requests are forms; cached, for an import statement takes 1 us a time.
    from pallasite.formparsers import parse_form

    return parse_form


def _load_json(body: bytes) -> Any:
    try:
        return decode(body)
    except json.JSONDecodeError as error:
        raise MalformedJSON(error.msg, error.doc, error.pos) from None
    except RecursionError:
        raise MalformedJSON("Nested too deeply") from None
    except ValueError as error:  # bad UTF-8, NaN and infinities, an integer of too many digits
        raise MalformedJSON(str(error)) from error


class HTTPConnection(Mapping[str, Any], Generic[StateT]):
    """What `Request` and `WebSocket` share: a mapping over the ASGI scope, with its parts parsed on demand."""

    # Filled when first asked for; defaults on the class keep creation cheap.
    _url: URL | None = None
    _base_url: URL | None = None
    _headers: Headers | None = None
    _query_params: QueryParams | None = None
    _cookies: dict[str, str] | None = None
    _state: State | None = None

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        assert scope["type"] in ("http", "websocket")
        self.scope = scope

    # Two connections are never equal, whatever their scopes say; Mapping would compare them as dictionaries.
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
        """The URL that the client asked for, rebuilt from the ``Host`` field and the scope.

        The application's `base_url` takes the place of the ``Host`` field if there is one.
        """
        url = self._url
        if url is None:
            url = self._url = URL(scope=self.scope)
        return url

    @property
    def base_url(self) -> URL:
        """The URL of the application's root, with a slash at its end: what `url_for` builds upon."""
        base = self._base_url
        if base is None:
            scope = self.scope
            # Inside a mount root_path is the mount's; app_root_path keeps the application's own.
            root_path = scope.get("app_root_path", scope.get("root_path", ""))
            path = root_path if root_path.endswith("/") else root_path + "/"
            base = self._base_url = URL(_core.url_from_scope(scope, path))
        return base

    @property
    def headers(self) -> Headers:
        """The header fields, case-insensitive, several values of a name kept in order."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers(scope=self.scope)
        return headers

    @property
    def query_params(self) -> QueryParams:
        """The query string's parameters, decoded."""
        params = self._query_params
        if params is None:
            params = self._query_params = QueryParams(self.scope.get("query_string", b""))
        return params

    @property
    def path_params(self) -> dict[str, Any]:
        """The path parameters, converted, by name."""
        params: dict[str, Any] = self.scope.get("path_params", {})
        return params

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the client sent, by name."""
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = _core.cookies_from_headers(self.headers._list)
        return cookies

    @property
    def client(self) -> Address | None:
        """The address at the other end, where the server knows it."""
        address = self.scope.get("client")
        return None if address is None else Address(*address)

    @property
    def session(self) -> dict[str, Any]:
        """The session's data; changes are stored with the response. Needs `SessionMiddleware`."""
        assert "session" in self.scope, "SessionMiddleware must be installed to access request.session"
        session = self.scope["session"]
        # Another session middleware may put a plain dictionary here.
        mark_accessed = getattr(session, "mark_accessed", None)
        if mark_accessed is not None:
            mark_accessed()
        return cast("dict[str, Any]", session)

    @property
    def auth(self) -> Any:
        """The credentials of this connection. Needs `AuthenticationMiddleware`."""
        assert "auth" in self.scope, "AuthenticationMiddleware must be installed to access request.auth"
        return self.scope["auth"]

    @property
    def user(self) -> Any:
        """The user of this connection. Needs `AuthenticationMiddleware`."""
        assert "user" in self.scope, "AuthenticationMiddleware must be installed to access request.user"
        return self.scope["user"]

    @property
    def state(self) -> StateT:
        """Room for the application's own data, shared by everyone who sees this connection's scope."""
        state = self._state
        if state is None:
            state = self._state = State(self.scope.setdefault("state", {}))
        return cast("StateT", state)

    def url_for(self, name: str, /, **path_params: Any) -> URL:
        """The absolute URL of the route called `name`.

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
    """An HTTP request: its parts from the scope, its body from the receive channel.

    ``_body`` and ``_json`` come into being when the body is read: other packages ask with ``hasattr``.
    """

    _form: FormData | None = None
    _stream_consumed: bool = False
    _is_disconnected: bool = False
    _body: bytes
    _json: Any

    def __init__(self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send) -> None:
        assert scope["type"] == "http"
        self.scope = scope
        self._receive = receive
        self._send = send

    @property
    def method(self) -> str:
        """The request method, in upper case as the client sent it."""
        return cast("str", self.scope["method"])

    @property
    def receive(self) -> Receive:
        """The ASGI receive channel."""
        return self._receive

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in chunks as they arrive, then one empty chunk. Nothing is kept.

        Raises:
            ClientDisconnect: the client went away before the body was complete.
            RuntimeError: the stream has been read already.
        """
        if hasattr(self, "_body"):
            yield self._body
        elif self._stream_consumed:
            raise RuntimeError("Stream consumed")
        else:
            # Another reader may come to the end first, so it is the request that knows.
            while not self._stream_consumed:
                chunk, _ = await self._receive_chunk()
                if chunk:
                    yield chunk
        yield b""

    async def _receive_chunk(self) -> tuple[bytes, bool]:
        """The next piece of the body, and whether there is more."""
        # A response that is being sent meanwhile must not take messages away, listening for a disconnect.
        self.scope[scope_keys.READS_BODY] = True
        message = await self._receive()
        kind = message["type"]
        if kind == "http.disconnect":
            self._is_disconnected = True
            self.scope[scope_keys.READS_BODY] = False
            raise ClientDisconnect
        if kind != "http.request":
            return b"", True
        more: bool = message.get("more_body", False)
        if not more:
            self._stream_consumed = True
            self.scope[scope_keys.READS_BODY] = False
        return message.get("body", b""), more

    @property
    def _is_unread(self) -> bool:
        """Whether `_receive_chunk` gives what `stream` would, which has another frame and a generator to pay for."""
        # Fast path: copies `Request.stream`; 1 us of 5 (bench: json-body).
        return type(self).stream is _STOCK_STREAM and not self._stream_consumed and not hasattr(self, "_body")

    async def body(self) -> bytes:
        """The whole body; read once, then kept.

        Raises:
            ClientDisconnect: the client went away before the body was complete.
        """
        if not hasattr(self, "_body"):
            self._body = await self._read_body()
        return self._body

    async def _read_body(self) -> bytes:
        # Fast path: copies `Request.stream`; 1 us of 5 (bench: json-body).
        if type(self).stream is not _STOCK_STREAM:
            async with aclosing(self.stream()) as stream:
                return b"".join([chunk async for chunk in stream])
        # Most bodies come in one message: no generator and no list for them.
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
        """The body's JSON value; parsed once, then kept.

        Raises:
            MalformedJSON: the body is not JSON; unhandled, the client gets ``400 Bad Request``.
            ClientDisconnect: the client went away before the body was complete.

        Deviation: ``NaN`` and ``Infinity`` are refused, as RFC 8259 has them not; so is a number that would become
        an infinity, such as ``1e999``.
        """
        if not hasattr(self, "_json"):
            self._json = _load_json(await self.body())
        return self._json

    async def _get_form(
        self, *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 1024 * 1024
    ) -> FormData:
        if self._form is None:
            parse_form = _form_parser()
            self._form = await parse_form(self, max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)
        return self._form

    def form(
        self, *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 1024 * 1024
    ) -> AwaitableOrContextManager[FormData]:
        """The body's form fields and uploaded files: await it, or use it in ``async with`` to have files closed.

        `max_files` and `max_fields` count parts, `max_part_size` is in bytes and holds for fields, not for files.
        """
        reading = self._get_form(max_files=max_files, max_fields=max_fields, max_part_size=max_part_size)
        return AwaitableOrContextManagerWrapper(reading)

    async def close(self) -> None:
        """Closes the files of the form, if a form was read."""
        if self._form is not None:
            await self._form.close()

    async def is_disconnected(self) -> bool:
        """Whether the client has gone away, as far as the server knows now. Never waits."""
        if not self._is_disconnected:
            message: Message = {}
            with anyio.CancelScope() as scope:
                scope.cancel()  # take what is there at once, or nothing
                message = await self._receive()
            self._is_disconnected = message.get("type") == "http.disconnect"
        return self._is_disconnected

    async def send_push_promise(self, path: str) -> None:
        """Offers `path` to the client by HTTP/2 server push, where the server can; else does nothing.

        Raises ValueError where the path holds CR, LF or NUL.
        """
        if "http.response.push" in self.scope.get("extensions", {}):
            if any(character in path for character in "\r\n\0"):
                raise ValueError("A path must not hold CR, LF or NUL")
            copied = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name in sorted(SERVER_PUSH_HEADERS_TO_COPY)
                for value in self.headers.getlist(name)
            ]
            await self._send({"type": "http.response.push", "path": path, "headers": copied})

    async def send_early_hints(self, link: str, /, *additional_links: str) -> None:
        """Sends a ``103 Early Hints`` with these ``Link`` values, where the server can; else does nothing.

        Source: RFC 8297. Raises ValueError where a link holds CR, LF or NUL.
        """
        if "http.response.early_hint" in self.scope.get("extensions", {}):
            links = (link, *additional_links)
            if any(character in value for value in links for character in "\r\n\0"):
                raise ValueError("A link must not hold CR, LF or NUL")
            hint = [value.encode("latin-1") for value in links]
            await self._send({"type": "http.response.early_hint", "links": hint})


_STOCK_STREAM = original(Request, "stream")
