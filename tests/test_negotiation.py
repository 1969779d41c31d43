"""Choosing a media type by Accept (RFC 9110 section 12.5.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite.applications import Pallasite
from pallasite.negotiation import negotiate, preferred_type
from pallasite.requests import HTTPConnection, Request
from pallasite.responses import PlainTextResponse, Response
from pallasite.routing import Route
from tests.support.asgi import assert_linear, scope_of
from tests.support.clients import ClientFactory

OFFERS = ("application/json", "text/html")


def preferred(accept: str | None, *offers: str) -> str | None:
    headers = [] if accept is None else [(b"accept", accept.encode("latin-1"))]
    return preferred_type(scope_of(headers=headers), offers or OFFERS)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "text/html"),
        ("TEXT/HTML", "text/html"),
        ("text/*", "text/html"),
        ("image/png", None),
        ("text/html, application/json", "application/json"),
        ("text/html;q=0.9, application/json;q=0.8", "text/html"),
        # The more specific range counts, regardless of its weight and its position.
        ("*/*;q=0.9, application/json;q=0.1", "text/html"),
        ("application/json;q=0, */*", "text/html"),
        ("text/html;q=0, text/*", None),
        ("application/*;q=0.2, text/*;q=0.3", "text/html"),
        # The value that browsers send.
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        # Not one valid range: as if there were no field.
        ("text/html;q=2", "application/json"),
        # JSON has no charset parameter, but clients send one.
        ("application/json; charset=utf-8", "application/json"),
        ("text/html;level=1", None),
    ],
)
def test_preferred_type_table(accept: str | None, chosen: str | None) -> None:
    assert preferred(accept) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        # RFC 9110 section 12.5.1 has this example and its weights.
        ("text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, */*;q=0.5", "text/plain;format=flowed"),
        ("text/plain;format=FLOWED", "text/plain;format=flowed"),
        ("text/plain;format=fixed", None),
        ("text/plain;format=flowed;q=0.1, text/plain", "text/plain"),
    ],
)
def test_preferred_type_parameters(accept: str, chosen: str | None) -> None:
    assert preferred(accept, "text/plain", "text/plain;format=flowed") == (
        chosen if chosen != "text/plain" else "text/plain"
    )


def test_preferred_type_joins_fields() -> None:
    scope = scope_of(headers=[(b"accept", b"text/html;q=0.1"), (b"accept", b"application/json;q=0.2")])
    assert preferred_type(scope, ("text/html", "application/json")) == "application/json"


@pytest.mark.parametrize("offers", [("html",), ("text/*",), ("/html",), ("text/",), ("",), ()])
def test_preferred_type_offer_that_is_not_a_media_type_is_value_error(offers: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="media type"):
        preferred_type(scope_of(), offers)


@given(st.text(alphabet="texhml/*;q=0.1, \x00é", max_size=60))
def test_preferred_type_any_header_is_answered(accept: str) -> None:
    assert preferred(accept) in (*OFFERS, None)


def test_preferred_type_hostile_header_is_linear() -> None:
    assert_linear(lambda size: "a/b;c=d," * size, preferred)


def endpoint_of(*offers: str, required: bool = False) -> Pallasite:
    async def endpoint(request: Request) -> Response:
        return PlainTextResponse(str(negotiate(request, *offers, required=required)), headers={"Vary": "Origin"})

    return Pallasite(routes=[Route("/", endpoint)])


def test_negotiate_adds_vary_to_the_response(test_client_factory: ClientFactory) -> None:
    client = test_client_factory(endpoint_of(*OFFERS))
    response = client.get("/", headers={"Accept": "text/html"})
    assert response.text == "text/html"
    assert response.headers.get_list("vary") == ["Origin", "Accept"]


def test_negotiate_nothing_acceptable_returns_none(test_client_factory: ClientFactory) -> None:
    response = test_client_factory(endpoint_of(*OFFERS)).get("/", headers={"Accept": "image/png"})
    assert response.text == "None"
    assert "Accept" in response.headers.get_list("vary")


def test_negotiate_required_is_406(test_client_factory: ClientFactory) -> None:
    response = test_client_factory(endpoint_of(*OFFERS, required=True)).get("/", headers={"Accept": "image/png"})
    assert response.status_code == 406
    assert response.text == "Available media types: application/json, text/html"
    assert response.headers["vary"] == "Accept"


def test_negotiate_connection_without_a_response_still_chooses() -> None:
    connection = HTTPConnection(scope_of(headers=[(b"accept", b"text/html")]))
    assert negotiate(connection, *OFFERS) == "text/html"
