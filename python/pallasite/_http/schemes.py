"""The schemes of HTTP and WebSocket URLs. Sources: RFC 9110 section 4.2, RFC 6455 section 3."""

from __future__ import annotations

__all__ = ["DEFAULT_PORTS", "DEFAULT_SCHEMES", "SECURE_SCHEMES", "WEBSOCKET_SCHEMES"]

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
#: By the type of an ASGI scope, for servers that name no scheme.
DEFAULT_SCHEMES = {"http": "http", "websocket": "ws"}
#: The scheme over TLS of each one in the clear.
SECURE_SCHEMES = {"http": "https", "ws": "wss"}
#: The scheme of the WebSockets of each HTTP origin.
WEBSOCKET_SCHEMES = {"http": "ws", "https": "wss"}
