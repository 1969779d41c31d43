"""Every key that Pallasite adds to a connection's scope, with the module that writes it.

Keys that start with `starlette.` are Starlette's own, which other packages read. The Rust code has its own copy of the
text of `ORIGIN`, `ALLOWED_METHODS` and `REQUEST_ID`.
"""

from __future__ import annotations

__all__ = [
    "ALLOWED_METHODS",
    "BODY_LIMIT_RESPONDER",
    "BOUNDS",
    "EXEMPT",
    "HANDLERS",
    "MAX_BODY_SIZE",
    "OPENTELEMETRY",
    "ORIGIN",
    "PEER",
    "READS_BODY",
    "REQUEST_ID",
    "TRACE_ID",
]

#: `_core.RouteTable`: the methods of all routes that match the path, if none of them takes the request's method.
ALLOWED_METHODS = "pallasite.allowed_methods"
#: `requests`: True from the first read of a request's body until all of it has been read.
READS_BODY = "pallasite.reads_body"
#: `middleware._fixed_origin`: the (scheme, authority) that absolute URLs start with, instead of the Host header.
ORIGIN = "pallasite.origin"
#: `middleware.observability`: the id of the request, as text. None if the request is observed without one.
REQUEST_ID = "pallasite.request_id"
#: `middleware.opentelemetry`: the id of the trace as a number, on requests with a `REQUEST_ID`.
TRACE_ID = "pallasite.trace_id"
#: `middleware.forwarded`: the address of the peer that opened the connection, as the server gave it in `client`.
PEER = "pallasite.peer"
#: `_runtime.bounded`: the time limit of the request, which an inner application may change.
BOUNDS = "pallasite.bounds"
#: `health`: present on requests that logs, metrics, rate limits and time limits leave alone.
EXEMPT = "pallasite.exempt"
#: `middleware.exceptions`: the exception handlers, by class and by status code.
HANDLERS = "starlette.exception_handlers"
#: `middleware.body_limit`: the limit on the request body in bytes, or None.
MAX_BODY_SIZE = "starlette.max_body_size"
#: `middleware.body_limit`: the outermost responder, whose limit an inner one may change.
BODY_LIMIT_RESPONDER = "starlette._body_limit_responder"
#: `middleware.opentelemetry`: present if the request is already traced.
OPENTELEMETRY = "starlette.opentelemetry"
