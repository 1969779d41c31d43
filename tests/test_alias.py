"""Compatibility mode: one module under two names, for everything that looks at names.

The state of imports is tested, so each case is a small program in a separate process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from pallasite._compat import alias
from tests.support.processes import ENVIRONMENT, read_until, running

INSTALL = "import pallasite\npallasite.install_as_starlette()\n"


def run(*arguments: str, **environment: str) -> str:
    """Run Python with these arguments and return its output. A failure shows its errors."""
    result = subprocess.run(
        [sys.executable, *arguments],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_program(source: str, *options: str) -> str:
    return run(*options, "-W", "error", "-c", INSTALL + textwrap.dedent(source))


SPELLINGS = {
    "import": "import starlette.routing; theirs = starlette.routing",
    "from": "from starlette import routing as theirs",
    "import_module": "import importlib; theirs = importlib.import_module('starlette.routing')",
    "relative": "import importlib; theirs = importlib.import_module('.routing', 'starlette')",
    "__import__": "theirs = __import__('starlette.routing', fromlist=['Route'])",
}


@pytest.mark.parametrize("theirs_first", [True, False], ids=["starlette-first", "pallasite-first"])
@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_module_imported_by_either_name_is_the_same_object(spelling: str, theirs_first: bool) -> None:
    imports = [spelling, "import pallasite.routing as ours"]
    run_program("\n".join(imports if theirs_first else imports[::-1]) + "\nassert theirs is ours")


def test_module_imported_before_the_call_is_the_same_object() -> None:
    run(
        "-c",
        "import pallasite.middleware.cors as ours\nbefore = ours.CORSMiddleware\n"
        + INSTALL
        + "import starlette.middleware.cors as theirs\n"
        "assert theirs is ours and theirs.CORSMiddleware is before\n"
        "assert before.__module__ == 'starlette.middleware.cors'",
    )


def test_every_module_of_both_names_is_executed_once() -> None:
    run_program(
        """
        import importlib, pkgutil, sys, warnings
        from pallasite._compat import alias
        executed = []
        def note(event, arguments):
            if event == "exec":
                executed.append(arguments[0].co_filename)
        sys.addaudithook(note)
        warnings.simplefilter("ignore")
        for package in ("starlette", "pallasite", "starlette"):
            for info in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
                shared = package == "pallasite" or info.name.partition(".")[2] in alias._SHARED
                if shared and not info.name.endswith("__main__"):
                    module = importlib.import_module(info.name)
                    assert module is sys.modules["pallasite" + info.name[info.name.index("."):]], info
        ours = [name for name in executed if "pallasite" in name]
        assert any(name.endswith("applications.py") for name in ours)
        assert len(ours) == len(set(ours)), ours
        """
    )


@pytest.mark.parametrize("name", ["middleware.timeout", "problems", "sse", "_runtime", "_core", "_compat.alias"])
def test_module_that_starlette_lacks_cannot_be_imported_under_its_name(name: str) -> None:
    run_program(
        f"""
        import importlib
        import pallasite.{name}, starlette
        try:
            importlib.import_module("starlette.{name}")
        except ModuleNotFoundError as error:
            assert "import pallasite.{name.partition(".")[0]}" in str(error), error
        else:
            raise AssertionError
        """
    )


def test_call_imports_neither_starlette_nor_anyio() -> None:
    out = run_program("import sys; print(sorted({'anyio', 'starlette', 'pallasite._core'} & set(sys.modules)))")
    assert out == "[]\n"


def test_find_spec_has_no_side_effects_and_finds_a_spec() -> None:
    run_program(
        """
        import importlib.util, sys
        before = set(sys.modules)
        spec = importlib.util.find_spec("starlette")
        assert spec is not None and spec.origin and spec.submodule_search_locations
        assert set(sys.modules) == before
        import starlette
        assert starlette.__spec__ is not None and starlette.__spec__.name == "starlette"
        spec = importlib.util.find_spec("starlette.schemas")
        assert spec is not None and spec.origin.endswith("schemas.py")
        assert not {"starlette.schemas", "pallasite.schemas"} & set(sys.modules)
        assert importlib.util.find_spec("starlette.no_such_module") is None
        import starlette.schemas
        assert importlib.util.find_spec("starlette.schemas").loader.get_source("pallasite.schemas")
        """
    )


def test_missing_module_is_module_not_found_even_if_the_real_package_has_it(tmp_path: Path) -> None:
    real = tmp_path / "starlette"
    real.mkdir()
    (real / "__init__.py").write_text("raise AssertionError('the real one was imported')")
    (real / "only_there.py").write_text("")
    program = """
    import starlette.routing, pallasite.routing
    assert starlette.routing is pallasite.routing
    try:
        import starlette.only_there
    except ModuleNotFoundError as error:
        assert error.name == "starlette.only_there"
    else:
        raise AssertionError
    """
    run("-c", INSTALL + textwrap.dedent(program), PYTHONPATH=str(tmp_path))


def test_without_starlette_installed_everything_still_works(tmp_path: Path) -> None:
    hide = """
    import sys
    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "starlette":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Hidden())
    try:
        import starlette
    except ModuleNotFoundError:
        pass
    """
    program = """
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient
    async def hello(request):
        return PlainTextResponse("hello")
    print(TestClient(Starlette(routes=[Route("/", hello)])).get("/").text)
    """
    assert run("-c", textwrap.dedent(hide) + INSTALL + textwrap.dedent(program)) == "hello\n"


@pytest.mark.parametrize("name", ["starlette", "starlette.routing", "fastapi"])
def test_call_after_an_import_of_starlette_is_an_error_with_its_remedy(name: str) -> None:
    run(
        "-c",
        f"import {name}\nimport pallasite\n"
        "try:\n    pallasite.install_as_starlette()\n"
        "except RuntimeError as error:\n    text = str(error)\n"
        "assert 'starlette' in text and 'before the first import' in text and 'as-starlette' in text",
    )


def test_second_call_does_nothing() -> None:
    run_program(
        "import sys\nbefore = list(sys.meta_path)\npallasite.install_as_starlette()\nassert sys.meta_path == before"
    )
    run_program("import starlette.routing\npallasite.install_as_starlette()")


def test_version_is_the_one_whose_interface_it_is() -> None:
    out = run_program("import starlette\nprint(starlette.__version__, pallasite.__version__)")
    theirs, ours = out.split()
    assert [int(part) for part in theirs.split(".")] >= [1, 10, 0]
    assert ours == sys.modules["pallasite"].__version__


def test_public_classes_and_functions_say_starlette() -> None:
    out = run_program(
        """
        import importlib, warnings
        names = '''applications authentication background convertors datastructures endpoints exceptions formparsers
            middleware middleware.base middleware.body_limit middleware.gzip middleware.sessions requests responses
            routing staticfiles templating testclient websockets'''
        for name in names.split():
            module = importlib.import_module("starlette." + name)
            for attribute in getattr(module, "__all__", None) or vars(module):
                value = getattr(module, attribute)
                if isinstance(value, type) and value.__module__ == "pallasite." + name:
                    print(name, attribute)
        from starlette.applications import Starlette
        from starlette.responses import FileResponse
        assert f"{Starlette.__module__}.{Starlette.__qualname__}" == "starlette.applications.Starlette"
        assert FileResponse.__module__ == "starlette.responses"
        from starlette.routing import compile_path
        assert compile_path.__module__ == "starlette.routing"
        """
    )
    assert out == ""


def test_names_stay_pallasite_without_the_call() -> None:
    run(
        "-c",
        "from pallasite.applications import Starlette, Pallasite\n"
        "assert Starlette is Pallasite and repr(Pallasite) == \"<class 'pallasite.applications.Pallasite'>\"",
    )


def test_pickles_carry_the_name_and_come_back() -> None:
    run_program(
        """
        import pickle
        from starlette.datastructures import URL, Headers, Secret
        from starlette.exceptions import HTTPException
        for value in (URL, Headers, HTTPException, Secret("x")):
            data = pickle.dumps(value)
            assert b"starlette." in data and b"pallasite" not in data
            again = pickle.loads(data)
            assert type(again) is type(value)
        assert pickle.loads(b"cpallasite.datastructures\\nURL\\n.") is URL
        """
    )


def test_classes_agree_under_both_names() -> None:
    run_program(
        """
        import fastapi, fastapi.responses
        from pallasite.applications import Pallasite
        from pallasite.responses import JSONResponse
        assert issubclass(fastapi.FastAPI, Pallasite)
        assert fastapi.responses.JSONResponse is JSONResponse
        """
    )


def test_patch_under_one_name_is_seen_under_the_other() -> None:
    run_program(
        """
        from unittest import mock
        import pallasite.responses
        import pallasite.routing
        with mock.patch("starlette.routing.Route") as route:
            assert pallasite.routing.Route is route
        with mock.patch("starlette.responses.json.dumps", return_value="1"):
            assert pallasite.responses.JSONResponse({}).body == b"1"
        """
    )


def test_reload_returns_the_same_module_under_both_names() -> None:
    run_program(
        """
        import importlib, starlette.schemas, pallasite.schemas
        assert importlib.reload(starlette.schemas) is pallasite.schemas is starlette.schemas
        assert starlette.schemas.SchemaGenerator.__module__ == "starlette.schemas"
        """
    )


WARNINGS = {
    "routing": "async def lifespan(app):\n    yield\nfrom starlette.routing import Router\nRouter(lifespan=lifespan)",
    "config": "from starlette.config import Config\nConfig('no-such-file')",
}


@pytest.mark.parametrize("module", WARNINGS)
def test_warning_is_attributed_to_starlettes_module(module: str) -> None:
    record = "import warnings\nwarnings.simplefilter('error')\n"
    ignore = f"warnings.filterwarnings('ignore', module=r'starlette\\.{module}$')\n"
    run("-c", record + ignore + INSTALL + WARNINGS[module])
    other = "warnings.filterwarnings('ignore', module=r'pallasite')\n"
    with pytest.raises(AssertionError, match="Warning"):
        run("-c", record + other + INSTALL + WARNINGS[module])


def test_warning_shows_the_line_that_caused_it() -> None:
    program = INSTALL + (
        "import warnings\nfrom starlette.config import Config\n"
        "with warnings.catch_warnings(record=True) as seen:\n    warnings.simplefilter('always')\n"
        "    Config('no-such-file')\nprint(seen[0].filename, seen[0].lineno)"
    )
    assert run("-c", program) == "<string> 7\n"


def write_application(folder: Path) -> None:
    (folder / "main.py").write_text(
        "from starlette.applications import Starlette\n"
        "import pallasite.applications\n"
        "assert Starlette is pallasite.applications.Starlette\n"
        "print('standing in', flush=True)\n"
    )


def as_starlette(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pallasite", "as-starlette", *command],
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [["main.py"], ["-m", "main"], ["-c", "import main"]], ids=["file", "module", "code"]
)
def test_command_runs_with_the_alias(command: list[str], tmp_path: Path) -> None:
    write_application(tmp_path)
    result = as_starlette(tmp_path, *command)
    assert (result.returncode, result.stdout) == (0, "standing in\n"), result.stderr


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_command_reaches_processes_that_it_starts(method: str, tmp_path: Path) -> None:
    write_application(tmp_path)
    (tmp_path / "start.py").write_text(
        "import multiprocessing\n"
        "def work():\n    import main\n"
        "if __name__ == '__main__':\n"
        f"    process = multiprocessing.get_context({method!r}).Process(target=work)\n"
        "    process.start()\n    process.join()\n    raise SystemExit(process.exitcode)\n"
    )
    result = as_starlette(tmp_path, "start.py")
    assert (result.returncode, result.stdout) == (0, "standing in\n"), result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts a group of processes")
@pytest.mark.parametrize(("option", "processes"), [("--reload", 1), ("--workers=2", 2)])
def test_command_reaches_the_processes_of_uvicorn(option: str, processes: int, tmp_path: Path) -> None:
    pytest.importorskip("uvicorn")
    write_application(tmp_path)
    with (tmp_path / "main.py").open("a") as file:
        file.write("app = Starlette()\n")
    command = [sys.executable, "-m", "pallasite", "as-starlette", "-m", "uvicorn", "main:app", "--port=0", option]
    with running(command, tmp_path) as server:
        read_until(server, "standing in", "startup complete", times=processes)


def test_command_keeps_pythonpath_and_the_sitecustomize_it_replaces(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('customized')\n")
    result = as_starlette(
        tmp_path, "-c", "import starlette.status; print(starlette.__version__)", PYTHONPATH=str(tmp_path)
    )
    # Once for the process that runs `pallasite`, which that process replaces, and once for the command itself.
    assert result.stdout.splitlines()[-2:] == ["customized", "1.10.0"], result.stderr


def test_command_returns_the_exit_status(tmp_path: Path) -> None:
    assert as_starlette(tmp_path, "-c", "raise SystemExit(7)").returncode == 7


def test_command_that_does_not_exist_is_127(tmp_path: Path) -> None:
    result = as_starlette(tmp_path, "no-such-program")
    assert (result.returncode, result.stdout) == (127, "")
    assert "no-such-program" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["as-starlette"], ["as-flask", "x"]], ids=["nothing", "no-command", "other"])
def test_command_line_that_makes_no_sense_shows_the_usage(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pallasite", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2
    assert "as-starlette [--compile-fastapi] <command" in result.stderr


def test_help_goes_to_standard_output() -> None:
    assert "as-starlette [--compile-fastapi] <command" in run("-m", "pallasite", "--help")


def test_command_runs_in_a_new_process_where_none_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    from pallasite import __main__

    class Windows:
        name = "nt"

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

    monkeypatch.setattr(__main__, "os", Windows())
    program = "import sys, starlette.routing as r; sys.exit(7 if 'pallasite' in r.__file__ else 1)"
    assert __main__.main(["as-starlette", "-c", program]) == 7


def test_module_that_is_not_where_it_should_be_is_not_found() -> None:
    assert alias._Finder().find_spec("pallasite.routing", []) is None


def test_module_made_without_a_spec_gets_its_name_all_the_same() -> None:
    class Loader:
        def exec_module(self, module: ModuleType) -> None:
            module.__dict__["made"] = True

    module = ModuleType("pallasite.routing")
    module.__spec__ = None
    alias._Renaming("routing", Loader()).exec_module(module)
    assert (module.__name__, module.made) == ("starlette.routing", True)
