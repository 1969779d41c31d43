"""A cookie equals that of `http.cookies`, through Starlette, for the same arguments. No value can break the header."""

from __future__ import annotations

import datetime as dt
import http.cookies
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.responses import Response as StarletteResponse

from pallasite.responses import Response

_KEYS = st.text("abcXYZ019!#$%&'*+-.^_`|~:", min_size=1)
_CLEAN = st.text(st.characters(codec="latin-1", categories=["L", "N", "P", "S", "Zs"], exclude_characters=";"))
_DATES = st.datetimes(timezones=st.just(dt.UTC))
_ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "max_age": st.integers() | st.none(),
        "expires": _CLEAN | _DATES | st.none(),
        "path": _CLEAN | st.none(),
        "domain": _CLEAN | st.none(),
        "secure": st.booleans(),
        "httponly": st.booleans(),
        "samesite": st.sampled_from(["lax", "strict", "none", "Lax", "NONE", None]),
    },
)


def cookie(response: Any, *arguments: Any, **attributes: Any) -> bytes:
    response.set_cookie(*arguments, **attributes)
    name, value = response.raw_headers[-1]
    assert name == b"set-cookie"
    return bytes(value)


@given(_KEYS, st.text(st.characters(codec="latin-1", exclude_categories=["Cc"])), _ATTRIBUTES)
def test_cookie_equals_starlettes(key: str, value: str, attributes: dict[str, Any]) -> None:
    if attributes.get("samesite") in ("none", "NONE"):
        attributes["secure"] = True  # rejected otherwise, as browsers do
    assert cookie(Response(), key, value, **attributes) == cookie(StarletteResponse(), key, value, **attributes)


@given(st.text(st.characters(codec="latin-1")))
def test_cookie_value_reads_back(value: str) -> None:
    header = cookie(Response(), "k", value, path=None, samesite=None).decode("latin-1")
    assert http.cookies._unquote(header.removeprefix("k=")) == value


@given(st.text(), st.text(), st.text(), st.text(), st.text())
def test_cookie_of_any_text_keeps_to_its_line_or_is_refused(
    key: str, value: str, path: str, domain: str, expires: str
) -> None:
    try:
        header = cookie(Response(), key, value, path=path, domain=domain, expires=expires, samesite=None)
    except ValueError:
        return
    assert not set(b"\r\n\0") & set(header)
    assert header.count(b";") == len([text for text in (path, domain, expires) if text])


@given(st.datetimes(timezones=st.timezones() | st.just(dt.UTC)))
def test_cookie_date_of_any_zone_is_the_same_moment(moment: dt.datetime) -> None:
    in_utc = moment.astimezone(dt.UTC) if dt.MINYEAR + 1 < moment.year < dt.MAXYEAR else None
    assume(in_utc is not None)
    assert cookie(Response(), "k", expires=moment) == cookie(Response(), "k", expires=in_utc)
