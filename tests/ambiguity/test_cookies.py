"""Cookies that browsers never send are ignored: imitations of protected names, and control characters."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite.applications import Pallasite
from pallasite.requests import Request, cookie_parser
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route
from pallasite.testclient import TestClient


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("__Host-id=1", {"__Host-id": "1"}),
        ("a=b; __Host-id=1;__Secure-id=2", {"a": "b", "__Host-id": "1", "__Secure-id": "2"}),
        # A nameless cookie with the value `__Host-id=1`, as browsers should write it. (Those that leave the first `=`
        # out cannot be distinguished from honest ones.)
        ("=__Host-id=1", {"": "__Host-id=1"}),
        ("__Host-id", {"": "__Host-id"}),
        ("__Host-id =1", {}),
        ("__Host-id\t=1", {}),
        ("  __Host-id=1", {}),
        ("\t__Host-id=1", {}),
        ("a=b;  __Host-id=1", {"a": "b"}),
        ("__host-id =1; __SECURE-id =2; __http-id =3", {}),
        ("\x0b__Host-id=1", {}),
        ("\x1c__Host-id=1", {}),
        ("__Host-id\x1f=1", {}),
        # Whitespace beyond ASCII, which Python's strip() removes, belongs to the name.
        ("\x85__Host-id=1", {"\x85__Host-id": "1"}),
        ("\xa0__Host-id=1", {"\xa0__Host-id": "1"}),
        ("\u2000__Host-id=1", {"\u2000__Host-id": "1"}),
        # A host has one cookie of such a name: one of these two is not the host's.
        ("__Host-id=1; __Host-id=2", {}),
        ("__Host-id=1; a=b; __Host-id=1; __Host-id=1", {"a": "b"}),
        ("__Secure-id=1; __Secure-id=2", {"__Secure-id": "2"}),
        ("a=1; a=2", {"a": "2"}),
    ],
)
def test_imitation_of_a_protected_name_is_left_out(header: str, cookies: dict[str, str]) -> None:
    assert cookie_parser(header) == cookies


@pytest.mark.parametrize("code", [*range(9), *range(10, 32), 127])
def test_pair_with_a_control_character_is_left_out(code: int) -> None:
    bad = chr(code)
    header = f"a=1; b{bad}=2; c={bad}3; d=4{bad}; {bad}e=5; f=6"
    assert cookie_parser(header) == {"a": "1", "f": "6"}


def test_imitations_in_several_headers_are_left_out() -> None:
    headers = [(b"cookie", b"__Host-id=1"), (b"cookie", b"a=b; __Host-id=2"), (b"cookie", b"c\x00=d")]
    assert Request({"type": "http", "headers": headers}).cookies == {"a": "b"}


@pytest.mark.parametrize("value", ["\r\nset-cookie: x=y", "a\0b", "\x7f\x01", "; path=/", 'a"b\\c', "ÿ"])
def test_control_characters_are_quoted_on_the_way_out_and_come_back(value: str, test_client_factory: Any) -> None:
    async def store(request: Request) -> Response:
        response = Response()
        response.set_cookie("a", value)
        return response

    async def read(request: Request) -> JSONResponse:
        return JSONResponse(request.cookies)

    client: TestClient = test_client_factory(Pallasite(routes=[Route("/store", store), Route("/read", read)]))
    [cookie] = client.get("/store").headers.get_list("set-cookie")
    assert cookie.isprintable()
    pair = cookie.partition("; Path")[0]
    assert client.get("/read", headers={"cookie": pair}).json() == {"a": value}
