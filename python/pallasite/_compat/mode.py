"""The one table of what Pallasite does differently in compatibility mode.

Read `mode.current` at each use, because `install_as_starlette` replaces it. In most rows Pallasite is the stricter one,
and Starlette's or FastAPI's test suite requires the other behaviour.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PALLASITE", "STARLETTE", "Mode"]


class Mode(NamedTuple):
    """How Pallasite behaves under one of its two names."""

    #: The package that warnings name as their module. None leaves it to the frame that caused the warning.
    warning_package: str | None
    #: Insecure settings cause a `SecurityWarning`. Test suites turn warnings into errors.
    gives_security_warnings: bool
    #: A session cookie with ``SameSite=None`` and without ``Secure`` raises ValueError.
    checks_cross_site_cookies: bool
    #: ``debug="false"`` raises TypeError.
    refuses_text_as_debug: bool
    #: A `WebSocketDisconnect` that the application does not catch reaches the server.
    raises_websocket_disconnect: bool
    #: The lifespans of mounted applications run by default; the application's `mounted_lifespans` overrides this.
    runs_mounted_lifespans: bool
    #: A redirect to a directory's slash is an absolute URL.
    names_host_in_redirects: bool
    #: A WebSocket is rejected with an HTTP response even if the server does not offer that extension.
    sends_denial_unasked: bool
    #: An exception with a handler is replaced by a RuntimeError if its response comes too late.
    masks_late_exceptions: bool
    #: A WSGI environ has a number as its port, stdout as `wsgi.errors`, and the root path unchanged.
    builds_loose_environ: bool
    #: A body that a middleware has read but not kept raises RuntimeError for the next reader, instead of being empty.
    refuses_consumed_bodies: bool
    #: A `FileResponse` whose client has left raises the OSError of the server's `send`.
    raises_errors_of_send: bool
    #: A close code that a close frame must not have (RFC 6455 section 7.4) raises ValueError.
    checks_close_codes: bool
    #: A Range header that is invalid or has an unknown unit is answered with 400, instead of being ignored.
    refuses_malformed_ranges: bool
    #: A route whose endpoint cannot be called or takes no argument is refused when it is made.
    checks_endpoints: bool


PALLASITE = Mode(
    warning_package=None,
    gives_security_warnings=True,
    checks_cross_site_cookies=True,
    refuses_text_as_debug=True,
    raises_websocket_disconnect=False,
    runs_mounted_lifespans=True,
    names_host_in_redirects=False,
    sends_denial_unasked=False,
    masks_late_exceptions=False,
    builds_loose_environ=False,
    refuses_consumed_bodies=True,
    raises_errors_of_send=False,
    checks_close_codes=True,
    refuses_malformed_ranges=False,
    checks_endpoints=True,
)
STARLETTE = Mode(
    warning_package="starlette",
    gives_security_warnings=False,
    checks_cross_site_cookies=False,
    refuses_text_as_debug=False,
    raises_websocket_disconnect=True,
    runs_mounted_lifespans=False,
    names_host_in_redirects=True,
    sends_denial_unasked=True,
    masks_late_exceptions=True,
    builds_loose_environ=True,
    refuses_consumed_bodies=False,
    raises_errors_of_send=True,
    checks_close_codes=False,
    refuses_malformed_ranges=True,
    checks_endpoints=False,
)

current = PALLASITE
# Whether FastAPI's own routes are compiled as by `pallasite.fastapi.compile_routes`.
compiles_fastapi = False
