"""One FastAPI application, run twice: on Pallasite and on the installed Starlette. The responses are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("starlette")

APPLICATION = Path(__file__).with_name("fastapi_app.py")


def run(*prefix: str) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, *prefix, str(APPLICATION)],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def on_pallasite() -> dict[str, Any]:
    report = run("-m", "pallasite", "as-starlette")
    assert report["on_pallasite"]
    observed: dict[str, Any] = report["observed"]
    return observed


@pytest.fixture(scope="module")
def on_starlette() -> dict[str, Any]:
    report = run()
    assert not report["on_pallasite"]
    observed: dict[str, Any] = report["observed"]
    return observed


def test_application_behaves_as_on_starlette(on_pallasite: dict[str, Any], on_starlette: dict[str, Any]) -> None:
    assert on_pallasite.keys() == on_starlette.keys()
    # Deviation: below gzip, a range of a file has the Vary of the whole file (RFC 9110, section 15.3.7).
    status, headers, text = on_starlette["range"]
    assert headers["vary"] == "Origin"
    replaced = {"range": [status, headers | {"vary": "Origin, Accept-Encoding"}, text]}
    for name, expected in (on_starlette | replaced).items():
        assert on_pallasite[name] == expected, name


def test_application_responds_as_written(on_pallasite: dict[str, Any]) -> None:
    status, headers, text = on_pallasite["GET /items/3?q=x"]
    assert (status, json.loads(text), headers["x-stamp"]) == (200, {"number": 3, "q": "x"}, "GET")
    assert [on_pallasite[f"GET {path}"][0] for path in ("/items/x", "/nowhere", "/items")] == [422, 404, 405]
    assert on_pallasite["item"][0] == 201
    assert on_pallasite["range"][2] == "body"
    assert json.loads(on_pallasite["upload"][2]) == {"name": "ä.txt", "type": "text/plain", "size": 100_000, "other": 2}
    assert on_pallasite["websocket"] == {"ada": "HI", "database": "database"}


def test_dependencies_and_background_tasks_run_in_order(on_pallasite: dict[str, Any]) -> None:
    journal = on_pallasite["journal"]
    assert (journal[0], journal[-1]) == ("started", "stopped")
    assert journal.count("connected") == journal.count("disconnected")
    assert "indexed lamp" in journal


def test_schema_lists_the_application(on_pallasite: dict[str, Any]) -> None:
    schema = json.loads(on_pallasite["GET /openapi.json"][2])
    assert {"/items/{number}", "/items/", "/form", "/upload"} <= schema["paths"].keys()
