"""JSON text (RFC 8259), both ways. Reading is as strict as the RFC: no ``NaN``, and no number that becomes infinite."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from pallasite._core import dumps, may_overflow
from pallasite._http.text import escape_surrogates

__all__ = ["STOCK_DUMPS", "decode", "encode", "encode_ascii", "encode_text"]

STOCK_DUMPS = json.dumps
_STOCK_LOADS = json.loads


def encode(value: Any) -> bytes:
    """Return `value` as compact UTF-8 JSON, as `json.dumps(value, ensure_ascii=False, allow_nan=False)` spells it.

    A lone surrogate is written as its escape. `json.dumps` is called if something has replaced it.

    Raises:
        TypeError: a value has a type that JSON does not have.
        ValueError: NaN, an infinity, or a value that contains itself.
    """
    if json.dumps is STOCK_DUMPS:
        encoded = dumps(value)
        if encoded is not None:
            return encoded
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=None, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return escape_surrogates(text).encode("utf-8")


def encode_text(value: Any) -> str:
    """Return `value` as compact JSON text, with NaN and infinities as the words that JavaScript uses.

    Raises:
        TypeError: a value has a type that JSON does not have.
        ValueError: a value contains itself.
    """
    encoded = dumps(value) if json.dumps is STOCK_DUMPS else None
    if encoded is not None:
        return encoded.decode("utf-8")
    # A text frame is UTF-8, which cannot hold lone surrogates.
    return escape_surrogates(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def encode_ascii(value: dict[str, Any]) -> bytes:
    """Return a dictionary as compact JSON; what is not encoded natively is written in ASCII with escapes."""
    encoded = dumps(dict(value))
    return json.dumps(value, separators=(",", ":")).encode("ascii") if encoded is None else encoded


def decode(document: str | bytes) -> Any:
    """The value of `document`; bytes are UTF-8, or what else `json.loads` recognises.

    `json.loads` itself is called where somebody has replaced it, and decides alone then.

    Raises:
        ValueError: not JSON (a `json.JSONDecodeError` with the place), bad UTF-8, a number that no float or int of
            Python's can hold.
        RecursionError: nested too deeply.

    Source: RFC 8259 sections 6 and 8.1.
    """
    if json.loads is not _STOCK_LOADS:
        return json.loads(document)
    overflow = may_overflow(document)
    if isinstance(document, bytes):
        encoding = json.detect_encoding(document)
        overflow = overflow or encoding != "utf-8"
        document = document.decode(encoding)
    return (_decode_checked if overflow else _decode)(document)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("A number is too large")
    return number


_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
# A call for each float: lists of floats take 1.7 times as long, which only documents with huge numbers have to pay.
_decode_checked = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).decode
