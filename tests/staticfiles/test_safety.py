"""Static files: the file that is checked is the file that is sent, and no path leaves the directory."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pallasite import staticfiles
from pallasite._files import lookup
from pallasite._files.lookup import OpenFile
from pallasite.responses import FileResponse
from pallasite.staticfiles import StaticFiles
from tests.staticfiles.files import BIG, SMALL, _answer, _Hooked, _nothing_in_memory, _scope, _unknown

pytestmark = pytest.mark.anyio


# --- the file that is checked is the file that is sent


@pytest.mark.parametrize("name", ["small.css", "big.bin"])
async def test_file_replaced_after_the_check_is_not_sent(root: Path, storage: str, name: str) -> None:
    expected = (root / name).read_bytes()
    response = await StaticFiles(directory=root).get_response(name, _scope(f"/{name}"))
    (root / name).unlink()
    (root / name).symlink_to("../secret.txt")
    assert (await _answer(response, _scope(f"/{name}"))).body == expected


async def test_file_replaced_after_the_check_of_a_hook_is_404(root: Path, storage: str) -> None:
    app = _Hooked(directory=root)
    for target in ("../secret.txt", None):
        response = await app.get_response("small.css", _scope("/small.css"))
        (root / "small.css").unlink()
        if target is not None:
            (root / "small.css").symlink_to(target)
        assert (await _answer(response, _scope("/small.css"))).status == 404
        (root / "small.css").unlink(missing_ok=True)
        (root / "small.css").write_bytes(SMALL)


@pytest.mark.parametrize("swapped", ["dir", "dir/page.html"])
async def test_link_put_there_while_looking_is_not_followed(
    root: Path, storage: str, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if storage in ("in memory", "bytes on disk"):
        monkeypatch.setattr(staticfiles, "find_cached", _unknown)
    outside = root.parent / "elsewhere"
    outside.mkdir()
    (outside / "page.html").write_bytes(b"secret")
    resolve = os.path.realpath

    def resolve_then_swap(path: Any, **options: Any) -> str:
        resolved = str(resolve(path, **options))
        if resolved.endswith("page.html") and not (root / swapped).is_symlink():
            (root / swapped).rename(root.parent / "moved")
            (root / swapped).symlink_to(outside if swapped == "dir" else outside / "page.html")
        return resolved

    monkeypatch.setattr(os.path, "realpath", resolve_then_swap)
    assert (await _answer(StaticFiles(directory=root), _scope("/dir/page.html"))).status == 404
    assert (root / swapped).is_symlink()


@pytest.mark.skipif(not lookup._WALKS, reason="this system looks by path")
async def test_link_put_there_between_look_and_opening_is_not_followed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staticfiles, "find_cached", _unknown)
    look = os.stat

    def look_then_swap(path: Any, **options: Any) -> os.stat_result:
        found = look(path, **options)
        if path == "page.html":
            (root / "dir" / "page.html").unlink()
            (root / "dir" / "page.html").symlink_to("../../secret.txt")
        return found

    monkeypatch.setattr(os, "stat", look_then_swap)
    assert (await _answer(StaticFiles(directory=root), _scope("/dir/page.html"))).status == 404
    assert (root / "dir" / "page.html").is_symlink()


async def test_server_is_never_given_the_path(root: Path, storage: str) -> None:
    scope = _scope("/big.bin", extensions={"http.response.pathsend": {}})
    assert (await _answer(StaticFiles(directory=root), scope)).body == BIG


async def test_directory_that_a_link_leads_to_can_be_switched(root: Path, storage: str) -> None:
    second = root.parent / "second"
    second.mkdir()
    (second / "small.css").write_bytes(b"second")
    current = root.parent / "current"
    current.symlink_to(root)
    app = StaticFiles(directory=current)
    assert (await _answer(app, _scope("/small.css"))).body == SMALL
    current.unlink()
    current.symlink_to(second)
    assert (await _answer(app, _scope("/small.css"))).body == b"second"


async def test_file_that_shrinks_while_it_is_sent_breaks_off(root: Path, storage: str) -> None:
    response = await StaticFiles(directory=root).get_response("big.bin", _scope("/big.bin"))
    os.truncate(root / "big.bin", 100)
    if storage in ("on disk", "on disk, by path"):
        # The first megabyte was read already.
        assert isinstance(response, FileResponse)
    with pytest.raises(RuntimeError, match="shorter than expected"):
        await _answer(response, _scope("/big.bin"))


async def test_small_file_that_shrinks_while_read_breaks_off(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _nothing_in_memory(monkeypatch)
    monkeypatch.setattr(OpenFile, "read", lambda self, offset, size: SMALL[offset : min(offset + size, 10)])
    with pytest.raises(RuntimeError, match="shorter than expected"):
        await _answer(StaticFiles(directory=root), _scope("/small.css"))


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
async def test_descriptors_are_closed(root: Path, storage: str) -> None:
    app = StaticFiles(directory=root, html=True)

    async def use() -> None:
        for path in ("small.css", "big.bin", "dir", "missing"):
            await app.get_response(path, _scope(f"/{path}"))  # never sent
            await _answer(app, _scope(f"/{path}"))

    await use()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await use()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


# --- any path at all


_SEGMENTS = st.sampled_from(
    ["..", ".", "", "dir", "page.html", "secret.txt", "root", "root-too", "outside-dir", "loop", "\\", "..\\",
     "\0", "C:", "//", "%2e%2e", "\u2025", "\uff0e\uff0e", "\ud800", "~", "small.css", "outside.txt", "x" * 256]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=st.lists(_SEGMENTS | st.text(max_size=5), max_size=8), in_memory=st.booleans())
def test_path_of_any_kind_never_leaves_the_directory(files: StaticFiles, segments: list[str], in_memory: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not in_memory:
            _nothing_in_memory(patch)
        answer = anyio.run(_answer, files, _scope("/" + "/".join(segments)))
    assert answer.status in (200, 404)
    assert answer.body != b"secret"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/.env", False),
        ("/.git/config", False),
        ("/dir/.htpasswd", False),
        ("/..hidden", False),
        ("/.well-known/acme", True),
        ("/dir/../.well-known/acme", True),
        ("/.well-known/.hidden", False),
        ("/dir/.well-known/acme", False),
        ("/dir/dot.file.", True),
        ("/small.css", True),
        ("/dir/", True),
        ("/", False),
    ],
)
async def test_dot_files_can_be_refused(root: Path, path: str, found: bool, storage: str) -> None:
    for name in (".env", ".git/config", "dir/.htpasswd", ".well-known/acme", ".well-known/.hidden"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    (root / "dir/.well-known").mkdir()
    (root / "dir/.well-known/acme").write_text("x")
    (root / "dir/dot.file.").write_text("x")
    (root / "404.html").unlink()
    for dot_files in (False, True):
        answer = await _answer(StaticFiles(directory=root, html=True, dot_files=dot_files), _scope(path))
        assert answer.status == (200 if (found or dot_files) and path != "/" else 404)
