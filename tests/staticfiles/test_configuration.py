"""Static files: directories and options."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.routing import Mount
from pallasite.staticfiles import StaticFiles
from pallasite.websockets import WebSocketDisconnect
from tests.staticfiles.files import SMALL, _answer, _scope

pytestmark = pytest.mark.anyio


async def test_directories_are_searched_in_order(root: Path, storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = root.parent / "lib" / "a_package_with_files"
    for folder in ("statics", "other"):
        (package / folder).mkdir(parents=True)
        (package / folder / "small.css").write_bytes(b"in the package")
        (package / folder / f"{folder}.txt").write_bytes(folder.encode())
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(package.parent)
    app = StaticFiles(directory=root, packages=[package.name, (package.name, "other")])
    assert app.all_directories == [root, str(package / "statics"), str(package / "other")]
    assert (await _answer(app, _scope("/small.css"))).body == SMALL
    assert (await _answer(app, _scope("/statics.txt"))).body == b"statics"
    assert (await _answer(app, _scope("/other.txt"))).body == b"other"
    only_packages = StaticFiles(packages=[package.name])
    assert (await _answer(only_packages, _scope("/statics.txt"))).body == b"statics"
    assert (await _answer(only_packages, _scope("/other.txt"))).status == 404
    app.all_directories = [package / "other"]
    assert (await _answer(app, _scope("/small.css"))).body == b"in the package"
    for missing in ("no_such_package", (package.name, "nowhere")):
        with pytest.raises(AssertionError, match="could not be found"):
            StaticFiles(packages=[missing])


async def test_missing_directory_is_an_error_at_construction_or_first_request(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="does not exist"):
        StaticFiles(directory=tmp_path / "missing")
    app = StaticFiles(directory=tmp_path / "missing", check_dir=False)
    with pytest.raises(RuntimeError, match="does not exist"):
        await _answer(app, _scope("/"))
    (tmp_path / "file").touch()
    with pytest.raises(RuntimeError, match="is not a directory"):
        await _answer(StaticFiles(directory=tmp_path / "file", check_dir=False), _scope("/"))


async def test_configuration_is_checked_once(root: Path) -> None:
    checks = 0

    class Files(StaticFiles):
        async def check_config(self) -> None:
            nonlocal checks
            checks += 1
            await super().check_config()

    app = Files(directory=root)
    for _ in range(3):
        await _answer(app, _scope("/small.css"))
    assert (checks, app.config_checked) == (1, True)


async def test_application_survives_pickling(root: Path) -> None:
    app = pickle.loads(pickle.dumps(StaticFiles(directory=root)))
    assert (await _answer(app, _scope("/small.css"))).body == SMALL


def test_types_are_read_at_construction(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mimetypes

    read: list[int] = []
    monkeypatch.setattr(mimetypes, "inited", False)
    monkeypatch.setattr(mimetypes, "init", lambda: read.append(1))
    StaticFiles(directory=root)
    assert read == [1]


def test_mounted_files_answer_http_and_refuse_websockets(root: Path, test_client_factory: Callable[..., Any]) -> None:
    app = Pallasite(routes=[Mount("/static", StaticFiles(directory=root), name="static")])
    with test_client_factory(app) as client:
        assert client.get("/static/small.css").content == SMALL
        assert client.get("/static/missing").status_code == 404
        refused = client.post("/static/small.css")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/static/small.css"):
            pass
    assert app.url_path_for("static", path="/small.css") == "/static/small.css"
