"""Status codes by name, and the four names that RFC 9110 changed."""

from __future__ import annotations

import http

import pytest

from pallasite import status
from pallasite.exceptions import StarletteDeprecationWarning


@pytest.mark.parametrize("name", [name for name in status.__all__ if name.startswith("HTTP_")])
def test_http_name_carries_its_number(name: str) -> None:
    assert getattr(status, name) == int(name.split("_")[1])


@pytest.mark.parametrize("name", [name for name in status.__all__ if name.startswith("WS_")])
def test_websocket_name_carries_its_number(name: str) -> None:
    assert getattr(status, name) == int(name.split("_")[1])


def test_names_cover_what_python_knows() -> None:
    ours = {getattr(status, name) for name in status.__all__ if name.startswith("HTTP_")}
    assert ours >= {int(known) for known in http.HTTPStatus}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("HTTP_413_REQUEST_ENTITY_TOO_LARGE", "HTTP_413_CONTENT_TOO_LARGE"),
        ("HTTP_414_REQUEST_URI_TOO_LONG", "HTTP_414_URI_TOO_LONG"),
        ("HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE", "HTTP_416_RANGE_NOT_SATISFIABLE"),
        ("HTTP_422_UNPROCESSABLE_ENTITY", "HTTP_422_UNPROCESSABLE_CONTENT"),
    ],
)
def test_renamed_status_warns_where_it_is_used(old: str, new: str) -> None:
    with pytest.warns(StarletteDeprecationWarning, match=f"'{old}' is deprecated. Use '{new}' instead.") as caught:
        assert getattr(status, old) == getattr(status, new)
    assert caught[0].filename == __file__
    assert old in dir(status)
    assert old not in status.__all__


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="HTTP_299_NOTHING"):
        status.HTTP_299_NOTHING  # noqa: B018
