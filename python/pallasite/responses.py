"""Responses: ASGI applications that send one head and one body, a stream or a file.

`json` and `anyio` are imported for test suites that replace `responses.json.dumps` and `responses.anyio.open_file`.
"""

from __future__ import annotations

import json  # noqa: F401  # see above

import anyio  # noqa: F401  # see above

from pallasite._compat.public import publish
from pallasite._responses.base import (
    AsyncContentStream,
    Content,
    ContentStream,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
    SyncContentStream,
)
from pallasite._responses.file import FileResponse, MalformedRangeHeader, RangeNotSatisfiable
from pallasite.datastructures import URL  # noqa: F401  # URL is imported from here by users

__all__ = [
    "AsyncContentStream",
    "Content",
    "ContentStream",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "MalformedRangeHeader",
    "PlainTextResponse",
    "RangeNotSatisfiable",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
    "SyncContentStream",
]

publish(globals())
