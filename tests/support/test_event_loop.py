"""The guard of `event_loop`: on during the tests, on both loops, for blocking calls of Pallasite only."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio.to_thread
import pytest
from blockbuster import BlockingError

from pallasite.applications import Pallasite
from pallasite.config import Config
from pallasite.requests import Request
from pallasite.responses import FileResponse, Response
from pallasite.routing import Route

pytestmark = pytest.mark.anyio


async def test_blocking_call_of_pallasite_is_an_error() -> None:
    with pytest.raises(BlockingError, match=r"os\.stat"):
        Config(__file__)


async def test_blocking_call_of_pallasite_in_a_worker_thread_is_allowed(tmp_path: Any) -> None:
    with pytest.warns(UserWarning, match="not found"):
        await anyio.to_thread.run_sync(Config, tmp_path / "missing")


async def test_blocking_call_of_a_test_is_allowed() -> None:
    time.sleep(0)  # noqa: ASYNC251 - the call under test


def test_response_that_blocks_the_loop_is_found(
    test_client_factory: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send_file(request: Request) -> Response:
        return FileResponse(__file__)

    async def at_once(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return function(*args)

    client = test_client_factory(Pallasite(routes=[Route("/", send_file)]))
    assert client.get("/").status_code == 200
    monkeypatch.setattr(anyio.to_thread, "run_sync", at_once)
    with pytest.raises(BlockingError):
        client.get("/")
