"""The schemes of HTTP and WebSocket URLs. Sources: RFC 9110 section 4.2, RFC 6455 section 3."""

from __future__ import annotations

__all__ = ["DEFAULT_PORTS", "DEFAULT_SCHEMES", "SECURE_SCHEMES", "WEBSOCKET_SCHEMES"]

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
#: The default scheme by type of ASGI scope, for servers that do not set one.
DEFAULT_SCHEMES = {"http": "http", "websocket": "ws"}
#: The TLS scheme for each scheme without TLS.
SECURE_SCHEMES = {"http": "https", "ws": "wss"}
#: The WebSocket scheme for each HTTP scheme.
WEBSOCKET_SCHEMES = {"http": "ws", "https": "wss"}
