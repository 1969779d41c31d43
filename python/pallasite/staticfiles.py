"""Static files over HTTP: conditional requests, ranges, and directories with an index page.

A file in the system's page cache is served on the event loop, any other in one trip to a worker thread. Starlette makes
five trips, 140 us each. What is found here is sent by `_responses.static_file`.
"""

from __future__ import annotations

import errno
import importlib.util
import mimetypes
import os
import stat
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial

from pallasite._compat import mode
from pallasite._compat.stock import original
from pallasite._files.lookup import Found, find, find_cached
from pallasite._files.windows_names import means_no_file
from pallasite._http.conditional import (
    entity_tag,
    fails_precondition,
    is_not_modified,
    last_modified,
)
from pallasite._http.url import local_url
from pallasite._responses.static_file import StaticFileResponse
from pallasite._runtime.worker_threads import run_sync
from pallasite._utils import get_route_path
from pallasite.datastructures import URL, Headers
from pallasite.exceptions import HTTPException
from pallasite.responses import PlainTextResponse, RedirectResponse, Response
from pallasite.types import Receive, Scope, Send
from pallasite.websockets import WebSocketClose

__all__ = ["NotModifiedResponse", "PathLike", "StaticFiles"]

PathLike = str | os.PathLike[str]

# No system opens longer names, and `os.path.realpath` takes quadratic time.
_MAX_PATH_CHARACTERS = 4096

_IS_WINDOWS = os.name == "nt"

_Find = Callable[[PathLike, str, bool], Found | None]


class NotModifiedResponse(Response):
    """A 304 response, with those of `headers` that a 304 carries. Source: RFC 9110 section 15.4.5."""

    NOT_MODIFIED_HEADERS = ("cache-control", "content-location", "date", "etag", "expires", "vary")

    def __init__(self, headers: Headers) -> None:
        kept = {name: headers[name] for name in headers if name in self.NOT_MODIFIED_HEADERS}
        super().__init__(status_code=304, headers=kept)


class StaticFiles:
    """An ASGI application that serves the files of one or more directories. The first directory with the file wins.

    The directory is resolved at every request, so that it may be a symbolic link that is switched at any time.

    Args:
        directory: the directory to serve.
        packages: Python packages whose `statics` directory is also served, or (package, directory) pairs.
        html: serve `index.html` for a directory and `404.html` for a missing file.
        check_dir: raise immediately if the directory does not exist.
        follow_symlink: allow symbolic links that lead out of the directory.
        dot_files: if False, names that start with a dot, and everything below them, are not found. Only
            ``.well-known`` at the top is (RFC 8615).

    Raises:
        RuntimeError: the directory does not exist. Without `check_dir`, raised from the first request on.
        AssertionError: a package or its directory does not exist.

    Deviation: a path that leaves the directory and re-enters it is not found, because it would reveal the directory's
    name. A file's path with a slash behind it is not found either: it would be a second URL of the file, from which
    relative links lead elsewhere. If-Match and If-Unmodified-Since are evaluated (RFC 9110 section 13.2.2).
    `http.response.pathsend` is not used: the server might find another file under the path. The redirect to a
    directory's slash has no host, which the client might have forged; in compatibility mode it has one, because
    FastAPI's tests require it.
    """

    # A class attribute too, for subclasses that do not call `__init__`.
    dot_files = True

    def __init__(
        self,
        *,
        directory: PathLike | None = None,
        packages: list[str | tuple[str, str]] | None = None,
        html: bool = False,
        check_dir: bool = True,
        follow_symlink: bool = False,
        dot_files: bool = True,
    ) -> None:
        if check_dir and directory is not None and not os.path.isdir(directory):
            problem = "is not a directory" if os.path.exists(directory) else "does not exist"
            raise RuntimeError(f"Directory '{directory}' {problem}")
        self.directory = directory
        self.packages = packages
        self.html = html
        self.follow_symlink = follow_symlink
        self.dot_files = dot_files
        self.config_checked = False
        self.all_directories = self.get_directories(directory, packages)
        if not mimetypes.inited:
            # Reads files: do it now rather than at the first request.
            mimetypes.init()

    def get_directories(
        self, directory: PathLike | None = None, packages: list[str | tuple[str, str]] | None = None
    ) -> list[PathLike]:
        """Return the directories to search, in order: `directory`, then those of the packages."""
        found: list[PathLike] = [] if directory is None else [directory]
        found.extend(
            _package_directory(*((entry, "statics") if isinstance(entry, str) else entry)) for entry in packages or ()
        )
        return found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        assert scope["type"] == "http"
        if not self.config_checked:
            await self.check_config()
            self.config_checked = True
        response = await self.get_response(self.get_path(scope), scope)
        await response(scope, receive, send)

    def get_path(self, scope: Scope) -> str:
        """Return the requested path, relative and in the system's notation. `..` may occur only at its start."""
        return os.path.normpath(get_route_path(scope).lstrip("/"))

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the response to a request for `path`, a relative path.

        Raises:
            HTTPException: 404 if there is no such file, 405 for methods other than GET and HEAD, 401 if the file must
                not be read.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        if self._has_hooks():
            return await self._respond_with_hooks(path, scope)
        try:
            with suppress(BlockingIOError):
                return self._respond(path, scope, find_cached)
            return await run_sync(self._respond, path, scope, find)
        except PermissionError as error:
            raise HTTPException(401) from error

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the full path and the stat result of a relative path, or `("", None)`. Blocks on the disk."""
        found = self._search(path, partial(find, needs_bytes=False))
        return ("", None) if found is None else (found.path, found.stat)

    def file_response(
        self, full_path: PathLike, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return the file, 304 if the client has it, or 412 if the client asks for another version.

        It is sent only if it still matches `stat_result`.
        """
        response = StaticFileResponse(full_path, stat_result, status_code)
        etag, modified = response.headers["etag"], response.headers["last-modified"]
        if status_code == 200 and fails_precondition(scope["headers"], etag, modified):
            return _precondition_failed()
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    async def check_config(self) -> None:
        """Raise RuntimeError if the directory does not exist or is not a directory. Called at the first request."""
        directory = self.directory
        if directory is None:
            return
        try:
            found = await run_sync(os.stat, directory)
        except FileNotFoundError as error:
            raise RuntimeError(f"StaticFiles directory '{directory}' does not exist.") from error
        if not stat.S_ISDIR(found.st_mode):
            raise RuntimeError(f"StaticFiles path '{directory}' is not a directory.")

    def is_not_modified(self, response_headers: Headers, request_headers: Headers) -> bool:
        """Return True if the client has the current version, according to the request's conditions.

        If-None-Match takes precedence. Source: RFC 9110 section 13.2.2.
        """
        etag, modified = response_headers.get("etag", ""), response_headers.get("last-modified", "")
        return is_not_modified(request_headers.raw, etag, modified)

    def _has_hooks(self) -> bool:
        """Return True if one of the public methods is overridden or patched, so that it must be called."""
        cls = type(self)
        # Fast path: copies `StaticFiles.lookup_path`, `StaticFiles.file_response` and `StaticFiles.is_not_modified`;
        # 41 % fewer instructions (bench: static-small).
        return (
            cls.lookup_path is not _STOCK_LOOKUP_PATH
            or cls.file_response is not _STOCK_FILE_RESPONSE
            or cls.is_not_modified is not _STOCK_IS_NOT_MODIFIED
            or not _HOOKS.isdisjoint(self.__dict__)
        )

    def _respond(self, path: str, scope: Scope, find: _Find) -> Response:
        """Return the response. Called with `find_cached` on the event loop, or with `find` in a worker thread.

        Raises:
            BlockingIOError: on the event loop: the answer requires blocking.
        """
        found, status_code = self._search(path, find), 200
        if found is None or not found.is_file or _names_directory(scope):
            steps = self._choose_page(found, path, scope)
            try:
                wanted = next(steps)
                while True:
                    wanted = steps.send(self._search(wanted, find))
            except StopIteration as end:
                found, status_code = end.value
        if found is None:
            return _with_slash(scope)
        etag, modified = entity_tag(found.stat), last_modified(found.stat)
        if status_code == 200:
            if fails_precondition(scope["headers"], etag, modified):
                return _precondition_failed()
            if is_not_modified(scope["headers"], etag, modified):
                return _not_modified(etag)
        response = StaticFileResponse(found.path, found.stat, status_code)
        response.load(found.file, scope, waits=find is not find_cached)
        return response

    async def _respond_with_hooks(self, path: str, scope: Scope) -> Response:
        """Like `_respond`, but calls the public methods, each in the thread where Starlette calls it."""
        found, status_code = await self._look_up_with_hook(path), 200
        if found is None or not found.is_file or _names_directory(scope):
            steps = self._choose_page(found, path, scope)
            try:
                wanted = next(steps)
                while True:
                    wanted = steps.send(await self._look_up_with_hook(wanted))
            except StopIteration as end:
                found, status_code = end.value
        if found is None:
            return _with_slash(scope)
        if status_code == 200:
            return self.file_response(found.path, found.stat, scope)
        return StaticFileResponse(found.path, found.stat, status_code)

    async def _look_up_with_hook(self, path: str) -> Found | None:
        try:
            full_path, stat_result = await run_sync(self.lookup_path, path)
        except PermissionError as error:
            raise HTTPException(401) from error
        except ValueError as error:
            raise HTTPException(404) from error
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise HTTPException(404) from error
            raise
        return None if stat_result is None else Found("", full_path, stat_result)

    def _choose_page(
        self, found: Found | None, path: str, scope: Scope
    ) -> Generator[str, Found | None, tuple[Found | None, int]]:
        """Return a page and its status if `path` is not a file, or (None, 307) to redirect to the path with a slash.

        Yields the paths that the caller must look up.
        """
        if self.html:
            if found is not None and found.is_directory:
                index = yield os.path.join(path, "index.html")
                if index is not None and index.is_file:
                    return (index, 200) if scope["path"].endswith("/") else (None, 307)
            page = yield "404.html"
            if page is not None and page.is_file:
                return page, 404
        raise HTTPException(404)

    def _search(self, path: str, find: _Find) -> Found | None:
        if len(path) > _MAX_PATH_CHARACTERS or path.startswith(("/", "\\")) or "\0" in path:
            return None
        path = os.path.normpath(path)
        if path.startswith("..") and path[2:3] in ("", os.sep):
            return None
        if _IS_WINDOWS and means_no_file(path):
            return None
        if not self.dot_files and _has_dot_name(path):
            return None
        try:
            for directory in self.all_directories:
                found = find(directory, path, self.follow_symlink)
                if found is not None:
                    return found
        except ValueError:
            # Lone surrogates or another drive: such a path cannot name a file.
            return None
        return None


_HOOKS = frozenset({"lookup_path", "file_response", "is_not_modified"})
_STOCK_NOT_MODIFIED_INIT = original(NotModifiedResponse, "__init__")
_STOCK_LOOKUP_PATH = original(StaticFiles, "lookup_path")
_STOCK_FILE_RESPONSE = original(StaticFiles, "file_response")
_STOCK_IS_NOT_MODIFIED = original(StaticFiles, "is_not_modified")


def _package_directory(package: str, name: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise AssertionError(f"Package {package!r} could not be found.")
    directory = os.path.normpath(os.path.join(os.path.dirname(spec.origin), name))
    if not os.path.isdir(directory):
        raise AssertionError(f"Directory {name!r} in package {package!r} could not be found.")
    return directory


def _has_dot_name(path: str) -> bool:
    """Return True if a name in a normalised relative path starts with a dot."""
    first, *others = path.split(os.sep)
    return (first.startswith(".") and first not in (".", ".well-known")) or any(name[:1] == "." for name in others)


def _not_modified(etag: str) -> NotModifiedResponse:
    """Return `NotModifiedResponse` for a file's headers, of which it keeps this one."""
    # Fast path: copies `NotModifiedResponse.__init__`; 4 % fewer instructions (bench: static-not-modified).
    if NotModifiedResponse.__init__ is not _STOCK_NOT_MODIFIED_INIT:
        return NotModifiedResponse(Headers({"etag": etag}))
    response = NotModifiedResponse.__new__(NotModifiedResponse)
    response.status_code = 304
    response.raw_headers = [(b"etag", etag.encode())]
    response.body = b""
    response.background = None
    return response


def _names_directory(scope: Scope) -> bool:
    """Return True if the path ends with a slash or a dot segment, so that it cannot be that of a file."""
    return get_route_path(scope).endswith(("/", "/."))


def _precondition_failed() -> Response:
    return PlainTextResponse("Precondition Failed", 412)


def _with_slash(scope: Scope) -> RedirectResponse:
    if mode.current.names_host_in_redirects:
        url = URL(scope=scope)
        return RedirectResponse(url.replace(path=f"{url.path}/"))
    return RedirectResponse(local_url(scope, scope["path"] + "/"))
