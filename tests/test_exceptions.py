"""Exceptions with a status or close code, and the documented tree of exceptions."""

from __future__ import annotations

import pickle

import pytest

from pallasite import exceptions
from pallasite.exceptions import HTTPException, StarletteDeprecationWarning, WebSocketException


@pytest.mark.parametrize(
    ("status_code", "detail", "expected"),
    [(404, None, "Not Found"), (404, "gone fishing", "gone fishing"), (404, "", ""), (499, None, "")],
    ids=["phrase", "given", "empty", "unknown-code"],
)
def test_http_exception_detail_defaults_to_the_phrase(status_code: int, detail: str | None, expected: str) -> None:
    error = HTTPException(status_code, detail)
    assert (error.status_code, error.detail, error.headers) == (status_code, expected, None)
    assert str(error) == f"{status_code}: {expected}"
    assert repr(error) == f"HTTPException(status_code={status_code}, detail={expected!r})"


def test_http_exception_keeps_headers() -> None:
    assert HTTPException(401, headers={"www-authenticate": "Basic"}).headers == {"www-authenticate": "Basic"}


def test_http_exception_subclass_is_named_in_repr() -> None:
    class Teapot(HTTPException):
        pass

    assert repr(Teapot(418)) == 'Teapot(status_code=418, detail="I\'m a Teapot")'


def test_http_exception_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(HTTPException(404, "x")))
    assert (copy.status_code, copy.detail) == (404, "x")


@pytest.mark.parametrize(("reason", "expected"), [(None, ""), ("", ""), ("bye", "bye")])
def test_websocket_exception_reason_defaults_to_nothing(reason: str | None, expected: str) -> None:
    error = WebSocketException(1008, reason)
    assert (error.code, error.reason) == (1008, expected)
    assert str(error) == f"1008: {expected}"
    assert repr(error) == f"WebSocketException(code=1008, reason={expected!r})"


def test_deprecation_warning_shows_by_default() -> None:
    assert issubclass(StarletteDeprecationWarning, UserWarning)
    assert not issubclass(StarletteDeprecationWarning, DeprecationWarning)


def test_tree_at_the_top_names_what_the_module_defines() -> None:
    assert exceptions.__doc__ is not None
    assert all(name in exceptions.__doc__ for name in exceptions.__all__)
