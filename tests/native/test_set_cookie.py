"""`_core.set_cookie`: the value of a Set-Cookie header."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pallasite import _core


def _cookie(key: str = "k", value: str = "v", **attributes: Any) -> bytes:
    names = ("max_age", "expires", "path", "domain", "secure", "httponly", "samesite", "partitioned")
    defaults = {"secure": False, "httponly": False, "partitioned": False}
    return _core.set_cookie(key, value, *(attributes.get(name, defaults.get(name)) for name in names))  # type: ignore[arg-type]


def test_cookie_number_for_expires_counts_from_times_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 784_111_777.9)
    assert _cookie(expires=0) == b"k=v; expires=Sun, 06 Nov 1994 08:49:37 GMT"
    assert _cookie(expires=-86_400) == b"k=v; expires=Sat, 05 Nov 1994 08:49:37 GMT"
    assert _cookie(expires=True) == b"k=v; expires=Sun, 06 Nov 1994 08:49:38 GMT"


@pytest.mark.parametrize("expires", [10**15, -(10**15), 10**300])
def test_cookie_expiry_beyond_the_calendar_is_refused(expires: int) -> None:
    with pytest.raises(ValueError, match="years 1 to 9999"):
        _cookie(expires=expires)


@pytest.mark.parametrize(("max_age", "expected"), [(0, b"0"), (-1, b"-1"), (10**30, b"1" + b"0" * 30), ("7", b"7")])
def test_cookie_max_age_is_any_number(max_age: Any, expected: bytes) -> None:
    assert _cookie(max_age=max_age) == b"k=v; Max-Age=" + expected


def test_cookie_partitioned_needs_no_python_version() -> None:
    assert _cookie(partitioned=True, secure=True, path="/") == b"k=v; Partitioned; Path=/; Secure"


@pytest.mark.parametrize("attribute", ["path", "domain", "samesite", "expires", "max_age"])
@pytest.mark.parametrize("value", ["/;x", "/\r\nset-cookie: a=b", "/\x00", "\x7f", "\t"])
def test_cookie_attribute_that_would_split_is_refused(attribute: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"the \S+ of a cookie must not contain control characters"):
        _cookie(**{attribute: value})


@pytest.mark.parametrize("key", ["", "a b", "a=b", "a;b", "a\n", "\xe9", "path", "Secure", "MAX-AGE", "partitioned"])
def test_cookie_name_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="cookie"):
        _cookie(key)
