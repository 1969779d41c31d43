"""The media type of a response, chosen by what the client accepts. Source: RFC 9110 section 12.5.1."""

from __future__ import annotations

from collections.abc import Iterable

from pallasite._core import Observer, header_values, parse_accept, parse_content_type
from pallasite.exceptions import HTTPException
from pallasite.requests import HTTPConnection
from pallasite.types import Scope

__all__ = ["negotiate", "preferred_type"]


def negotiate(request: HTTPConnection, *offers: str, required: bool = False) -> str | None:
    """Return the offer that the client prefers, or None if it accepts none of them.

    ::

        if negotiate(request, "application/json", "text/html") == "text/html":
            return HTMLResponse(...)

    Each offer has the weight of the most specific range in `Accept` that matches it, and of offers with the same weight
    the first is returned. Without an `Accept` field everything is accepted, so the first offer is returned. The
    response gets ``Vary: Accept``, whatever the result is.

    Args:
        offers: media types, such as ``"text/html"`` or ``"application/json;profile=short"``.
        required: respond with 406 instead of returning None.

    Raises:
        ValueError: there are no offers, or one of them is not a media type.
        HTTPException: 406, if `required` is true and no offer is acceptable.
    """
    send = getattr(request, "_send", None)
    if isinstance(send, Observer) and not send.started:
        send.add_field(b"vary", b"Accept")
    chosen = preferred_type(request.scope, offers)
    if chosen is None and required:
        raise HTTPException(406, detail=f"Available media types: {', '.join(offers)}")
    return chosen


def preferred_type(scope: Scope, offers: Iterable[str]) -> str | None:
    """Return what `negotiate` does, for an ASGI scope. The caller adds ``Vary: Accept`` to the response."""
    parsed = [(offer, _media_type(offer)) for offer in offers]
    if not parsed:
        raise ValueError("negotiation needs at least one media type to offer")
    fields = header_values(scope["headers"], "accept")
    ranges = parse_accept(", ".join(fields))
    if not ranges:
        # No field, an empty one, or one without a single valid range: nothing that could be honoured.
        return parsed[0][0]
    best, best_weight = None, 0.0
    for offer, (kind, parameters) in parsed:
        weight = _weight(ranges, kind, parameters)
        if weight > best_weight:
            best, best_weight = offer, weight
    return best


def _media_type(offer: str) -> tuple[str, dict[str, str]]:
    kind, parameters = parse_content_type(offer)
    type_, slash, subtype = kind.partition("/")
    if not slash or not type_ or not subtype or "*" in kind:
        raise ValueError(f"{offer!r} is not a media type, such as 'text/html'")
    return kind, parameters


def _weight(ranges: list[tuple[str, float, dict[str, str]]], kind: str, parameters: dict[str, str]) -> float:
    """Return the weight of the most specific range that matches a media type, 0.0 if none does.

    More specific, in this order: the full type before ``text/*`` before ``*/*``, then more parameters.
    """
    found, found_weight = (-1, -1), 0.0
    wildcard = kind.partition("/")[0] + "/*"
    for name, weight, wanted in ranges:
        if name == kind:
            exactness = 2
        elif name == wildcard:
            exactness = 1
        elif name == "*/*":
            exactness = 0
        else:
            continue
        rank = (exactness, len(wanted))
        if rank > found and all(_has(parameters, key, value) for key, value in wanted.items()):
            found, found_weight = rank, weight
    return found_weight


def _has(parameters: dict[str, str], key: str, value: str) -> bool:
    # Clients add `charset` to types that have none, as in `application/json; charset=utf-8`.
    known = parameters.get(key)
    return key == "charset" if known is None else known.lower() == value.lower()
