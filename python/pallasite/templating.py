"""HTML responses from Jinja2 templates, with the request and `url_for` in the context."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable, iscoroutine
from os import PathLike
from typing import TYPE_CHECKING, Any, overload

from pallasite.datastructures import URL
from pallasite.requests import Request
from pallasite.responses import HTMLResponse
from pallasite.types import Receive, Scope, Send

if TYPE_CHECKING:
    from pallasite.background import BackgroundTask

try:
    import jinja2
    from jinja2 import pass_context
except ImportError as error:
    raise ImportError("jinja2 must be installed to use Jinja2Templates") from error

__all__ = [
    "ESCAPED_SUFFIXES",
    "TEMPLATE_SUFFIXES",
    "TEXT_SUFFIXES",
    "ContextProcessor",
    "Directory",
    "Jinja2Templates",
    "is_escaped",
]

ContextProcessor = Callable[[Request], dict[str, Any]]
Directory = str | PathLike[str]

# Templates with these suffixes are escaped, and so are templates made from a string.
ESCAPED_SUFFIXES = frozenset(
    [
        "html",
        "htm",
        "shtml",
        "xhtml",
        "xht",
        "xml",
        "xsl",
        "xslt",
        "rss",
        "atom",
        "rdf",
        "svg",
        "mathml",
        "mml",
        "mjml",
        "opml",
        "kml",
        "gpx",
    ]
)
# These only mark a template. The suffix before them is that of its output; without one, the output is HTML.
TEMPLATE_SUFFIXES = frozenset(["jinja", "jinja2", "j2", "tmpl", "tpl", "template"])
# Outputs that are not escaped. An unknown suffix before a template's suffix ("page.de.j2") is not one of them.
TEXT_SUFFIXES = frozenset(
    [
        "txt",
        "text",
        "md",
        "rst",
        "csv",
        "tsv",
        "json",
        "js",
        "mjs",
        "css",
        "py",
        "sql",
        "yaml",
        "yml",
        "toml",
        "ini",
        "cfg",
        "conf",
        "env",
        "sh",
        "eml",
        "ics",
        "tex",
        "log",
    ]
)


def is_escaped(name: str | None) -> bool:
    """Return True if the template `name` escapes values for HTML. None is a template made from a string."""
    if name is None:
        return True
    _, *suffixes = name.lower().rpartition("/")[2].split(".")
    is_template = False
    while suffixes and suffixes[-1] in TEMPLATE_SUFFIXES:
        is_template = True
        suffixes.pop()
    if is_template:
        return not suffixes or suffixes[-1] not in TEXT_SUFFIXES
    return bool(suffixes) and suffixes[-1] in ESCAPED_SUFFIXES


class _TemplateResponse(HTMLResponse):
    """A rendered template. `template` and `context` are kept for tests."""

    def __init__(
        self,
        template: Any,
        context: dict[str, Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.template = template
        self.context = context
        super().__init__(template.render(context), status_code, headers, media_type, background)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "http.response.debug" in scope.get("extensions", {}):
            await send({"type": "http.response.debug", "info": {"template": self.template, "context": self.context}})
        await super().__call__(scope, receive, send)


@pass_context
def _url_for(context: dict[str, Any], name: str, /, **path_params: Any) -> URL:
    request: Request = context["request"]
    return request.url_for(name, **path_params)


class Jinja2Templates:
    """A renderer for the templates of a directory or of a Jinja2 environment.

    In templates ``url_for(name, **params)`` returns a route's URL.

    Args:
        directory: one or several directories, searched in order. Every HTML-like template is escaped (`is_escaped`).
        context_processors: called with the request for each response. Their results are added to the context.
        env: a Jinja2 environment, instead of `directory`.
    """

    @overload
    def __init__(
        self,
        directory: Directory | Sequence[Directory],
        *,
        context_processors: list[ContextProcessor] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self, *, env: jinja2.Environment, context_processors: list[ContextProcessor] | None = None
    ) -> None: ...

    def __init__(
        self,
        directory: Directory | Sequence[Directory] | None = None,
        *,
        context_processors: list[ContextProcessor] | None = None,
        env: jinja2.Environment | None = None,
    ) -> None:
        assert bool(directory) ^ bool(env), "either 'directory' or 'env' arguments must be passed"
        self.context_processors = context_processors or []
        if env is None:
            assert directory is not None
            env = jinja2.Environment(
                loader=jinja2.FileSystemLoader(directory),
                autoescape=is_escaped,
            )
        self.env = env
        env.globals.setdefault("url_for", _url_for)

    def get_template(self, name: str) -> jinja2.Template:
        """Return the template `name`.

        Raises:
            jinja2.TemplateNotFound: there is no template of this name.
        """
        return self.env.get_template(name)

    def TemplateResponse(
        self,
        request: Request,
        name: str,
        context: dict[str, Any] | None = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> _TemplateResponse:
        """Return an HTML response with the template `name` rendered in `context`, to which ``request`` is added.

        The older form ``TemplateResponse(name, {"request": request, ...})`` is accepted as well.
        """
        if isinstance(request, str):  # type: ignore[unreachable]  # the older form
            request, name, context = _from_older_form(request, name, context)  # type: ignore[unreachable]
        # Deviation: the caller's dictionary is not changed, since it may be shared between requests.
        context = {} if context is None else dict(context)
        context.setdefault("request", request)
        for processor in self.context_processors:
            context.update(_result(processor, request))
        return _TemplateResponse(self.get_template(name), context, status_code, headers, media_type, background)


def _result(processor: ContextProcessor, request: Request) -> dict[str, Any]:
    """Return what a context processor adds.

    Raises:
        TypeError: it is a coroutine function, or returns another awaitable. Templates are rendered without waiting.
    """
    result: Any = processor(request)
    if isawaitable(result):
        if iscoroutine(result):
            result.close()  # it is never awaited, which would be a warning without its cause
        raise TypeError(f"the context processor {processor!r} returned an awaitable: context processors are not async")
    return result  # type: ignore[no-any-return]


def _from_older_form(name: str, context: Any, rest: Any) -> tuple[Request, str, dict[str, Any]]:
    """Return (request, name, context) of a call whose first argument is the template's name."""
    if not isinstance(context, dict) or "request" not in context:
        raise ValueError('context must include a "request" key')
    if rest is not None:
        raise TypeError("TemplateResponse(name, context): pass status_code and later arguments by keyword")
    return context["request"], name, context
