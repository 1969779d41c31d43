"""A client of an application that describes the form it gets, and the spools opened meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest

from pallasite import formparsers
from pallasite.applications import Pallasite
from pallasite.requests import Request
from pallasite.responses import JSONResponse
from pallasite.routing import Route


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The files that forms open, in order."""
    files: list[Any] = []

    def open_file(max_size: int) -> Any:
        files.append(SpooledTemporaryFile(max_size=max_size))  # noqa: SIM115  # closed by the code under test
        return files[-1]

    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", open_file)
    return files


async def describe(request: Request) -> JSONResponse:
    async with request.form() as form:
        described = [
            [name, value if isinstance(value, str) else [value.filename, value.size, value.content_type]]
            for name, value in form.multi_items()
        ]
    return JSONResponse(described)


@pytest.fixture
def client(test_client_factory: Callable[..., Any]) -> Any:
    return test_client_factory(Pallasite(routes=[Route("/", describe, methods=["POST"])]))
