"""Query strings, urlencoded forms, and numbers and languages that clients write."""

from __future__ import annotations

from typing import Any

import pytest

from pallasite import _core
from pallasite.applications import Pallasite
from pallasite.datastructures import URL, QueryParams
from pallasite.requests import Request
from pallasite.responses import JSONResponse, Response
from pallasite.routing import Route
from tests.support.asgi import ask, assert_linear, post

pytestmark = pytest.mark.anyio

KIND = b"application/x-www-form-urlencoded"


async def read_query(request: Request) -> Response:
    return JSONResponse(request.query_params.multi_items())


async def read_form(request: Request) -> Response:
    return JSONResponse([list(pair) for pair in (await request.form()).multi_items()])


async def read_value(request: Request) -> Response:
    return JSONResponse(request.path_params["value"])


async def read_json(request: Request) -> Response:
    return JSONResponse(await request.json())


async def read_languages(request: Request) -> Response:
    return JSONResponse([choice[0] for choice in _core.parse_accept(request.headers["accept-language"])])


app = Pallasite(
    routes=[
        Route("/", read_query),
        Route("/form", read_form, methods=["POST"]),
        Route("/int/{value:int}", read_value),
        Route("/float/{value:float}", read_value),
        Route("/json", read_json, methods=["POST"]),
        Route("/languages", read_languages),
    ]
)


# --- separators

SEMICOLONS = {
    "a=1;b=2": [["a", "1;b=2"]],
    "a=1&x=;a=2": [["a", "1"], ["x", ";a=2"]],
    "a;b": [["a;b", ""]],
    ";a=1": [[";a", "1"]],
    "a=1%3Bb=2": [["a", "1;b=2"]],
    "a=1%26b=2": [["a", "1&b=2"]],
}


@pytest.mark.advisory("CVE-2021-23336", "CVE-2020-28473", "CVE-2026-53538")
@pytest.mark.parametrize(("text", "pairs"), SEMICOLONS.items())
async def test_semicolon_separates_nothing(text: str, pairs: list[list[str]]) -> None:
    body = JSONResponse(pairs).body
    assert (await ask(app, query=text.encode())).body == body
    assert [list(pair) for pair in QueryParams(text).multi_items()] == pairs
    for pieces in ([text.encode()], [bytes([byte]) for byte in text.encode()]):
        if all(value or "=" in text for _, value in pairs):
            assert (await post(app, pieces, KIND, "/form")).body == body


@pytest.mark.advisory("CVE-2021-23336")
async def test_url_keeps_a_semicolon_in_its_parameter() -> None:
    url = URL("http://h/?a=1;b=2&c=3")
    assert str(url.remove_query_params("b")) == "http://h/?a=1%3Bb%3D2&c=3"
    assert str(url.include_query_params(b=4)) == "http://h/?a=1%3Bb%3D2&c=3&b=4"
    assert str(url.replace_query_params(x=";y=1")) == "http://h/?x=%3By%3D1"


HARD_FIELDS = {
    "semicolons": lambda size: b"a;" * size,
    "semicolons, one ampersand": lambda size: b"a;" * size + b"&",
    "equals signs": lambda size: b"=" * size,
    "ampersands": lambda size: b"&" * size,
    "percents": lambda size: b"%" * size,
    "halves of escapes": lambda size: b"%f" * size,
    "plus signs": lambda size: b"+" * size,
    "bad utf-8": lambda size: b"%ff%c0" * size,
}


def feed_all(parser: _core.UrlencodedParser, pieces: list[bytes]) -> None:
    items: list[Any] = []
    for piece in pieces:
        parser.feed(piece, items)


@pytest.mark.advisory("CVE-2026-53539")
@pytest.mark.parametrize("make", HARD_FIELDS.values(), ids=HARD_FIELDS.keys())
def test_fields_are_read_in_one_pass(make: Any) -> None:
    assert_linear(make, _core.parse_query)
    body = make(50_000)
    for step in (1, 1000, len(body)):
        parser = _core.UrlencodedParser(1e9, 1e9)
        feed_all(parser, [body[at : at + step] for at in range(0, len(body), step)])
        parser.finish([])
        assert parser.steps <= 4 * len(body)


@pytest.mark.advisory("CVE-2026-54283")
async def test_limits_hold_for_urlencoded_forms() -> None:
    for count, status in ((1000, 200), (1001, 400)):
        body = b"&".join([b"a=b"] * count)
        for pieces in ([body], [body[at : at + 100] for at in range(0, len(body), 100)]):
            assert (await post(app, pieces, KIND, "/form")).status == status
    for body in (b"a=" + b"x" * (1024 * 1024), b"x" * (1024 * 1024 + 1), b"a=" + b"%41" * 400_000):
        pieces = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
        with pytest.raises(_core.FormError, match="field_too_long"):
            feed_all(_core.UrlencodedParser(1000, 1024 * 1024), pieces * 2)
        assert (await post(app, body, KIND, "/form")).status == 400


@pytest.mark.advisory("CVE-2026-54283")
async def test_limits_set_by_an_application_hold_for_every_kind_of_form() -> None:
    async def limited(request: Request) -> Response:
        return JSONResponse(len(await request.form(max_fields=2, max_part_size=10)))

    small = Pallasite(routes=[Route("/", limited, methods=["POST"])])
    part = b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    for pairs, status in (
        ([(b"a", b"b"), (b"c", b"d")], 200),
        ([(b"a", b"b")] * 3, 400),
        ([(b"a", b"x" * 11)], 400),
    ):
        urlencoded = b"&".join(b"=".join(pair) for pair in pairs)
        multipart = b"".join(part % pair for pair in pairs) + b"--B--"
        assert (await post(small, urlencoded, KIND)).status == status
        assert (await post(small, multipart, b"multipart/form-data; boundary=B")).status == status


# --- numbers


@pytest.mark.advisory("CVE-2020-10735")
@pytest.mark.parametrize("digits", ["9" * 4301, "1" * 100_000, "1" + "0" * 4300], ids=["4301", "many", "zeros"])
async def test_number_of_many_digits_is_refused_before_it_is_one(digits: str) -> None:
    assert (await ask(app, f"/int/{digits}")).status == 404
    assert (await ask(app, f"/float/{digits}")).status == 404
    for body in (digits, f"[{digits}]", f"-{digits}", f'{{"a":{digits}}}'):
        assert (await post(app, body.encode(), b"application/json", "/json")).status == 400


@pytest.mark.advisory("CVE-2020-10735")
def test_digits_cost_no_more_than_their_number() -> None:
    scope = {"type": "http", "method": "GET", "headers": [], "query_string": b""}
    for path in ("/int/", "/float/", "/float/1."):

        def make(size: int, path: str = path) -> dict[str, Any]:
            return {**scope, "path": path + "9" * size}

        assert_linear(make, app.router.routes[2].matches)


@pytest.mark.advisory("CVE-2024-41989")
@pytest.mark.parametrize("text", ["1e9", "1e1000", "1E+5", "inf", "nan", "-1", "0x10", "1_000", "9" * 400 + ".0"])
async def test_number_with_an_exponent_is_not_a_number(text: str) -> None:
    assert (await ask(app, f"/float/{text}")).status == 404
    assert (await ask(app, f"/int/{text}")).status == 404


@pytest.mark.advisory("CVE-2025-69224", "CVE-2025-69225")
@pytest.mark.parametrize("digits", ["\u0661\u0662", "\uff11\uff12", "\u00b2", "\u2460", "1\u0662", "\U0001d7d9"])
async def test_digits_are_those_of_ascii(digits: str) -> None:
    assert (await ask(app, f"/int/{digits}")).status == 404
    assert (await ask(app, f"/float/{digits}")).status == 404
    assert (await ask(app, f"/float/1.{digits}")).status == 404
    assert _core.parse_host(f"h:{digits}") is None
    assert not _core.is_valid_port(digits)


@pytest.mark.advisory("CVE-2024-41989")
@pytest.mark.parametrize("text", ["1e400", "-1e400", "[1e999]", '{"a": [1e309]}', "NaN", "[Infinity]"])
async def test_json_number_beyond_all_floats_is_refused(text: str) -> None:
    assert (await post(app, text.encode(), b"application/json", "/json")).status == 400


# --- languages

HARD_LANGUAGES = {
    "languages": lambda size: "en-us," * size,
    "one long": lambda size: "a" * size,
    "hyphens": lambda size: "a-" * size,
    "regular expression": lambda size: "(a+)+" * size,
    "weights": lambda size: "en;q=0.5," * size,
    "long weight": lambda size: "en;q=0." + "5" * size,
    "blanks": lambda size: "en" + " " * size + ",",
    "commas": lambda size: "," * size,
}


@pytest.mark.advisory("CVE-2023-23969", "CVE-2022-41323", "CVE-2024-39614")
@pytest.mark.parametrize("make", HARD_LANGUAGES.values(), ids=HARD_LANGUAGES.keys())
def test_languages_are_read_in_one_pass_and_not_kept(make: Any) -> None:
    assert_linear(make, _core.parse_accept)
    assert len(_core.parse_accept(make(10_000))) <= 256


@pytest.mark.advisory("CVE-2022-41323")
async def test_language_is_text_and_no_expression() -> None:
    answer = await ask(app, "/languages", headers=[(b"accept-language", b"(a+)+$, [a-z]{9999}, en")])
    assert answer.body == b'["(a+)+$","[a-z]{9999}","en"]'


# --- encodings


@pytest.mark.advisory("CVE-2022-45061")
@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "unicode_escape", "utf-7", "zlib", "base64", "rot13", "x" * 9999]
)
async def test_charset_that_a_client_names_is_one_of_the_web(charset: str) -> None:
    body = b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nxn--' + b"\xe9" * 100_000 + b"\r\n--B--"
    kind = f"multipart/form-data; boundary=B; charset={charset}".encode()
    answer = await post(app, body, kind, "/form")
    assert answer.body == JSONResponse([["a", "xn--" + "é" * 100_000]]).body


HARD_URLS = {
    "unicode host": lambda size: "http://" + "\u00e9" * size,
    "labels": lambda size: "http://" + "a." * size,
    "punycode": lambda size: "http://xn--" + "a" * size,
    "escapes": lambda size: "http://h/" + "%c3%a9" * size,
    "bad escapes": lambda size: "http://h/" + "%ff" * size,
    "unicode path": lambda size: "http://h/" + "\u0130" * size,
}


def look_at_url(text: str) -> None:
    url = URL(text)
    assert url.scheme == "http"
    assert url.hostname is not None
    str(url.replace(path="/x", port=1))
    str(url.include_query_params(a="b"))


@pytest.mark.advisory("CVE-2022-45061", "CVE-2023-41164", "CVE-2023-36053")
@pytest.mark.parametrize("make", HARD_URLS.values(), ids=HARD_URLS.keys())
def test_address_of_any_length_costs_its_length(make: Any) -> None:
    assert_linear(make, look_at_url)
