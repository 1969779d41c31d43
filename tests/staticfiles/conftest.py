"""A directory of files that the system has cached, only on disk, or in an unknown state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pallasite._files import lookup
from pallasite._files.lookup import OpenFile
from pallasite.staticfiles import StaticFiles
from tests.staticfiles.files import _fill, _nothing_in_memory


@pytest.fixture(params=["in memory", "bytes on disk", "on disk", "on disk, by path"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The ways to a file: a test that takes this runs on each."""
    kind: str = request.param
    if kind == "bytes on disk":
        monkeypatch.setattr(OpenFile, "read_cached", lambda self, offset, size: None)
    elif kind != "in memory":
        _nothing_in_memory(monkeypatch)
    if kind == "on disk, by path":
        monkeypatch.setattr(lookup, "_WALKS", False)
    return kind


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    _fill(root)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (tmp_path / "root-too").mkdir()
    (tmp_path / "root-too" / "secret.txt").write_bytes(b"secret")
    (root / "inside.css").symlink_to("small.css")
    (root / "absolute.css").symlink_to(root / "small.css")
    (root / "outside.txt").symlink_to("../secret.txt")
    (root / "outside-dir").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "there").symlink_to("back")
    (root / "back").symlink_to("there")
    (root / "dangling").symlink_to("nowhere")
    return root


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    run_sync = anyio.to_thread.run_sync

    async def counted(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        made.append(getattr(function, "__name__", "?"))
        return await run_sync(function, *args, **options)

    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)
    return made


@pytest.fixture
def files(root: Path) -> StaticFiles:
    return StaticFiles(directory=root)
