"""URLs and URL paths (RFC 3986), split only when a part is asked for.

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

# The schemes a path of each protocol takes on a plain and on a secure base.
_SCHEMES = {"http": ("http", "https"), "websocket": ("ws", "wss")}
_COMPONENTS = frozenset(SplitResult._fields)
_SECURE = frozenset({"https", "wss"})

# What a path and a query may hold besides letters, digits and _.-~ (RFC 3986 sections 3.3 and 3.4). A path comes to us
# decoded, so that `%` in it is none of its escapes; a query comes as it was sent.
_IN_PATH = "/:@!$&'()*+,;="
_IN_QUERY = _IN_PATH + "?%[]"


class URL:
    """A URL from text, from an ASGI `scope`, or from the components scheme, netloc, path, query and fragment
    (or username, password, hostname and port in place of netloc).

    From a scope: the one Host header names the authority if it is valid, else the server's address does, else the URL
    is relative. `?`, `#` and backslashes of the decoded path are percent-encoded, and so are query bytes that are not
    UTF-8.
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
            # Split once more, so that the text is one that splits into the same components again.
            self._url = URL("").replace(**components).components.geturl()
        else:
            self._url = url

    @property
    def components(self) -> SplitResult:
        """The URL split in five. ValueError if its authority is malformed."""
        try:
            return self._components
        except AttributeError:
            plain = split_url(self._url)
            # `SplitResult(*plain)` would go through a Python function and take twice as long.
            self._components = urlsplit(self._url) if plain is None else tuple.__new__(SplitResult, plain)
            return self._components

    @property
    def scheme(self) -> str:
        """Such as "https", in lower case; empty if relative."""
        return self.components[0]

    @property
    def netloc(self) -> str:
        """The authority: user information, host and port as written; empty if there is none."""
        return self.components[1]

    @property
    def path(self) -> str:
        """As written, still percent-encoded."""
        return self.components[2]

    @property
    def query(self) -> str:
        """Without the question mark."""
        return self.components[3]

    @property
    def fragment(self) -> str:
        """Without the number sign."""
        return self.components[4]

    @property
    def username(self) -> str | None:
        """None if there is none."""
        return self.components.username

    @property
    def password(self) -> str | None:
        """None if there is none."""
        return self.components.password

    @property
    def hostname(self) -> str | None:
        """In lower case, without brackets; None if there is none."""
        return self.components.hostname

    @property
    def port(self) -> int | None:
        """None where it is not written. ValueError if it is no number up to 65535."""
        return self.components.port

    @property
    def is_secure(self) -> bool:
        """Whether the scheme is https or wss."""
        return self.components.scheme in _SECURE

    def replace(self, **kwargs: Any) -> URL:
        """A URL with these components instead; username, password, hostname and port are parts of netloc."""
        if not kwargs.keys().isdisjoint(("username", "password", "hostname", "port")):
            kwargs["netloc"] = self._authority(kwargs)
        if kwargs.keys() <= _COMPONENTS:
            return type(self)(_unsplit(*map(kwargs.get, SplitResult._fields, self.components)))
        return type(self)(self.components._replace(**kwargs).geturl())

    def _authority(self, changes: dict[str, Any]) -> str:
        """This URL's netloc with the parts in `changes`, which are taken out of it."""
        current = self.components
        host = changes.pop("hostname", None)
        if host is None:
            host = current.netloc.rpartition("@")[2]
            if not host.endswith("]"):
                # Everything up to the port, which is the last colon outside brackets.
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
        """A URL whose query has these parameters too; one that was there is replaced."""
        pairs: list[tuple[str, Any]] = self._pairs_without(kwargs)
        pairs.extend(kwargs.items())
        return self._with_query(pairs)

    def replace_query_params(self, **kwargs: Any) -> URL:
        """A URL whose query has these parameters only."""
        return self._with_query(list(kwargs.items()))

    def remove_query_params(self, keys: str | Sequence[str]) -> URL:
        """A URL whose query lacks these parameters."""
        return self._with_query(self._pairs_without((keys,) if isinstance(keys, str) else keys))

    def _pairs_without(self, names: Container[str]) -> list[tuple[str, Any]]:
        return [pair for pair in parse_query(self.query) if pair[0] not in names]

    def _with_query(self, pairs: list[tuple[Any, Any]]) -> URL:
        return self.replace(query=encode_query(pairs))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    # Equal to its text, which would need the same hash; a URL is no key.
    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self._url

    def __repr__(self) -> str:
        shown = self.replace(password="********") if self.password else self
        return f"{type(self).__name__}({str(shown)!r})"


class URLPath(str):  # noqa: SLOT000 - people may set attributes on it
    """The path a route was looked up to, with the protocol and host it needs, if any.

    Backslashes are percent-encoded, and a leading `//` becomes `/%2F`, which no client reads as an authority.
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
        """This path below `base_url`'s, on its host unless the path has one, secure if the base is."""
        url = absolute_url(str(base_url), self, self.protocol, self.host)
        return URL(self._join(URL(str(base_url)).components) if url is None else url)

    def _join(self, base: SplitResult) -> str:
        """The same for what is not plain ASCII: Unicode hosts, IPv6 literals, relative bases, a query in the path."""
        scheme = _SCHEMES[self.protocol][base.scheme in _SECURE] if self.protocol else base.scheme
        return str(URL(scheme=scheme, netloc=self.host or base.netloc, path=base.path.rstrip("/") + self))


def local_url(scope: Scope, path: str) -> str:
    """The request's URL with another (decoded) path, from the root on and without a host: it stays on this site.

    One slash begins it and no other follows, since `//` would begin an authority (RFC 3986 section 4.2).
    """
    location = quote(encode_text(path, "utf-8"), safe=_IN_PATH)
    if not location.startswith("/"):
        location = "/" + location
    elif location.startswith("//"):
        location = "/%2F" + location[2:]
    query = scope.get("query_string")
    return f"{location}?{quote(query, safe=_IN_QUERY)}" if query else location


def _unsplit(scheme: Any, netloc: Any, path: Any, query: Any, fragment: Any) -> str:
    """`SplitResult.geturl()`, several times as fast for a URL that has an origin."""
    if not scheme or not netloc:
        # How much of `//` is written then differs between versions of Python.
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
