"""The outermost middleware: an unhandled exception becomes a 500 response and propagates to the server.

A client disconnect is not treated as an error: it ends the request without a traceback.
"""

from __future__ import annotations

import html
import inspect
import linecache
import logging
import sys
import time
import traceback
from contextlib import suppress
from itertools import islice
from string import Template
from types import FrameType, TracebackType
from typing import cast

from pallasite._compat import mode
from pallasite._core import Observer
from pallasite._runtime.calls import call_in_threadpool
from pallasite._utils import is_async_callable
from pallasite.concurrency import run_in_threadpool
from pallasite.middleware._debug_values import HIDDEN, MAX_VALUE_CHARS, TooSlow, is_secret, show, time_limit
from pallasite.requests import ClientDisconnect, Request
from pallasite.responses import HTMLResponse, PlainTextResponse, Response
from pallasite.types import ASGIApp, ExceptionHandler, Receive, Scope, Send
from pallasite.websockets import WebSocketDisconnect

__all__ = [
    "CENTER_LINE",
    "FRAME_SECONDS",
    "FRAME_TEMPLATE",
    "JS",
    "LINE",
    "MAX_FRAMES",
    "MAX_LOCALS",
    "MAX_TEXT_CHARS",
    "STYLES",
    "TEMPLATE",
    "TEXT_SECONDS",
    "ServerErrorMiddleware",
]

_logger = logging.getLogger("pallasite.errors")

# The debug page's bounds: it is built per failing request. Those of values are in `_debug_values`.
MAX_FRAMES = 50
MAX_LOCALS = 40
MAX_TEXT_CHARS = 200_000
# Limits for the values of one frame, and for the plain text. A native call in progress cannot be interrupted.
FRAME_SECONDS = 0.1
TEXT_SECONDS = 1.0

STYLES = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --mark: #d9480f; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 70rem; padding: 2rem 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h1 small { color: var(--mark); display: block; font-size: 1rem; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .6rem 0; overflow: hidden; }
summary { background: var(--soft); cursor: pointer; padding: .4rem .8rem; overflow-wrap: anywhere; }
pre { margin: 0; overflow-x: auto; padding: .4rem 0; font: 13px/1.6 ui-monospace, monospace; }
pre span { display: block; padding: 0 .8rem; }
pre span.here { background: color-mix(in srgb, var(--mark) 18%, transparent); font-weight: 600; }
pre i { color: #888; display: inline-block; font-style: normal; min-width: 3.5em; user-select: none; }
table { border-collapse: collapse; font: 13px/1.5 ui-monospace, monospace; width: 100%; }
td { border-top: 1px solid var(--line); padding: .2rem .8rem; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; width: 1%; }
"""

# Pressing "a" opens or closes all frames.
JS = """
document.addEventListener("keydown", (event) => {
  if (event.key !== "a" || event.ctrlKey || event.metaKey) return;
  const frames = [...document.querySelectorAll("details")];
  const open = frames.some((frame) => !frame.open);
  for (const frame of frames) frame.open = open;
});
"""

TEMPLATE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$kind at $place</title>
<style>
$styles</style>
</head>
<body>
<h1><small>500 Server Error</small>$kind: $message</h1>
<p>$request</p>
<h2>Traceback <small>(most recent call first)</small></h2>
$frames
<details><summary>Plain text</summary><pre><span>$plain</span></pre></details>
<script>$js</script>
</body>
</html>
""")

LINE = Template("<span><i>$number</i> $text</span>")
CENTER_LINE = Template('<span class="here"><i>$number</i> $text</span>')

FRAME_TEMPLATE = Template("""<details$open>
<summary><b>$function</b> in $file, line $number</summary>
<pre>$lines</pre>
<table>$locals</table>
</details>
""")


class ServerErrorMiddleware:
    """Respond to an unhandled exception, then raise it again for the server to log.

    With `debug` the response shows the traceback. Otherwise `handler(request, exc)` returns the response, or a plain
    500 is sent.

    With `debug` a response with content that its status does not allow (1xx, 204, 205, 304) is logged as a warning to
    `pallasite.errors`. The content is never sent.

    The debug page is limited in frames, values, text and time. Values whose names suggest a secret are hidden.

    Raises:
        TypeError: `debug` is a string, such as ``"false"`` from the environment.

    Deviation: an unhandled `ClientDisconnect` or `WebSocketDisconnect` ends here and is logged at level DEBUG. If no
    response has started, a 400 is sent, for a client that only stopped sending. In compatibility mode a
    `WebSocketDisconnect` still propagates to the server.
    """

    def __init__(self, app: ASGIApp, handler: ExceptionHandler | None = None, debug: bool = False) -> None:
        if isinstance(debug, str) and mode.current.refuses_text_as_debug:  # type: ignore[unreachable]
            # Probably from the environment: as strings, "false" and "0" are truthy.
            raise TypeError(f"debug must be True or False, got {debug!r}")
        self.app, self.handler, self.debug = app, handler, debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            try:
                await self.app(scope, receive, send)
            except WebSocketDisconnect:
                if mode.current.raises_websocket_disconnect:
                    raise
                _logger.debug("the client of the websocket %s went away", scope["path"])
            return
        observed = Observer(send)
        try:
            await self.app(scope, receive, observed)
        except Exception as exc:
            if not await self.answer(exc, scope, receive, observed):
                raise
        if self.debug and observed.dropped is not None:
            status, size = observed.dropped
            _logger.warning(
                "%s %s: the response with status %d had %d bytes of content, which were not sent. That status has no"
                " content: return Response(status_code=%d).",
                *(scope["method"], scope["path"], status, size, status),
            )

    async def answer(self, exc: Exception, scope: Scope, receive: Receive, send: Observer) -> bool:
        """Create the response for `exc` and send it, unless another response has started.

        Return False if the caller must raise `exc` again, True if it is settled.
        """
        if isinstance(exc, ClientDisconnect):
            _logger.debug("the client of %s %s went away", scope["method"], scope["path"])
            if not send.started:
                with suppress(OSError):
                    await Response(status_code=400)(scope, receive, send)
            return True
        response = await self._response_to(Request(scope), exc)
        if not send.started:
            await response(scope, receive, send)
        return False

    async def _response_to(self, request: Request, exc: Exception) -> Response:
        handler = self.handler
        if self.debug:
            return await run_in_threadpool(self.debug_response, request, exc)
        if handler is None:
            return self.error_response(request, exc)
        if is_async_callable(handler):
            return cast("Response", await handler(request, exc))  # type: ignore[arg-type]
        return cast("Response", await call_in_threadpool(handler, request, exc))

    def format_line(self, index: int, line: str, frame_lineno: int, frame_index: int) -> str:
        """Return a line of source as HTML. `index` counts within the excerpt; the line at `frame_index` failed."""
        template = CENTER_LINE if index == frame_index else LINE
        return template.substitute(number=frame_lineno - frame_index + index, text=html.escape(line.rstrip()))

    def generate_frame_html(self, frame: inspect.FrameInfo, is_collapsed: bool) -> str:
        """Return a frame as HTML: its location, the lines around it and its local variables."""
        excerpt = frame.code_context or []
        lines = [self.format_line(index, line, frame.lineno, frame.index or 0) for index, line in enumerate(excerpt)]
        return FRAME_TEMPLATE.substitute(
            open="" if is_collapsed else " open",
            function=html.escape(frame.function),
            file=html.escape(frame.filename),
            number=frame.lineno,
            lines="".join(lines),
            locals=self._locals_html(frame.frame),
        )

    def _locals_html(self, frame: FrameType) -> str:
        rows, end = [], time.monotonic() + FRAME_SECONDS
        for name, value in islice(frame.f_locals.items(), MAX_LOCALS):
            text = HIDDEN if is_secret(name) else show(value, end - time.monotonic())
            rows.append(f"<tr><td>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>")
        return "".join(rows)

    def generate_html(self, exc: Exception, limit: int = 7) -> str:
        """Return the debug page: the exception and its innermost frames, with `limit` lines of source each."""
        linecache.checkcache()
        frames = inspect.getinnerframes(_last_frames(exc.__traceback__), limit) if exc.__traceback__ else []
        sections = [self.generate_frame_html(frame, is_collapsed=place > 0) for place, frame in enumerate(frames[::-1])]
        where = frames[-1].function if frames else "an unknown place"
        return TEMPLATE.substitute(
            styles=STYLES,
            js=JS,
            kind=html.escape(type(exc).__name__),
            place=html.escape(where),
            message=html.escape(_message_of(exc)),
            request=html.escape(f"Python {sys.version.split()[0]}"),
            frames="".join(sections),
            plain=html.escape(self.generate_plain_text(exc)),
        )

    def generate_plain_text(self, exc: Exception) -> str:
        """Return the traceback as Python prints it. If it is very long, its middle is left out."""
        try:
            with time_limit(TEXT_SECONDS):
                text = "".join(traceback.format_exception(exc, limit=-MAX_FRAMES))
        except TooSlow:  # pragma: no cover - no tracer sees it
            return f"{type(exc).__name__}: the traceback takes too long to be shown\n"
        left_out = len(text) - MAX_TEXT_CHARS
        if left_out <= 0:
            return text
        half = MAX_TEXT_CHARS // 2
        return f"{text[:half]}\n[... {left_out} characters left out ...]\n{text[-half:]}"

    def debug_response(self, request: Request, exc: Exception) -> Response:
        """Return the traceback, as HTML if the client accepts it, otherwise as plain text."""
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(self.generate_html(exc), status_code=500)
        return PlainTextResponse(self.generate_plain_text(exc), status_code=500)

    def error_response(self, request: Request, exc: Exception) -> Response:
        """Return the response that is sent without `debug` and without a handler."""
        return PlainTextResponse("Internal Server Error", status_code=500)


def _last_frames(frames: TracebackType) -> TracebackType:
    """Return the innermost `MAX_FRAMES` frames of a traceback."""
    last = ahead = frames
    for _ in range(MAX_FRAMES - 1):
        if ahead.tb_next is None:
            return last
        ahead = ahead.tb_next
    while ahead.tb_next is not None and last.tb_next is not None:
        last, ahead = last.tb_next, ahead.tb_next
    return last


def _message_of(exc: Exception) -> str:
    try:
        with time_limit(TEXT_SECONDS):
            return str(exc)[: 10 * MAX_VALUE_CHARS]
    except BaseException as error:
        return f"<str() failed: {type(error).__name__}>"
