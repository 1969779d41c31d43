"""`_core.TrustedProxies`: what is read of the fields of proxies. Most cases are in the tests of the middleware."""

from __future__ import annotations

import random

import pytest

from pallasite._core import TrustedProxies
from tests.support.asgi import assert_linear

X = TrustedProxies(["10.0.0.0/8", "::1/128"], None, False)
RFC = TrustedProxies(["10.0.0.0/8"], None, True)


def test_addresses_of_networks_are_trusted() -> None:
    assert X.trusts("10.2.3.4")
    assert X.trusts("::ffff:10.2.3.4")
    assert X.trusts("::1")
    for text in ("11.0.0.1", "", "10", "10.0.0.1:80", "\ud800", "localhost", "::1%lo"):
        assert not X.trusts(text)


def test_network_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"is not a network such as 10\.0\.0\.0/8"):
        TrustedProxies(["10.0.0.0/33"], None, False)


def test_request_without_fields_says_nothing() -> None:
    assert X.read([]) is None
    assert RFC.read([(b"x-forwarded-for", b"1.1.1.1")]) is None
    assert X.read([(b"x-forwarded-for", b"")]) == (None, None, None)
    assert TrustedProxies.prefix([]) is None


def test_fields_may_be_written_in_any_case_and_be_doubled() -> None:
    assert X.read([(b"X-Forwarded-For", b"6.6.6.6"), (b"x-forwarded-for", b"7.7.7.7")]) == (("7.7.7.7", 0), None, None)


def test_random_fields_are_answered() -> None:
    source = random.Random(7)
    for _ in range(2_000):
        field = bytes(source.choices(b'for=1.2:;,"\\ []_proto\xff\x00', k=source.randrange(60)))
        for proxies in (X, RFC):
            names = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded")
            client, _, host = proxies.read([(name, field) for name in names]) or (None, None, None)
            assert client is None or 0 <= client[1] < 65536
            assert host is None or host.isascii()


@pytest.mark.parametrize("piece", [b"1.1.1.1,", b'"\\', b"a=1;", b"[", b",", b'for="\\x";'])
def test_work_is_linear(piece: bytes) -> None:
    def make(count: int) -> list[tuple[bytes, bytes]]:
        return [
            (b"forwarded", piece * count),
            (b"x-forwarded-for", piece * count),
            (b"x-forwarded-prefix", piece * count),
        ]

    assert_linear(make, RFC.read)
    assert_linear(make, X.read)
    assert_linear(make, TrustedProxies.prefix)
