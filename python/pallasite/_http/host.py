"""The Host header field. Source: RFC 9110 section 7.2, RFC 3986 section 3.2.2."""

from __future__ import annotations

from dataclasses import dataclass

from pallasite._core import is_valid_port, parse_host

__all__ = ["ParsedHost", "parse_host_header"]


@dataclass(frozen=True, slots=True)
class ParsedHost:
    """A Host header's two parts, as text: `host` keeps the brackets of an IP literal, `port` is None when absent."""

    host: str
    port: str | None

    @property
    def authority(self) -> str:
        """`host` or `host:port`, as it stood in the header."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def is_valid_port(self) -> bool:
        """True without a port or with one up to 65535; leading zeros do not count."""
        return self.port is None or is_valid_port(self.port)


def parse_host_header(host_header: str | None) -> ParsedHost | None:
    """A Host header in its parts; None when absent or malformed. Source: RFC 3986 section 3.2.2.

    Refuses whatever could move the boundary between authority and path of a URL built from it.
    """
    parts = None if host_header is None else parse_host(host_header)
    return None if parts is None else ParsedHost(*parts)
