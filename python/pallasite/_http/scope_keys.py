"""Every key that Pallasite adds to a connection's scope, with the module that writes it.

The names in `starlette.` are Starlette's own, which other packages read. The Rust half reads `ORIGIN` by its text.
"""

from __future__ import annotations

__all__ = ["BODY_LIMIT_RESPONDER", "HANDLERS", "MAX_BODY_SIZE", "OPENTELEMETRY", "ORIGIN", "READS_BODY"]

#: `requests`: True from the moment a request starts to read its body until it has read all of it.
READS_BODY = "pallasite.reads_body"
#: `middleware._fixed_origin`: the (scheme, authority) that absolute URLs start with, in place of the Host header.
ORIGIN = "pallasite.origin"
#: `middleware.exceptions`: the exception handlers, by class and by status code.
HANDLERS = "starlette.exception_handlers"
#: `middleware.body_limit`: the limit on the request body in bytes, or None.
MAX_BODY_SIZE = "starlette.max_body_size"
#: `middleware.body_limit`: the outermost responder, whose limit an inner one may change.
BODY_LIMIT_RESPONDER = "starlette._body_limit_responder"
#: `middleware.opentelemetry`: present if the request is traced already.
OPENTELEMETRY = "starlette.opentelemetry"
