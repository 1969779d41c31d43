"""Sessions kept in a signed cookie: the client can read what is in it, but not change it."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable
from typing import Any, Literal, Self

import itsdangerous

from pallasite.datastructures import MutableHeaders, Secret
from pallasite.requests import HTTPConnection
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

# What every browser stores of one cookie, its name and "=" included (RFC 6265 section 6.1). More is dropped silently.
MAX_COOKIE_BYTES = 4096

TWO_WEEKS = 14 * 24 * 60 * 60  # in seconds


class SessionTooLarge(ValueError):
    """The session does not fit into a cookie that browsers store; nothing was sent."""


class _Signer(itsdangerous.TimestampSigner):
    """Derives its key once: itsdangerous does so for every signature, a third of the time it takes."""

    def __init__(self, secret_key: str) -> None:
        super().__init__(secret_key)
        self._derived: dict[Any, bytes] = {}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        key = self._derived.get(secret_key)
        if key is None:
            key = self._derived[secret_key] = super().derive_key(secret_key)
        return key


class SessionMiddleware:
    """Fills ``request.session``, a dictionary, and stores it with the response when it has changed.

    Changes inside nested values are noticed as well. Responses to requests that looked at the session say
    ``Vary: Cookie``. A cookie that is forged, garbled or too old gives an empty session.

    Args:
        secret_key: signs the cookie; keep it secret, and the same on every server. It must not be empty.
        session_cookie: the cookie's name.
        max_age: in seconds; None keeps the session until the browser is closed.
        https_only: send the cookie over HTTPS only.
        domain: also send it to subdomains of this domain.
        partitioned: keep it apart for each site that embeds this one (CHIPS).

    Raises:
        ValueError: the secret is empty.
        SessionTooLarge: when the response starts: the session does not fit into a cookie.
    """

    def __init__(
        self,
        app: ASGIApp,
        secret_key: str | Secret,
        session_cookie: str = "session",
        max_age: int | None = TWO_WEEKS,
        path: str = "/",
        same_site: Literal["lax", "strict", "none"] = "lax",
        https_only: bool = False,
        domain: str | None = None,
        partitioned: bool = False,
    ) -> None:
        if not str(secret_key):
            raise ValueError("secret_key must not be empty: anyone could sign a session")
        self.app = app
        self.signer = _Signer(str(secret_key))
        self.session_cookie = session_cookie
        self.max_age = max_age
        self.path = path
        flags = ["httponly", f"samesite={same_site}"]
        if https_only:
            flags.append("secure")
        if domain is not None:
            flags.append(f"domain={domain}")
        if partitioned:
            flags.append("partitioned")
        self.security_flags = "; ".join(flags)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        stored, scope["session"] = self._load(scope)

        # Not a coroutine: what it returns is `send`'s own awaitable, which spares a frame for every message.
        def send_with_session(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                self._store(scope["session"], stored, message)
            return send(message)

        await self.app(scope, receive, send_with_session)

    def _load(self, scope: Scope) -> tuple[bytes | None, Session]:
        """The session's JSON as the client sent it back (None where there is none that we signed), and the session."""
        cookie = HTTPConnection(scope).cookies.get(self.session_cookie)
        if cookie is None:
            return None, Session()
        try:
            stored = b64decode(self.signer.unsign(cookie.encode("utf-8"), max_age=self.max_age))
            return stored, Session(json.loads(stored))
        except (itsdangerous.BadSignature, ValueError, TypeError):
            return None, Session()

    def _store(self, session: Any, stored: bytes | None, message: Message) -> None:
        """Adds to a response's head what the session calls for."""
        accessed = getattr(session, "accessed", True)  # an application may have put a plain dictionary there
        if not accessed:
            return
        message.setdefault("headers", [])
        headers = MutableHeaders(scope=message)
        headers.add_vary_header("Cookie")
        modified = getattr(session, "modified", True)
        text = json.dumps(session).encode("utf-8") if session else None
        # A nested value may have changed without the session's knowledge: then its JSON differs.
        if text is not None and (modified or text != stored):
            value = self.signer.sign(b64encode(text)).decode("ascii")
            age = "" if self.max_age is None else f"Max-Age={self.max_age}; "
            self._append_cookie(headers, value, age)
        elif text is None and modified and stored is not None:
            self._append_cookie(headers, "null", "expires=Thu, 01 Jan 1970 00:00:00 GMT; ")

    def _append_cookie(self, headers: MutableHeaders, value: str, lifetime: str) -> None:
        size = len(self.session_cookie) + 1 + len(value)
        if size > MAX_COOKIE_BYTES:
            raise SessionTooLarge(f"The session takes {size} bytes as a cookie; browsers store {MAX_COOKIE_BYTES}")
        headers.append(
            "set-cookie", f"{self.session_cookie}={value}; path={self.path}; {lifetime}{self.security_flags}"
        )


class Session(dict[str, Any]):
    """A dictionary that knows whether it was looked at (`accessed`) and changed (`modified`)."""

    accessed: bool = False
    modified: bool = False

    def mark_accessed(self) -> None:
        """Notes that the response depends on the session."""
        self.accessed = True

    def mark_modified(self) -> None:
        """Notes that the session is to be stored."""
        self.accessed = self.modified = True

    def __setitem__(self, key: str, value: Any) -> None:
        self.mark_modified()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self.mark_modified()

    def __ior__(self, other: Any, /) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        super().clear()
        self.mark_modified()

    def pop(self, key: str, *args: Any) -> Any:
        known = key in self
        value = super().pop(key, *args)
        if known:
            self.mark_modified()
        return value

    def popitem(self) -> tuple[str, Any]:
        item = super().popitem()
        self.mark_modified()
        return item

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **values: Any) -> None:
        super().update(*others, **values)
        self.mark_modified()
