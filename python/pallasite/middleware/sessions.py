"""Sessions in a signed cookie: the client can read the contents but not change them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Awaitable
from typing import Any, Literal, Self

import itsdangerous

from pallasite._compat import mode
from pallasite._compat.warn import advise
from pallasite._core import cookies_from_headers, encode_header, find_header, set_cookie
from pallasite._http.json import encode_ascii
from pallasite._http.set_cookie import check_cross_site, check_prefix
from pallasite.datastructures import MutableHeaders, Secret
from pallasite.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "MAX_COOKIE_BYTES",
    "MIN_SECRET_BYTES",
    "TWO_WEEKS",
    "Session",
    "SessionMiddleware",
    "SessionNotStored",
    "SessionTooLarge",
]

# Largest cookie that every browser stores, name and "=" included (RFC 6265 section 6.1). Larger ones are dropped
# silently.
MAX_COOKIE_BYTES = 4096

# Fewer bytes hold less than 128 bits, even if random. One cookie is enough to brute-force the secret offline.
MIN_SECRET_BYTES = 16

TWO_WEEKS = 14 * 24 * 60 * 60  # in seconds


class SessionTooLarge(ValueError):
    """The session does not fit into a cookie that browsers store. Nothing was sent."""


class SessionNotStored(RuntimeError):
    """The session was changed after its cookie had been sent with the start of the response."""


_VARY = (b"vary", b"Cookie")
# The messages that can carry the session's cookie.
_STARTS = {"http": ("http.response.start",), "websocket": ("websocket.accept", "websocket.http.response.start")}
_TOO_LATE = "The session was changed after the response started; its cookie is already sent"
# Decodes as `json.loads` if there is no whitespace around the value, in half the time.
_read_json = json.JSONDecoder().raw_decode
_URLSAFE = bytes.maketrans(b"+/", b"-_")
_URLUNSAFE = bytes.maketrans(b"-_", b"+/")
_INNER_PAD, _OUTER_PAD = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


class _Signer(itsdangerous.TimestampSigner):
    """Signs and verifies like `itsdangerous.TimestampSigner`, at a tenth of its cost.

    The key is derived and hashed once. Each signature continues from copies of the two hashes that HMAC starts with
    (RFC 2104 section 4). This takes a third of the time of `hmac.digest`.
    """

    def __init__(self, secret_key: str) -> None:
        super().__init__(secret_key)
        block = self.derive_key().ljust(hashlib.sha1().block_size, b"\0")
        self._inner = hashlib.sha1(block.translate(_INNER_PAD))
        self._outer = hashlib.sha1(block.translate(_OUTER_PAD))
        self._stamp = (0, b"")

    def sign(self, value: str | bytes) -> bytes:
        data = value.encode("utf-8") if isinstance(value, str) else value
        now = int(time.time())
        known, stamp = self._stamp
        if now != known:
            stamp = _encode(now.to_bytes((now.bit_length() + 7) // 8, "big"))
            self._stamp = (now, stamp)
        stamped = data + b"." + stamp
        return stamped + b"." + self._signature(stamped)

    def unsign(self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: bool = False) -> Any:
        if return_timestamp:
            return super().unsign(signed_value, max_age, return_timestamp)
        data = signed_value.encode("utf-8") if isinstance(signed_value, str) else signed_value
        stamped, _, signature = data.rpartition(b".")
        value, _, stamp = stamped.rpartition(b".")
        if not hmac.compare_digest(self._signature(stamped), signature):
            raise itsdangerous.BadSignature("The signature does not match")
        if max_age is not None:
            age = int(time.time()) - int.from_bytes(_decode(stamp), "big")
            if not 0 <= age <= max_age:
                raise itsdangerous.SignatureExpired(f"Signed {age} seconds ago, the limit is {max_age}")
        return value

    def _signature(self, value: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(value)
        outer.update(inner.digest())
        return _encode(outer.digest())


def _encode(data: bytes) -> bytes:
    """Encode as URL-safe Base64 without padding."""
    return b2a_base64(data, newline=False).translate(_URLSAFE, b"=")


def _decode(text: bytes) -> bytes:
    return a2b_base64(text.translate(_URLUNSAFE) + b"==")


class SessionMiddleware:
    """Provide ``request.session``, a dictionary, and store it with the response if it has changed.

    Changes inside nested values are detected. Responses to requests that accessed the session get ``Vary: Cookie``. A
    forged, malformed or expired cookie results in an empty session. The response to a WebSocket handshake also stores
    the session, whether it accepts or denies.

    Args:
        secret_key: signs the cookie. Keep it secret and the same on every server. It must not be empty; fewer than
            `MIN_SECRET_BYTES` bytes emit a `SecurityWarning`.
        session_cookie: the cookie's name.
        max_age: in seconds; None keeps the session until the browser is closed.
        path: the cookie's path.
        same_site: the cookie's SameSite attribute.
        https_only: send the cookie over HTTPS only.
        domain: also send it to subdomains of this domain.
        partitioned: keep a separate cookie for each site that embeds this one (CHIPS).

    Raises:
        ValueError: the secret is empty, the name, path or domain is not valid in a cookie, or browsers would drop the
            cookie: ``same_site="none"`` or `partitioned` without `https_only` (allowed in compatibility mode, where a
            proxy may add Secure), or attributes that the prefix ``__Secure-`` or ``__Host-`` forbids.
        SessionTooLarge: when the response starts: the session does not fit into a cookie.
        SessionNotStored: the session was changed after the response started or the WebSocket was accepted. Raised by
            the change itself, or at the end of the request for a change inside a nested value.
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
        secret_bytes = len(str(secret_key).encode())
        if secret_bytes < MIN_SECRET_BYTES:
            advice = "generate one with `python -c 'import secrets; print(secrets.token_hex(32))'`"
            advise(f"secret_key is only {secret_bytes} bytes long and can be brute-forced; {advice}", stacklevel=2)
        # Raises for a name, path or domain that is not valid in a cookie: here rather than at every response.
        set_cookie(session_cookie, "", None, None, path, domain, https_only, True, same_site, partitioned)
        check_prefix(session_cookie, path, domain, https_only)
        if mode.current.checks_cross_site_cookies:
            check_cross_site(session_cookie, same_site, https_only, partitioned)
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
        # Raises for values that are not valid in a header: here rather than at every response.
        encode_header("set-cookie", f"{session_cookie}=; path={path}; {self.security_flags}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if "session" in scope:
            # Deviation: the session of an outer application is left alone, instead of being replaced for both.
            scope = dict(scope)
        stored, scope["session"] = self._load(scope)
        starts = _STARTS[scope["type"]]
        sent: tuple[Any, bytes | None] | None = None  # the session whose cookie was sent, and its JSON at that time

        # Not a coroutine: it returns the awaitable of `send`, which saves a frame per message.
        def send_wrapper(message: Message) -> Awaitable[None]:
            nonlocal sent
            if message["type"] in starts:
                session = scope["session"]
                sent = session, self._store(session, stored, message)
            return send(message)

        await self.app(scope, receive, send_wrapper)
        if sent is not None:
            _check_unchanged(scope["session"], *sent)

    def _load(self, scope: Scope) -> tuple[bytes | None, Session]:
        """Return the JSON in the client's cookie (None without a valid signature), and the session."""
        cookie = cookies_from_headers(scope["headers"]).get(self.session_cookie)
        if cookie is None:
            return None, Session()
        try:
            stored = a2b_base64(self.signer.unsign(cookie.encode("utf-8"), max_age=self.max_age))
            text = stored.decode("utf-8")
            data, end = _read_json(text)
            if end != len(text):
                raise ValueError("extra data after the JSON value")
            return stored, Session(data)
        except (itsdangerous.BadData, ValueError, TypeError, RecursionError):
            return None, Session()

    def _store(self, session: Any, stored: bytes | None, message: Message) -> bytes | None:
        """Add the headers for the session to a response. Return the session's JSON, or None if it is empty."""
        accessed = getattr(session, "accessed", True)  # an application may have put a plain dictionary there
        if isinstance(session, Session):
            session._is_sent = True
        if not accessed:
            return stored if session else None
        # The response may be sent again, to another client: leave its own headers unchanged.
        headers = message["headers"] = list(message.get("headers") or ())
        if message["type"] == "websocket.accept":
            pass  # never cached
        elif find_header(headers, "vary") is None:
            headers.append(_VARY)
        else:
            MutableHeaders(raw=headers).add_vary_header("Cookie")
        modified = getattr(session, "modified", True)
        text = encode_ascii(session) if session else None
        # A change inside a nested value does not set `modified`, but the JSON differs.
        if text is not None and (modified or (text != stored and not _holds(stored, session))):
            value = self.signer.sign(b2a_base64(text, newline=False)).decode("ascii")
            age = "" if self.max_age is None else f"Max-Age={self.max_age}; "
            headers.append(self._cookie(value, age))
        elif text is None and modified and stored is not None:
            headers.append(self._cookie("null", "expires=Thu, 01 Jan 1970 00:00:00 GMT; "))
        return text

    def _cookie(self, value: str, lifetime: str) -> tuple[bytes, bytes]:
        size = len(self.session_cookie) + 1 + len(value)
        if size > MAX_COOKIE_BYTES:
            raise SessionTooLarge(f"The session takes {size} bytes as a cookie; browsers store {MAX_COOKIE_BYTES}")
        return encode_header(
            "set-cookie", f"{self.session_cookie}={value}; path={self.path}; {lifetime}{self.security_flags}"
        )


def _check_unchanged(now: Any, sent: Any, text: bytes | None) -> None:
    """Raise `SessionNotStored` if the session differs from the one whose cookie was sent."""
    if now is not sent:
        raise SessionNotStored(_TOO_LATE)
    # A session that was never accessed cannot have changed.
    if getattr(sent, "accessed", True) and (encode_ascii(sent) if sent else None) != text and not _holds(text, sent):
        raise SessionNotStored(_TOO_LATE)


def _holds(stored: bytes | None, session: dict[str, Any]) -> bool:
    """Return True if `stored` decodes to `session`, even if another program formatted the JSON differently."""
    return stored is not None and bool(json.loads(stored) == session)


class Session(dict[str, Any]):
    """A dictionary that records whether it was `accessed` and `modified`."""

    accessed: bool = False
    modified: bool = False
    _is_sent: bool = False

    def mark_accessed(self) -> None:
        """Record that the response depends on the session."""
        self.accessed = True

    def mark_modified(self) -> None:
        """Record that the session must be stored.

        Raises:
            SessionNotStored: the cookie is already sent.
        """
        if self._is_sent:
            raise SessionNotStored(_TOO_LATE)
        self.accessed = self.modified = True

    # Each change is recorded first, and not made if it could not be stored.

    def __setitem__(self, key: str, value: Any) -> None:
        if self._is_sent:
            raise SessionNotStored(_TOO_LATE)
        self.accessed = self.modified = True
        dict.__setitem__(self, key, value)

    def __delitem__(self, key: str) -> None:
        if key in self:
            self.mark_modified()
        super().__delitem__(key)

    def __ior__(self, other: Any, /) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def clear(self) -> None:
        self.mark_modified()
        super().clear()

    def pop(self, key: str, *args: Any) -> Any:
        if key in self:
            self.mark_modified()
        return super().pop(key, *args)

    def popitem(self) -> tuple[str, Any]:
        if self:
            self.mark_modified()
        return super().popitem()

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *others: Any, **values: Any) -> None:
        self.mark_modified()
        super().update(*others, **values)
