"""JSON text (RFC 8259) from a client, read as strictly as the RFC has it: no ``NaN``, and no way to an infinity."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from pallasite._core import may_overflow

__all__ = ["decode"]

_STOCK_LOADS = json.loads


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
