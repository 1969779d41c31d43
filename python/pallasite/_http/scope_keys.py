"""Every key that Pallasite adds to a connection's scope, with the module that writes it.

Keys that start with `starlette.` are Starlette's own, which other packages read. The Rust code has its own copy of the
text of `ORIGIN`.
"""

from __future__ import annotations

__all__ = ["BODY_LIMIT_RESPONDER", "HANDLERS", "MAX_BODY_SIZE", "OPENTELEMETRY", "ORIGIN", "READS_BODY"]

#: `requests`: True from the first read of a request's body until all of it has been read.
READS_BODY = "pallasite.reads_body"
#: `middleware._fixed_origin`: the (scheme, authority) that absolute URLs start with, instead of the Host header.
ORIGIN = "pallasite.origin"
#: `middleware.exceptions`: the exception handlers, by class and by status code.
HANDLERS = "starlette.exception_handlers"
#: `middleware.body_limit`: the limit on the request body in bytes, or None.
MAX_BODY_SIZE = "starlette.max_body_size"
#: `middleware.body_limit`: the outermost responder, whose limit an inner one may change.
BODY_LIMIT_RESPONDER = "starlette._body_limit_responder"
#: `middleware.opentelemetry`: present if the request is already traced.
OPENTELEMETRY = "starlette.opentelemetry"
