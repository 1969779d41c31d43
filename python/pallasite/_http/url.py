"""URLs and URL paths (RFC 3986). They are split only on access.

Public as `pallasite.datastructures.URL` and `URLPath`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Sequence
from typing import Any, Literal, Self
from urllib.parse import SplitResult, quote, urlsplit

from pallasite._core import absolute_url, encode_query, parse_query, split_url, url_from_scope
from pallasite._http.text import encode_text
from pallasite.types import Scope

# The schemes of each protocol: for a plain and for a secure base URL.
_SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}
_COMPONENTS = frozenset(SplitResult._fields)
_SECURE = frozenset({"https", "wss"})

# Characters that a path and a query may contain besides letters, digits and _.-~ (RFC 3986 sections 3.3 and 3.4).
# A path arrives decoded, so a `%` in it does not start an escape. A query arrives as it was sent.
_IN_PATH = "/:@!$&'()*+,;="
_IN_QUERY = _IN_PATH + "?%[]"


class URL:
    """A URL, built from text, from an ASGI scope, or from components.

    From a scope, the authority is the Host header if there is exactly one and it is valid, otherwise the server's
    address. Without either the URL is relative. `?`, `#` and backslashes of the decoded path are percent-encoded, and
    so are bytes of the query that are not UTF-8.

    Args:
        url: the URL as text.
        scope: the ASGI scope of a request or WebSocket.
        components: scheme, netloc, path, query and fragment. Username, password, hostname and port may replace netloc.
    """

    _url: str
    _components: SplitResult

    def __init__(self, url: str = "", scope: Scope | None = None, **components: Any) -> None:
        if scope is not None:
            assert not url, 'Cannot set both "url" and "scope".'
            assert not components, 'Cannot set both "scope" and "**components".'
            self._url = url_from_scope(scope)
        elif components:
            assert not url, 'Cannot set both "url" and "**components".'
            # Split and joined once more, so that the text splits into the same components again.
            self._url = URL("").replace(**components).components.geturl()
        else:
            self._url = url

    @property
    def components(self) -> SplitResult:
        """The five components.

        Raises:
            ValueError: the authority is malformed.
        """
        try:
            return self._components
        except AttributeError:
            plain = split_url(self._url)
            # `SplitResult(*plain)` would call a Python function and take twice as long.
            self._components = urlsplit(self._url) if plain is None else tuple.__new__(SplitResult, plain)
            return self._components

    @property
    def scheme(self) -> str:
        """The scheme in lower case, such as "https". Empty if the URL is relative."""
        return self.components[0]

    @property
    def netloc(self) -> str:
        """The authority: user information, host and port as written. Empty if there is none."""
        return self.components[1]

    @property
    def path(self) -> str:
        """The path as written, still percent-encoded."""
        return self.components[2]

    @property
    def query(self) -> str:
        """The query, without the question mark."""
        return self.components[3]

    @property
    def fragment(self) -> str:
        """The fragment, without the number sign."""
        return self.components[4]

    @property
    def username(self) -> str | None:
        """The user name, or None."""
        return self.components.username

    @property
    def password(self) -> str | None:
        """The password, or None."""
        return self.components.password

    @property
    def hostname(self) -> str | None:
        """The host in lower case, without brackets, or None."""
        return self.components.hostname

    @property
    def port(self) -> int | None:
        """The port, or None if it is not written.

        Raises:
            ValueError: the port is not a number up to 65535.
        """
        return self.components.port

    @property
    def is_secure(self) -> bool:
        """True if the scheme is https or wss."""
        return self.components.scheme in _SECURE

    def replace(self, **kwargs: Any) -> URL:
        """Return a URL with these components replaced. Username, password, hostname and port are parts of netloc."""
        if not kwargs.keys().isdisjoint(("username", "password", "hostname", "port")):
            kwargs["netloc"] = self._authority(kwargs)
        if kwargs.keys() <= _COMPONENTS:
            return type(self)(_unsplit(*map(kwargs.get, SplitResult._fields, self.components)))
        return type(self)(self.components._replace(**kwargs).geturl())

    def _authority(self, changes: dict[str, Any]) -> str:
        """Return this URL's netloc with the parts in `changes`, and remove them from `changes`."""
        current = self.components
        host = changes.pop("hostname", None)
        if host is None:
            host = current.netloc.rpartition("@")[2]
            if not host.endswith("]"):
                # Everything before the port, which follows the last colon outside brackets.
                host = host.rsplit(":", 1)[0]
        elif ":" in host and host[0] != "[" and _is_ipv6(host):
            host = f"[{host}]"
        port = changes.pop("port", current.port)
        user = changes.pop("username", current.username)
        password = changes.pop("password", current.password)
        authority = host if port is None else f"{host}:{port}"
        if user is None:
            return authority
        return f"{user}@{authority}" if password is None else f"{user}:{password}@{authority}"

    def include_query_params(self, **kwargs: Any) -> URL:
        """Return a URL with these query parameters added. Existing ones of the same name are replaced."""
        pairs: list[tuple[str, Any]] = self._pairs_without(kwargs)
        pairs.extend(kwargs.items())
        return self._with_query(pairs)

    def replace_query_params(self, **kwargs: Any) -> URL:
        """Return a URL with only these query parameters."""
        return self._with_query(list(kwargs.items()))

    def remove_query_params(self, keys: str | Sequence[str]) -> URL:
        """Return a URL without these query parameters."""
        return self._with_query(self._pairs_without((keys,) if isinstance(keys, str) else keys))

    def _pairs_without(self, names: Container[str]) -> list[tuple[str, Any]]:
        return [pair for pair in parse_query(self.query) if pair[0] not in names]

    def _with_query(self, pairs: list[tuple[Any, Any]]) -> URL:
        return self.replace(query=encode_query(pairs))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    # A URL equals its text, so it would need the same hash. URLs are not hashable.
    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        shown = self.replace(password="********") if self.password else self
        return f"{type(self).__name__}({str(shown)!r})"


class URLPath(str):  # noqa: SLOT000 - callers may set attributes on it
    """The path of a route, as returned by a lookup, with the protocol and host it needs, if any.

    Backslashes are percent-encoded. A leading `//` becomes `/%2F`, so that no client reads it as an authority.
    """

    protocol: Literal["http", "websocket", ""]
    host: str

    def __new__(cls, path: str, protocol: Literal["http", "websocket", ""] = "", host: str = "") -> Self:
        assert protocol in ("http", "websocket", "")
        if "\\" in path:
            path = path.replace("\\", "%5C")
        return str.__new__(cls, "/%2F" + path[2:] if path.startswith("//") else path)

    def __init__(self, path: str, protocol: Literal["http", "websocket", ""] = "", host: str = "") -> None:
        self.protocol = protocol
        self.host = host

    def make_absolute_url(self, base_url: str | URL) -> URL:
        """Return this path below the path of `base_url`.

        The URL has this path's own host if it has one, otherwise the host of `base_url`. It is secure if `base_url` is.
        """
        url = absolute_url(str(base_url), self, self.protocol, self.host)
        return URL(self._join(URL(str(base_url)).components) if url is None else url)

    def _join(self, base: SplitResult) -> str:
        """Join what is not plain ASCII: Unicode hosts, IPv6 literals, relative bases, a query in the path."""
        scheme = _SCHEMES[self.protocol][base.scheme in _SECURE] if self.protocol else base.scheme
        return str(URL(scheme=scheme, netloc=self.host or base.netloc, path=base.path.rstrip("/") + self))


def local_url(scope: Scope, path: str) -> str:
    """Return the request's URL with another (decoded) path. It has no host, so it stays on this site.

    It starts with exactly one slash, since `//` would start an authority (RFC 3986 section 4.2).
    """
    location = quote(encode_text(path, "utf-8"), safe=_IN_PATH)
    if not location.startswith("/"):
        location = "/" + location
    elif location.startswith("//"):
        location = "/%2F" + location[2:]
    query = scope.get("query_string")
    return f"{location}?{quote(query, safe=_IN_QUERY)}" if query else location


def _unsplit(scheme: Any, netloc: Any, path: Any, query: Any, fragment: Any) -> str:
    """Do what `SplitResult.geturl()` does, several times as fast for a URL that has an origin."""
    if not scheme or not netloc:
        # How much of `//` is then written differs between Python versions.
        return SplitResult(scheme, netloc, path, query, fragment).geturl()
    slash = "/" if path and path[0] != "/" else ""
    after = (("?" + query) if query else "") + (("#" + fragment) if fragment else "")
    return "".join((scheme, "://", netloc, slash, path or "", after))


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
