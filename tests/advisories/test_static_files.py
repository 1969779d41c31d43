"""Served directories: paths that lead out of them or disclose what is outside, and file names in responses."""

from __future__ import annotations

import os
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pallasite import staticfiles
from pallasite.applications import Pallasite
from pallasite.responses import FileResponse
from pallasite.routing import Mount
from pallasite.staticfiles import StaticFiles
from tests.support.asgi import UNUSED, Answer, ask, assert_linear, exchange, scope_of

pytestmark = pytest.mark.anyio

SECRET = b"top secret"


class WithHook(StaticFiles):
    """Goes the general way, as every subclass that overrides a method does."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A served directory `static` with its neighbours."""
    served = tmp_path / "static"
    for directory in (served, served / "below", tmp_path / "static_disallow", tmp_path / "static2", tmp_path / "other"):
        directory.mkdir()
        (directory / "file.txt").write_bytes(b"public" if served in (directory, directory.parent) else SECRET)
    (tmp_path / "secret.txt").write_bytes(SECRET)
    (served / "below" / "index.html").write_text("<p>below</p>")
    (served / "out.txt").symlink_to(tmp_path / "secret.txt")
    (served / "up").symlink_to("..")
    (served / "below" / "page.css").write_text("css")
    (served / "below" / "page.css.gz").symlink_to(tmp_path / "secret.txt")
    (served / "below" / "page.css.br").symlink_to("../../secret.txt")
    (served / "inside.txt").symlink_to("below/file.txt")
    return tmp_path


OPTIONS: dict[str, dict[str, Any]] = {"plain": {}, "html": {"html": True}}


@pytest.fixture(params=["mounted", "html", "alone", "hook", "at the root"])
def site(request: pytest.FixtureRequest, root: Path) -> tuple[Any, str]:
    """An application and the path under which it serves the directory."""
    directory = root / "static"
    match request.param:
        case "mounted":
            return Pallasite(routes=[Mount("/static", StaticFiles(directory=directory))]), "/static/"
        case "html":
            return Pallasite(routes=[Mount("/static", StaticFiles(directory=directory, html=True))]), "/static/"
        case "alone":
            return Pallasite(routes=[Mount("/", StaticFiles(directory=directory))]), "/"
        case "hook":
            return Pallasite(routes=[Mount("/static", WithHook(directory=directory))]), "/static/"
        case _:
            return Pallasite(routes=[Mount("/a/{b}", StaticFiles(directory=directory))]), "/a/b/"


async def look(site: tuple[Any, str], path: str, **scope: Any) -> Answer:
    app, prefix = site
    answer = await ask(app, prefix + path, **scope)
    assert SECRET not in answer.body
    return answer


# --- ways out

WAYS_OUT = {
    "CVE-2023-29159": ["../static_disallow/file.txt", "../static2/file.txt", "../staticx", "../other/file.txt"],
    "CVE-2025-59682": ["../static", "../static/file.txt", "../static_disallow", "below/../../static2/file.txt"],
    "CVE-2024-23334": ["../secret.txt", "below/../../secret.txt", "/../secret.txt", "./../secret.txt", "up/secret.txt"],
    "CVE-2024-32982": ["/etc/passwd", "//etc/passwd", "../" * 40 + "etc/passwd", "below/" + "../" * 40 + "etc/passwd"],
    "CVE-2022-35920": [
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "..%2Fsecret.txt",
        "%2e%2e%2fsecret.txt",
        "..%252fsecret.txt",
    ],
    "CVE-2017-16762": ["..%2f..%2f..%2fetc/passwd", "..%5c..%5csecret.txt", "..%c0%afsecret.txt", "%2fetc%2fpasswd"],
    "CVE-2009-2659": ["..\\secret.txt", "\\..\\secret.txt", "..\\..\\secret.txt", "....//secret.txt", "..;/secret.txt"],
    "CVE-2024-42367": ["out.txt", "below/page.css.gz", "below/page.css.br", "up/static/out.txt", "up"],
    "CVE-2024-49766": [
        "//host/share/secret.txt",
        "\\\\host\\share\\secret.txt",
        "/\\host\\share",
        "\\\\?\\UNC\\host\\x",
    ],
    "CVE-2026-48818": ["\\\\attacker.example\\share", "/\\\\attacker.example\\share", "//attacker.example//share"],
    "CVE-2026-34515": ["\\\\.\\pipe\\x", "\\\\?\\C:\\secret.txt", "\\/attacker.example/share/x"],
    "CVE-2019-14322": ["C:/secret.txt", "C:\\secret.txt", "c:secret.txt", "below/C:/secret.txt", "/C:/secret.txt"],
    "nul": ["../secret.txt\0.png", "file.txt\0", "\0/../secret.txt", "below\0/../../secret.txt"],
    "line break": ["../secret.txt\n", "file.txt\n", "..\n/secret.txt", "file.txt\r"],
    "full width": ["\uff0e\uff0e/secret.txt", "\u2024\u2024/secret.txt", "..\u2215secret.txt", "..\uff0fsecret.txt"],
    "long": ["../" * 3_000 + "secret.txt", "x/" * 100_000, "x" * 100_000, "a/../" * 50_000 + "../secret.txt"],
}


@pytest.mark.parametrize("paths", WAYS_OUT.values(), ids=WAYS_OUT.keys())
async def test_path_out_of_the_directory_is_not_found(site: tuple[Any, str], paths: list[str]) -> None:
    for path in paths:
        for method in ("GET", "HEAD"):
            answer = await look(site, path, method=method)
            assert answer.status == 404, path
        assert (await look(site, path, headers=[(b"accept-encoding", b"gzip, br")])).status == 404


@pytest.mark.advisory("CVE-2024-42367")
async def test_link_out_of_the_directory_is_not_followed_for_a_smaller_variant(
    site: tuple[Any, str],
) -> None:
    answer = await look(site, "below/page.css", headers=[(b"accept-encoding", b"gzip, br")])
    assert (answer.status, answer.body) == (200, b"css")
    assert answer.header("content-encoding") is None
    assert (await look(site, "inside.txt")).body == b"public"


@pytest.mark.advisory("CVE-2024-23334")
@pytest.mark.parametrize("kind", [StaticFiles, WithHook])
async def test_links_may_be_followed_and_dots_still_lead_nowhere(root: Path, kind: type[StaticFiles]) -> None:
    following = (kind(directory=root / "static", follow_symlink=True), "/")
    answer = await ask(following[0], "/out.txt")
    assert (answer.status, answer.body) == (200, SECRET)
    app = Pallasite(routes=[Mount("/", following[0])])
    for name, paths in WAYS_OUT.items():
        if name != "CVE-2024-42367":
            for path in paths:
                if not path.startswith("up/"):
                    assert (await look((app, "/"), path)).status == 404, path


@pytest.mark.advisory("CVE-2023-29159")
@pytest.mark.parametrize("inside", ["..", "../secret.txt", "/etc/passwd"])
async def test_lookup_that_a_subclass_asks_for_stays_inside_too(root: Path, inside: str) -> None:
    files = StaticFiles(directory=root / "static")
    assert files.lookup_path(inside) == ("", None)
    assert files.lookup_path("below/../" + inside) == ("", None)


@pytest.mark.advisory("CVE-2024-32982")
@pytest.mark.parametrize("root_path", ["/proxy", "/../..", "/static"])
async def test_root_path_does_not_lead_out_of_the_directory(root: Path, root_path: str) -> None:
    app = Pallasite(routes=[Mount("/static", StaticFiles(directory=root / "static"))])
    for path in (
        "/static/../secret.txt",
        "/static/..",
        f"{root_path}/static/../secret.txt",
        f"{root_path}/../secret.txt",
    ):
        answer = await ask(app, path, root_path=root_path)
        assert answer.status == 404
    assert (await ask(app, f"{root_path}/static/file.txt", root_path=root_path)).body == b"public"


# --- names that are reserved on Windows

DEVICES = {
    "CVE-2025-66221": [
        "CON",
        "AUX",
        "NUL",
        "PRN",
        "COM1",
        "LPT9",
        "con",
        "Nul",
        "CONIN$",
        "conout$",
        "COM0",
        "COM\u00b9",
    ],
    "CVE-2026-21860": ["CON.txt", "NUL.tar.gz", "CON.txt.html", "CON ", "CON .txt", "NUL.", "aux. .txt", "lpt1 .a.b"],
    "CVE-2026-27199": ["below/NUL", "below/CON.txt", "NUL/file.txt", "below\\NUL", "below/aux/file.txt", "./NUL"],
    "CVE-2026-102598": [
        "NUL:",
        "con:x",
        "NUL:.txt",
        "below/COM1:",
        "COM\u00b2.txt",
        "lpt\u00b3",
        "nul .tar.gz",
        "conin$.txt",
    ],
    "stream": ["file.txt::$DATA", "file.txt:other", "below:$I30:$INDEX_ALLOCATION/file.txt", "C:file.txt"],
    "same file": ["file.txt.", "file.txt ", "file.txt. .", "below./file.txt", "below /file.txt"],
    "wildcard": ["file.*", "file.tx?", "<.txt", 'file">', "file|x", "file\x01.txt"],
}


@pytest.mark.parametrize("paths", DEVICES.values(), ids=DEVICES.keys())
async def test_name_of_a_device_is_not_found_on_windows(
    site: tuple[Any, str], root: Path, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staticfiles, "_IS_WINDOWS", True)
    for path in paths:
        with suppress(OSError):
            (root / "static" / path).write_bytes(SECRET)  # names that Windows opens as something else than a file
        assert (await look(site, path)).status == 404, path
    for path in ("file.txt", "below/file.txt", "inside.txt"):
        assert (await look(site, path)).body == b"public"


@pytest.mark.advisory("CVE-2025-66221")
@pytest.mark.parametrize("name", ["console.txt", "nul-1", "com10", "a.con", "lpt", ".nul", "coNtext", "prn_x.txt"])
async def test_name_that_only_starts_like_a_device_is_a_file(
    site: tuple[Any, str], root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staticfiles, "_IS_WINDOWS", True)
    (root / "static" / name).write_bytes(b"public")
    assert (await look(site, name)).body == b"public"


# --- what can be learnt


@pytest.mark.advisory("CVE-2025-69226")
async def test_answer_does_not_tell_what_lies_outside(site: tuple[Any, str], root: Path) -> None:
    nothing = await look(site, "nothing")
    for path in (
        "../secret.txt",
        "../secret.txt.no",
        "../static/file.txt",
        "../no/../static/file.txt",
        f"..{root}/static/file.txt",
        f"../../{root.name}/static/file.txt",
        "../other/../static/file.txt",
        "../other",
        "out.txt",
        "/etc/passwd",
        "/etc/no",
    ):
        answer = await look(site, path)
        assert (answer.status, answer.body, answer.headers) == (nothing.status, nothing.body, nothing.headers), path


@pytest.mark.advisory("CVE-2024-27306")
@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a&b", '"><b>'])
async def test_directory_is_never_listed(site: tuple[Any, str], root: Path, name: str) -> None:
    directory = root / "static" / "listed"
    (directory / name.replace("/", "_")).mkdir(parents=True)
    for path in ("", "listed", "listed/", "listed/?", "listed/" + name.replace("/", "_")):
        answer = await look(site, path)
        assert answer.status in (307, 404)
        assert b"<" not in answer.body
        assert b"&" not in answer.body


@pytest.mark.advisory("CVE-2019-3498")
@pytest.mark.parametrize("path", ["/<script>alert(1)</script>", "/go to evil.example", "/\r\nx: y", "/'\"&"])
async def test_page_for_what_is_missing_does_not_show_the_path(root: Path, path: str) -> None:
    app = Pallasite(routes=[Mount("/static", StaticFiles(directory=root / "static", html=True))])
    for prefix in ("", "/static", "/static/below"):
        answer = await ask(app, prefix + path)
        assert (answer.status, answer.body) == (404, b"Not Found")
        assert answer.header("content-type") == "text/plain; charset=utf-8"


# --- names that differ


@pytest.mark.advisory("CVE-2026-25480")
@pytest.mark.parametrize(
    "asked", ["\u212a.txt", "k.txt", "K.txt\u200b", "\uff2b.txt", "K.TXT", "K%2Etxt", "K.txt.", "K.txt "]
)
async def test_names_that_look_alike_are_different_files(site: tuple[Any, str], root: Path, asked: str) -> None:
    (root / "static" / "K.txt").write_text("kay")
    (root / "static" / "e\u0301.txt").write_text("two characters")
    assert (await look(site, "K.txt")).body == b"kay"
    assert (await look(site, asked)).status == 404
    assert (await look(site, "\u00e9.txt")).status == 404
    assert (await look(site, "e\u0301.txt")).body == b"two characters"


# --- cost


@pytest.mark.advisory("CVE-2015-0221")
async def test_large_file_is_sent_in_chunks(site: tuple[Any, str], root: Path) -> None:
    size = 32 * 1024 * 1024
    with open(root / "static" / "large.bin", "wb") as file:  # noqa: ASYNC230
        file.truncate(size)  # one line of zeros, as far as lines go
    app, prefix = site
    got, largest = 0, 0

    async def send(message: Any) -> None:
        nonlocal got, largest
        got += len(message.get("body", b""))
        largest = max(largest, len(message.get("body", b"")))

    scope = scope_of(prefix + "large.bin", asgi={"version": "3.0", "spec_version": "2.4"})
    tracemalloc.start()
    try:
        await app(scope, UNUSED, send)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert got == size
    assert largest <= 1024 * 1024
    assert peak < 4 * 1024 * 1024


@pytest.mark.advisory("CVE-2024-23334")
@pytest.mark.parametrize("part", ["../", "a/", "./", "/", "a/../", "\\", "%2e", "."])
def test_path_of_any_length_costs_its_length(root: Path, part: str) -> None:
    files = StaticFiles(directory=root / "static")

    def find(path: str) -> None:
        assert files.lookup_path(files.get_path({"path": path, "root_path": ""})) == ("", None)

    assert_linear(lambda size: "/x" + part * size + "nothing", find, 200)


# --- names in headers

NAMES = {
    "extension": 'report.html"; x=".pdf',
    "script": 'setup.bat";&calc.exe&"',
    "semicolon": "a;b.txt",
    "quotes": '""',
    "backslash": 'a\\"; filename="evil.sh',
    "line break": "a\r\nset-cookie: b=c",
    "nul": "a\0.txt",
    "percent": "a%22.txt",
    "unicode": 'caf\u00e9";.txt',
    "surrogate": "a\udcff.txt",
    "controls": "a\x1b[31m\x7f.txt",
    "path": "../../evil.txt",
    "blank": " a .txt ",
}


@pytest.mark.advisory("CVE-2022-36359")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("disposition", ["attachment", "inline"])
async def test_name_of_a_download_cannot_leave_its_quotes(root: Path, name: str, disposition: str) -> None:
    response = FileResponse(root / "secret.txt", filename=name, content_disposition_type=disposition)
    answer = await ask(response)
    value = answer.header("content-disposition")
    assert value is not None
    kind, _, parameter = value.partition("; ")
    assert kind == disposition
    assert parameter.startswith(("filename*=utf-8''", 'filename="'))
    text = parameter.removeprefix("filename*=utf-8''").removeprefix('filename="').removesuffix('"')
    assert not set(text) & set('";\\\r\n\0')
    assert text.isascii()


@pytest.mark.advisory("CVE-2022-36359")
@pytest.mark.parametrize("disposition", ["attachment; x", "a\r\nb", "a\0"])
async def test_disposition_cannot_bring_a_header(root: Path, disposition: str) -> None:
    if ";" not in disposition:
        with pytest.raises(ValueError):
            FileResponse(root / "secret.txt", filename="a", content_disposition_type=disposition)
    for name in (disposition, f'"{disposition}"'):
        with pytest.raises(ValueError):
            FileResponse(root / "secret.txt", headers={"content-disposition": name + "\n"})


@pytest.mark.advisory("CVE-2026-48818")
async def test_websocket_gets_no_file(site: tuple[Any, str]) -> None:
    app, prefix = site
    scope = scope_of(prefix + "file.txt", type="websocket", scheme="ws", subprotocols=[])
    sent = await exchange(app, scope, [{"type": "websocket.connect"}])
    assert [message["type"] for message in sent] == ["websocket.close"]
