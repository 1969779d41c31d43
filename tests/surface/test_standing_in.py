"""Compatibility mode in whole programs: workers, reloaders, pickles, pytest, and without Starlette installed.

Imports are tested in tests/test_alias.py. Each case is a program in a separate process.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import httpx
import pytest

from pallasite.__main__ import main
from tests.support.processes import ENVIRONMENT, read_until, running

AS_STARLETTE = [sys.executable, "-m", "pallasite", "as-starlette"]
NEEDED = ["pallasite", "anyio", "idna", "sniffio", "typing_extensions", "uvicorn", "click", "h11"]


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def write(file: Path, source: str) -> None:
    file.write_text(textwrap.dedent(source))


FASTAPI_APPLICATION = """
import os
from fastapi import FastAPI
from starlette.applications import Starlette
import pallasite.applications

app = FastAPI()

@app.get("/")
async def home(number: int = 1):
    return {
        "text": "first",
        "worker": os.getpid(),
        "number": number,
        "stands in": issubclass(FastAPI, pallasite.applications.Pallasite) and issubclass(FastAPI, Starlette),
    }
"""


# Servers, over real sockets.


def test_reloader_of_uvicorn_serves_the_changed_file_on_pallasite(tmp_path: Path) -> None:
    write(tmp_path / "main.py", FASTAPI_APPLICATION)
    command = [*AS_STARLETTE, "uvicorn", "main:app", "--port=0", "--reload"]
    with running(command, tmp_path) as server:
        port = re.findall(r"http://127.0.0.1:(\d+)", read_until(server, "startup complete"))[0]
        first = httpx.get(f"http://127.0.0.1:{port}/?number=5").json()
        assert (first["text"], first["number"], first["stands in"]) == ("first", 5, True)
        write(tmp_path / "main.py", FASTAPI_APPLICATION.replace('"first"', '"second"'))
        read_until(server, "startup complete")
        second = httpx.get(f"http://127.0.0.1:{port}/").json()
        assert (second["text"], second["stands in"]) == ("second", True)
        assert second["worker"] != first["worker"]


WORKERS = {
    "uvicorn": ["uvicorn", "main:app", "--port=0", "--workers=2"],
    "granian": ["granian", "--interface", "asgi", "--port", "{port}", "--workers", "2", "main:app"],
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("name", WORKERS)
def test_worker_processes_serve_fastapi_on_pallasite(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    write(tmp_path / "main.py", FASTAPI_APPLICATION)
    port = str(free_port())
    command = [*AS_STARLETTE, *(word.format(port=port) for word in WORKERS[name])]
    started = {"uvicorn": "startup complete", "granian": "Started worker"}[name]
    with running(command, tmp_path) as server:
        said = read_until(server, started, times=2)
        if name == "uvicorn":
            port = re.findall(r"http://127.0.0.1:(\d+)", said)[0]
        with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
            answer = client.get(f"http://127.0.0.1:{port}/").json()
        assert answer["stands in"] is True
        assert answer["worker"] != server.pid


@pytest.mark.parametrize("option", ["--workers=2", "--reload"])
def test_call_in_the_served_module_reaches_workers_and_reloaders(option: str, tmp_path: Path) -> None:
    write(tmp_path / "main.py", "import pallasite\npallasite.install_as_starlette()\n" + FASTAPI_APPLICATION)
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port=0", option]
    with running(command, tmp_path) as server:
        said = read_until(server, "startup complete", times=2 if "workers" in option else 1)
        port = re.findall(r"http://127.0.0.1:(\d+)", said)[0]
        assert httpx.get(f"http://127.0.0.1:{port}/").json()["stands in"] is True


# Processes and pickles.


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
@pytest.mark.parametrize("way", ["call", "command"])
def test_values_travel_between_processes_under_starlettes_names(way: str, method: str, tmp_path: Path) -> None:
    call = "import pallasite\npallasite.install_as_starlette()\n" if way == "call" else ""
    program = """
    import multiprocessing
    from starlette.datastructures import URL, Headers
    from starlette.exceptions import HTTPException
    import pallasite.exceptions

    def work(url):
        assert type(url) is URL and HTTPException is pallasite.exceptions.HTTPException
        return HTTPException(418, detail=url.path, headers={"x": "y"}), Headers({"a": "b"})

    if __name__ == "__main__":
        with multiprocessing.get_context("METHOD").Pool(1) as pool:
            error, headers = pool.apply(work, (URL("http://example.org/path"),))
        assert type(error) is HTTPException and type(error).__module__ == "starlette.exceptions"
        print(error.status_code, error.detail, error.headers["x"], headers["a"])
    """
    write(tmp_path / "main.py", call + textwrap.dedent(program).replace("METHOD", method))
    command = [sys.executable] if way == "call" else AS_STARLETTE
    result = run(*command, "main.py", folder=tmp_path)
    assert result.stdout == "418 /path y b\n", result.stderr


def test_pickles_of_either_package_are_read_by_the_other(tmp_path: Path) -> None:
    """Pickles of compatibility mode are read with the real Starlette, and the reverse. Pallasite's own name too."""
    write(
        tmp_path / "write.py",
        """
        import pickle, sys
        from starlette.datastructures import URL, Headers
        from starlette.exceptions import HTTPException
        with open(sys.argv[1], "wb") as file:
            pickle.dump([HTTPException(404, "gone"), URL, HTTPException], file)
        """,
    )
    write(
        tmp_path / "read.py",
        """
        import pickle, sys
        with open(sys.argv[1], "rb") as file:
            error, url, cls = pickle.load(file)
        from starlette.datastructures import URL
        from starlette.exceptions import HTTPException
        assert type(error) is cls is HTTPException and url is URL
        print(error.status_code, error.detail, cls.__module__, "pallasite" in sys.modules)
        """,
    )
    real, ours = [sys.executable], AS_STARLETTE
    for writing, reading in ((ours, real), (real, ours)):
        assert run(*writing, "write.py", "pickled", folder=tmp_path).returncode == 0
        result = run(*reading, "read.py", "pickled", folder=tmp_path)
        assert result.stdout == f"404 gone starlette.exceptions {reading is ours}\n", result.stderr
    write(
        tmp_path / "own.py",
        """
        import pickle
        from pallasite.exceptions import HTTPException
        with open("pickled", "wb") as file:
            pickle.dump([HTTPException(404, "gone"), 1, 2], file)
        assert b"pallasite.exceptions" in open("pickled", "rb").read()
        """,
    )
    assert run(*real, "own.py", folder=tmp_path).returncode == 0
    check = "import pickle; print(type(pickle.load(open('pickled', 'rb'))[0]).__module__)"
    assert run(*ours, "-c", check, folder=tmp_path).stdout == "starlette.exceptions\n"


def test_classes_agree_in_every_direction(tmp_path: Path) -> None:
    write(
        tmp_path / "main.py",
        """
        import fastapi
        import pallasite.applications, pallasite.exceptions, pallasite.requests, pallasite.responses, pallasite.routing
        import starlette.applications, starlette.exceptions, starlette.requests, starlette.responses, starlette.routing
        app = fastapi.FastAPI()
        for package in (pallasite, starlette):
            assert isinstance(app, package.applications.Starlette)
            assert isinstance(app.router, package.routing.Router)
            assert issubclass(fastapi.routing.APIRoute, package.routing.Route)
            assert issubclass(fastapi.HTTPException, package.exceptions.HTTPException)
            assert issubclass(fastapi.Request, package.requests.Request)
            assert isinstance(package.responses.JSONResponse({}), fastapi.Response)
            try:
                raise fastapi.HTTPException(404)
            except package.exceptions.HTTPException:
                pass
        print("agreed")
        """,
    )
    result = run(*AS_STARLETTE, "main.py", folder=tmp_path)
    assert result.stdout == "agreed\n", result.stderr


# pytest, lazy modules, metadata.


@pytest.mark.parametrize("way", ["conftest", "command"])
def test_pytest_rewrites_what_it_wants_with_warnings_as_errors(way: str, tmp_path: Path) -> None:
    if way == "conftest":
        write(tmp_path / "conftest.py", "import pallasite\npallasite.install_as_starlette()\n")
    write(tmp_path / "pytest.ini", "[pytest]\nfilterwarnings = error\n")
    write(
        tmp_path / "test_it.py",
        """
        import pytest
        from starlette.applications import Starlette
        from starlette.testclient import TestClient
        import pallasite.applications

        @pytest.mark.anyio
        async def test_asynchronous(anyio_backend_name):
            assert Starlette is pallasite.applications.Starlette

        def test_client():
            assert TestClient(Starlette()).get("/").status_code == 404
        """,
    )
    command = [sys.executable] if way == "conftest" else AS_STARLETTE
    result = run(*command, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout


def test_wsgi_bridge_is_imported_only_where_it_is_asked_for(tmp_path: Path) -> None:
    program = """
    import sys, warnings
    import pallasite
    pallasite.install_as_starlette()
    import starlette.applications, starlette.routing, starlette.middleware, starlette.staticfiles, starlette.testclient
    import fastapi
    assert not {"starlette.middleware.wsgi", "pallasite.middleware.wsgi"} & set(sys.modules)
    try:
        import starlette.middleware.wsgi
    except starlette.exceptions.StarletteDeprecationWarning:
        print("warned")
    """
    result = run(sys.executable, "-W", "error", "-c", textwrap.dedent(program), folder=tmp_path)
    assert result.stdout == "warned\n", result.stderr


def test_distribution_metadata_is_that_of_what_is_installed(tmp_path: Path, without_starlette: Path) -> None:
    program = """
    import importlib.metadata
    import pallasite
    pallasite.install_as_starlette()
    import starlette
    try:
        print(starlette.__version__, importlib.metadata.version("starlette"))
    except importlib.metadata.PackageNotFoundError:
        print(starlette.__version__, "none")
    """
    source = textwrap.dedent(program)
    installed = importlib.metadata.version("starlette")
    assert run(sys.executable, "-c", source, folder=tmp_path).stdout == f"1.10.0 {installed}\n"
    result = run(sys.executable, "-S", "-c", source, folder=tmp_path, PYTHONPATH=str(without_starlette))
    assert result.stdout == "1.10.0 none\n", result.stderr


# Without a Starlette.


@pytest.fixture
def without_starlette(tmp_path: Path) -> Path:
    """A folder with Pallasite and its dependencies, for a Python that imports from nowhere else (``-S``)."""
    folder = tmp_path / "site"
    folder.mkdir()
    for name in NEEDED:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            source = origin.parent if spec.submodule_search_locations else origin
            (folder / source.name).symlink_to(source)
    return folder


def test_without_starlette_installed_every_way_of_importing_works(tmp_path: Path, without_starlette: Path) -> None:
    program = """
    import importlib, importlib.util, pickle, sys
    assert importlib.util.find_spec("starlette") is None
    import pallasite
    pallasite.install_as_starlette()
    spec = importlib.util.find_spec("starlette")
    assert spec is not None and "starlette" not in sys.modules
    import starlette.routing
    from starlette import status
    from starlette.datastructures import URL
    assert importlib.import_module("starlette.status") is status
    assert pickle.loads(pickle.dumps(URL("/a"))) == URL("/a")
    assert pickle.loads(b"cstarlette.datastructures\\nURL\\n.") is URL
    import pallasite.routing
    assert starlette.routing is pallasite.routing
    print(starlette.__version__)
    """
    result = run(
        sys.executable, "-S", "-c", textwrap.dedent(program), folder=tmp_path, PYTHONPATH=str(without_starlette)
    )
    assert result.stdout == "1.10.0\n", result.stderr


def test_without_starlette_installed_uvicorn_serves(tmp_path: Path, without_starlette: Path) -> None:
    write(
        tmp_path / "main.py",
        """
        import pallasite
        pallasite.install_as_starlette()
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route

        async def home(request):
            return PlainTextResponse("without")

        app = Starlette(routes=[Route("/", home)])
        """,
    )
    command = [sys.executable, "-S", "-m", "uvicorn", "main:app", "--port=0"]
    with running(command, tmp_path, PYTHONPATH=str(without_starlette)) as server:
        port = re.findall(r"http://127.0.0.1:(\d+)", read_until(server, "Uvicorn running"))[0]
        assert httpx.get(f"http://127.0.0.1:{port}/").text == "without"


# Interpreters that ignore the environment.


@pytest.mark.parametrize(
    ("options", "letter"),
    [
        (["-I"], "I"),
        (["-E"], "E"),
        (["-S"], "S"),
        (["-sE"], "E"),
        (["-u", "-W", "error", "-I"], "I"),
        (["-X", "dev", "-bE"], "E"),
        (["-Wdefault", "-I"], "I"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("program", [[], ["python"], [sys.executable]], ids=["options", "name", "path"])
def test_option_that_leaves_out_the_environment_is_refused(
    program: list[str], options: list[str], letter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["as-starlette", *program, *options, "-c", "print('ran')"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"-{letter} " in said.err
    assert "install_as_starlette()" in said.err


@pytest.mark.skipif(sys.platform == "win32", reason="there, the command runs in a process of its own")
@pytest.mark.parametrize(
    "command",
    [
        ["-c", "print('-I')", "-I"],
        ["-munittest", "-E"],
        ["-W", "error", "-Xdev", "-c", "print('-I')", "-I"],
        ["-W"],
        ["-u"],
        ["--version"],
        ["main.py", "-I"],
        ["python", "main.py", "-I"],
    ],
    ids=" ".join,
)
def test_option_of_the_program_itself_is_its_own_affair(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda path, arguments, environment: ran.append(arguments))
    monkeypatch.setattr(subprocess, "call", lambda *args, **kwargs: 0)
    main(["as-starlette", *command])
    assert [arguments[-len(command) :][1:] for arguments in ran] == [command[1:]]


def test_isolated_interpreter_that_starts_the_command_does_not_isolate_it(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import starlette, sys; print(starlette.__version__, sys.flags.isolated)")
    result = run(sys.executable, "-I", "-m", "pallasite", "as-starlette", "main.py", folder=tmp_path)
    assert result.stdout == "1.10.0 0\n", result.stderr


def test_isolated_interpreter_is_reached_by_the_call(tmp_path: Path) -> None:
    program = "import pallasite; pallasite.install_as_starlette(); import starlette.routing as r; print(r.__name__)"
    assert run(sys.executable, "-I", "-c", program, folder=tmp_path).stdout == "starlette.routing\n"
