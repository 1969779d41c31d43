"""Host headers: host and port, or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pallasite import _core


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("a.org", ("a.org", None)),
        ("A.org:8000", ("A.org", "8000")),
        ("[::1]", ("[::1]", None)),
        ("[::1]:80", ("[::1]", "80")),
        ("[v7.x:y]", ("[v7.x:y]", None)),
        ("a:0000000099999999", ("a", "0000000099999999")),
    ],
)
def test_parse_host_valid_is_split(header: str, parts: tuple[str, str | None]) -> None:
    assert _core.parse_host(header) == parts


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":80",
        "a:",
        "a:b",
        "u@a",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a b",
        "a\n",
        "a\r\nb",
        "[",
        "[]",
        "[::1",
        "[::1%1]",
        "[1.2.3.4]",
        "é.org",
        "\u212a.org",
        "\ud800",
        "a\0",
    ],
)
def test_parse_host_invalid_returns_none(header: str) -> None:
    assert _core.parse_host(header) is None


@pytest.mark.parametrize(("host", "name"), [("a.b.", "a.b"), ("a.b.:80", "a.b"), ("a.b", "a.b"), ("[::1]", "[::1]")])
def test_request_host_has_no_final_dot(host: str, name: str) -> None:
    found = _core.request_host([(b"host", host.encode())])
    assert found is not None
    assert found[0] == name
    assert _core.parse_host(host) is not None


@pytest.mark.parametrize("host", [".", "..", ".a", "a..", "a..b", "x" * 64, "a." * 127 + "a"])
def test_parse_host_name_that_the_dns_cannot_have_is_none(host: str) -> None:
    assert _core.parse_host(host) is None


def test_parse_host_very_long_is_read_once() -> None:
    assert _core.parse_host("a" * 1_000_000) is None
    assert _core.parse_host("a." * 500_000) is None
    assert _core.parse_host("a:" + "1" * 1_000_000) == ("a", "1" * 1_000_000)
    assert _core.parse_host("[" * 1_000_000) is None


@pytest.mark.parametrize(
    ("port", "valid"),
    [
        ("", True),
        ("0", True),
        ("65535", True),
        ("065535", True),
        ("65536", False),
        ("9" * 5000, False),
        ("0" * 5000, True),
        ("+1", False),
        ("٣", False),
        ("\ud800", False),
    ],
)
def test_is_valid_port_table(port: str, valid: bool) -> None:
    assert _core.is_valid_port(port) is valid


@pytest.mark.parametrize("header", [None, b"a", 1])
def test_parse_host_anything_but_text_is_type_error(header: Any) -> None:
    with pytest.raises(TypeError):
        _core.parse_host(header)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ([b"Example.org:8000"], ("Example.org", "8000")),
        ([], None),
        ([b"example.org", b"example.org"], None),
        ([b"example.org", b"evil.example"], None),
        ([b"example.org", b"a b", b"c"], None),
        ([b"a b"], None),
        ([b"\xff"], None),
        ([""], None),
    ],
)
@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_request_host_is_that_of_the_one_header(values: list[Any], parts: Any, kind: Callable[[Any], Any]) -> None:
    headers = [(b"accept", b"x"), *((b"host", value) for value in values), (b"accept", b"y")]
    assert _core.request_host(kind(headers)) == parts
