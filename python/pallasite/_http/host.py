"""The Host header field. Source: RFC 9110 section 7.2, RFC 3986 section 3.2.2."""

from __future__ import annotations

from dataclasses import dataclass

from pallasite._core import is_valid_port, parse_host

__all__ = ["ParsedHost", "parse_host_header"]


@dataclass(frozen=True, slots=True)
class ParsedHost:
    """The two parts of a Host header, as text.

    Attributes:
        host: the host, with brackets if it is an IP literal.
        port: the port as written, or None if absent.
    """

    host: str
    port: str | None

    @property
    def authority(self) -> str:
        """`host` or `host:port`, as written in the header."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def is_valid_port(self) -> bool:
        """True if there is no port or it is at most 65535. Leading zeros are ignored."""
        return self.port is None or is_valid_port(self.port)


def parse_host_header(host_header: str | None) -> ParsedHost | None:
    """Return the parts of a Host header, or None if it is absent or malformed. Source: RFC 3986 section 3.2.2.

    Anything that could move the boundary between authority and path of a URL built from it counts as malformed.

    Deviation: so does a name that the DNS cannot have, with an empty label or one of more than 63 bytes, or with more
    than 253 bytes. No request for it can arrive honestly, and an empty label would match a wildcard.
    """
    parts = None if host_header is None else parse_host(host_header)
    return None if parts is None else ParsedHost(*parts)
