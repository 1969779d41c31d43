"""Errors of modules whose package is not installed, and the choice between two packages."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest


def imported_anew(name: str, monkeypatch: pytest.MonkeyPatch, **modules: Any) -> ModuleType:
    """Import a second copy of the module, with these top-level modules replaced. None means not installed."""
    for other, module in modules.items():
        monkeypatch.setitem(sys.modules, other, module)
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    copy = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, copy)  # a dataclass looks for its module there
    spec.loader.exec_module(copy)
    return copy


@pytest.mark.parametrize(
    ("name", "missing", "error"),
    [
        ("pallasite.middleware.opentelemetry", "opentelemetry", ImportError),
        ("pallasite.middleware.sessions", "itsdangerous", ImportError),
        ("pallasite.templating", "jinja2", ImportError),
    ],
)
def test_module_without_its_package_names_it(
    name: str, missing: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(error, match=missing):
        imported_anew(name, monkeypatch, **{missing: None})


def test_schemas_without_yaml_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert imported_anew("pallasite.schemas", monkeypatch, yaml=None).yaml is None


def test_test_client_takes_httpx_where_httpx2_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx

    assert imported_anew("pallasite.testclient", monkeypatch, httpx2=None).httpx is httpx


def test_test_client_without_either_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="pip install httpx2"):
        imported_anew("pallasite.testclient", monkeypatch, httpx2=None, httpx=None)


def test_event_loops_do_without_sniffio(monkeypatch: pytest.MonkeyPatch) -> None:
    loops = imported_anew("pallasite._testing.loops", monkeypatch, sniffio=None)
    assert loops.current_async_library_cvar is None
    calls: list[str] = []
    loop = loops.EventLoopThread("asyncio", {})
    loop.call_soon_in_context(calls.append, "called")
    loop.stop()
    assert calls == ["called"]
