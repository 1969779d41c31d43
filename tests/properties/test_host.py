"""Host headers against Starlette's reading and the standard library's IPv6 addresses."""

from __future__ import annotations

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st
from starlette._utils import parse_host_header

from pallasite import _core

_ascii = st.characters(max_codepoint=127)
_header = st.one_of(
    st.text(st.one_of(st.sampled_from("[]:.:%v0189aFg/@\\ \n-_~"), _ascii), max_size=30),
    st.lists(st.sampled_from(["[", "]", ":", "::", "v1.", "1", "ffff", "1.2.3.4", "a", ".", ":80"]), max_size=12).map(
        "".join
    ),
)


@given(_header)
@example("[1:2:3:4:5:6:7::]")
@example("[::2:3:4:5:6:7:8]")
@example("[1:2:3:4::5:6:7:8]")
@example("[::1.2.3.04]")
@example("[::1.2.3.256]")
@example("[::ffff:1.2.3.4]:080")
@example("a\n")
@example("a..b")
@example("a.b.")
def test_parse_host_equals_starlettes(header: str) -> None:
    expected = parse_host_header(header)
    parsed = _core.parse_host(header)
    if expected is not None and "[" not in expected.host and "" in expected.host.removesuffix(".").split("."):
        assert parsed is None  # Deviation: an empty label is malformed
        return
    assert parsed == (None if expected is None else (expected.host, expected.port))
    if expected is not None and expected.port is not None:
        assert _core.is_valid_port(expected.port) is expected.is_valid_port


@given(st.ip_addresses(v=6).map(str), st.one_of(st.none(), st.integers(0, 10**7)))
def test_parse_host_ipv6_literal_is_kept(address: str, port: int | None) -> None:
    header = f"[{address}]" if port is None else f"[{address}]:{port}"
    assert _core.parse_host(header) == (f"[{address}]", None if port is None else str(port))


@given(st.text(st.sampled_from("0123456789abcdef:."), max_size=30).filter(lambda text: ":" in text))
def test_parse_host_brackets_hold_valid_addresses_only(text: str) -> None:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        assert _core.parse_host(f"[{text}]") is None
    else:
        assert _core.parse_host(f"[{text}]") == (f"[{text}]", None)


@given(st.text(max_size=20))
def test_parse_host_any_text_is_ascii_or_none(header: str) -> None:
    # Deviation: letters that only fold to ASCII (the Kelvin sign) are not allowed in a host.
    parsed = _core.parse_host(header)
    assert parsed is None or header.isascii()
