"""Static files: the methods that subclasses replace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pallasite import staticfiles
from pallasite._files import lookup
from pallasite.datastructures import Headers
from pallasite.exceptions import HTTPException
from pallasite.responses import FileResponse, RedirectResponse, Response
from pallasite.staticfiles import StaticFiles
from pallasite.types import Scope
from tests.staticfiles.files import BIG, SMALL, _answer, _Hooked, _nothing_in_memory, _scope, _unknown

pytestmark = pytest.mark.anyio


# --- what users replace


async def test_overridden_methods_are_used(root: Path, storage: str) -> None:
    calls: list[str] = []

    class Files(StaticFiles):
        def get_path(self, scope: Scope) -> str:
            calls.append("get_path")
            return super().get_path(scope)

        async def get_response(self, path: str, scope: Scope) -> Response:
            calls.append("get_response")
            response = await super().get_response(path, scope)
            response.headers["cache-control"] = "no-cache"
            return response

        def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
            calls.append(f"lookup_path {path}")
            return super().lookup_path(path)

        def file_response(self, *args: Any, **options: Any) -> Response:
            calls.append("file_response")
            return super().file_response(*args, **options)

        def is_not_modified(self, response_headers: Headers, request_headers: Headers) -> bool:
            calls.append("is_not_modified")
            return super().is_not_modified(response_headers, request_headers)

    app = Files(directory=root, html=True)
    answer = await _answer(app, _scope("/small.css"))
    assert (answer.body, answer.header("cache-control")) == (SMALL, "no-cache")
    assert calls == ["get_path", "get_response", "lookup_path small.css", "file_response", "is_not_modified"]
    calls.clear()
    assert (await _answer(app, _scope("/dir/"))).body == b"<h1>index</h1>"
    assert "lookup_path dir/index.html" in calls
    assert (await _answer(app, _scope("/dir"))).status == 307
    missing = await _answer(app, _scope("/missing"))
    assert (missing.status, missing.body) == (404, b"<h1>not here</h1>")
    assert (await _answer(app, _scope("/small.css", {"if-none-match": "*"}))).status == 304


async def test_html_without_a_page_for_missing_files_is_404(root: Path, storage: str) -> None:
    (root / "404.html").unlink()
    app = StaticFiles(directory=root, html=True)
    for path in ("/missing", "/bare", "/bare/"):
        answer = await _answer(app, _scope(path))
        assert (answer.status, answer.body) == (404, b"")


@pytest.mark.parametrize("name", ["lookup_path", "file_response", "is_not_modified"])
async def test_method_replaced_on_class_or_instance_is_used(
    root: Path, storage: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any) -> Any:
        raise TimeoutError

    app = StaticFiles(directory=root)
    with monkeypatch.context() as patch:
        patch.setattr(StaticFiles, name, fails)
        with pytest.raises(TimeoutError):
            await _answer(app, _scope("/small.css"))
    assert (await _answer(app, _scope("/small.css"))).status == 200
    monkeypatch.setattr(app, name, fails)
    with pytest.raises(TimeoutError):
        await _answer(app, _scope("/small.css"))


@pytest.mark.parametrize(("error", "status"), [(PermissionError(), 401), (ValueError(), 404), (OSError(36, ""), 404)])
async def test_error_of_a_lookup_has_its_status(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fails(*args: Any) -> Any:
        raise error

    monkeypatch.setattr(StaticFiles, "lookup_path", fails)
    with pytest.raises(HTTPException) as caught:
        await StaticFiles(directory=root).get_response("small.css", _scope("/small.css"))
    assert caught.value.status_code == status


@pytest.mark.parametrize("kind", [StaticFiles, _Hooked])
async def test_file_that_may_not_be_read_is_401(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: type[StaticFiles]
) -> None:
    # For root everything is readable, so that a mode would not do.
    opens = os.open

    def refuse(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if str(path).endswith("small.css"):
            raise PermissionError(13, "no")
        return opens(path, flags, *args, **options)

    _nothing_in_memory(monkeypatch)
    monkeypatch.setattr(os, "open", refuse)
    assert (await _answer(kind(directory=root), _scope("/small.css"))).status == 401


async def test_other_errors_of_the_system_are_not_hidden(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise OSError(5, "Input/output error")

    _nothing_in_memory(monkeypatch)
    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(OSError, match="Input/output"):
        await _answer(StaticFiles(directory=root), _scope("/small.css"))


@pytest.mark.parametrize("kind", [StaticFiles, _Hooked])
async def test_error_of_the_system_when_opening_is_not_hidden(
    root: Path, monkeypatch: pytest.MonkeyPatch, kind: type[StaticFiles]
) -> None:
    _nothing_in_memory(monkeypatch)
    opens = os.open

    def broken(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if str(path).endswith("small.css"):
            raise OSError(5, "Input/output error")
        return opens(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", broken)
    with pytest.raises(OSError, match="Input/output"):
        await _answer(kind(directory=root), _scope("/small.css"))


async def test_system_without_positioned_reads_returns_the_same(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staticfiles, "find_cached", _unknown)
    monkeypatch.setattr(lookup, "_NOWAIT", None)
    monkeypatch.delattr(os, "pread", raising=False)
    app = StaticFiles(directory=root)
    assert (await _answer(app, _scope("/small.css"))).body == SMALL
    assert (await _answer(app, _scope("/big.bin"))).body == BIG
    part = await _answer(app, _scope("/big.bin", {"range": "bytes=1000000-2000000"}))
    assert part.body == BIG[1_000_000:2_000_001]


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="nothing to replace")
async def test_file_system_that_cannot_tell_what_is_in_memory_takes_a_trip(
    root: Path, trips: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*args: Any) -> int:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "preadv", unsupported)
    app = StaticFiles(directory=root)
    app.config_checked = True
    assert (await _answer(app, _scope("/small.css"))).body == SMALL
    assert len(trips) == 1


def test_lookup_path_returns_path_and_status(root: Path) -> None:
    app = StaticFiles(directory=root)
    path, found = app.lookup_path("dir/page.html")
    assert path == os.path.realpath(root / "dir" / "page.html")
    assert found is not None
    assert found.st_size == len(b"<h1>page</h1>")
    path, found = app.lookup_path("dir")
    assert found is not None
    assert path == os.path.realpath(root / "dir")
    assert app.lookup_path("inside.css")[0] == os.path.realpath(root / "small.css")
    for missing in ("missing", "../secret.txt", "/etc/passwd", "\\server\\share", "outside.txt", "loop", "a\0"):
        assert app.lookup_path(missing) == ("", None)


async def test_file_response_may_have_another_status(root: Path, storage: str) -> None:
    app = StaticFiles(directory=root)
    path, found = app.lookup_path("dir/page.html")
    assert found is not None
    response = app.file_response(path, found, _scope("/"), status_code=404)
    assert isinstance(response, FileResponse)
    answer = await _answer(response, _scope("/"))
    assert (answer.status, answer.body) == (404, b"<h1>page</h1>")


async def test_response_may_get_a_background_task(root: Path, storage: str) -> None:
    done: list[int] = []

    async def note() -> None:
        done.append(1)

    response = await StaticFiles(directory=root).get_response("small.css", _scope("/small.css"))
    response.background = note  # type: ignore[assignment]
    assert (await _answer(response, _scope("/small.css"))).body == SMALL
    assert done == [1]


def test_redirect_is_a_redirect_response(root: Path) -> None:
    app = StaticFiles(directory=root, html=True)
    assert isinstance(anyio.run(app.get_response, "dir", _scope("/dir")), RedirectResponse)
