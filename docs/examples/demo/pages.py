"""HTML pages: one function that renders a template, and one that reads a posted form."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from jinja2 import StrictUndefined
from markupsafe import Markup, escape

from pallasite.requests import HTTPConnection, Request
from pallasite.responses import Response
from pallasite.templating import Jinja2Templates

from .settings import HERE

MOST_FIELDS = 20


def visitor_name(connection: HTTPConnection) -> str:
    """Who is signed in, "" if nobody is. Works on error pages too, which may be made before there is a session."""
    name = connection.scope.get("session", {}).get("name", "")
    return name if isinstance(name, str) else ""


templates = Jinja2Templates(HERE / "templates", context_processors=[lambda request: {"visitor": visitor_name(request)}])
templates.env.undefined = StrictUndefined


def page(request: Request, template: str, *, status_code: int = 200, **context: Any) -> Response:
    """The rendered template; `request`, `url_for` and `visitor` can be used in it."""
    return templates.TemplateResponse(request, template, context, status_code)


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a posted form; 400 if it has files or too much of anything, 413 above the body limit."""
    async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def moment(seconds: float) -> str:
    """Seconds since 1970 as a day and a time that people read; times are UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y, %H:%M")


def iso_moment(seconds: float) -> str:
    """Seconds since 1970 the way `<time datetime=...>` wants it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def mark(text: str, search: str) -> Markup:
    """`text` as HTML, each occurrence of `search` marked."""
    if not search:
        return escape(text)
    pieces = re.split(f"({re.escape(search)})", text, flags=re.IGNORECASE)
    # Splitting on one group gives text and occurrences in turn: every second piece is an occurrence.
    return Markup("").join(Markup("<mark>{}</mark>").format(p) if i % 2 else escape(p) for i, p in enumerate(pieces))


def file_size(size: int) -> str:
    """Bytes as people read them: `999 B`, `1.5 MB`."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


templates.env.filters |= {"moment": moment, "iso_moment": iso_moment, "mark": mark, "file_size": file_size}
