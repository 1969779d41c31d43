"""Values of query parameters, form fields and headers, read as numbers, dates and the like.

Public as methods of `pallasite.datastructures.QueryParams`, `FormData` and `Headers`, and
`pallasite.problems.InvalidParameter`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import date, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from pallasite.exceptions import HTTPException

if TYPE_CHECKING:
    from uuid import UUID

DefaultT = TypeVar("DefaultT")
ValueT = TypeVar("ValueT")

_REQUIRED: Any = object()
# More digits than int() converts by default would be a ValueError of another kind, and a slow one.
_INTEGER = re.compile(r"[+-]?[0-9]{1,1000}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,1000}(?:\.[0-9]{0,1000})?|\.[0-9]{1,1000})(?:[eE][+-]?[0-9]{1,9})?", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
_DATETIME = re.compile(
    rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})[Tt ]({_TIME})(?:[Zz]|([+ -])([0-9]{{2}}:[0-9]{{2}}))", re.ASCII
)
_BOOLEANS = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
_SHOWN_CHARACTERS = 80


class InvalidParameter(HTTPException):
    """A query parameter, form field or header that is missing or cannot be read as its type (400).

    Its problem document names it in `parameter`, and where it is in `in`: ``query``, ``form`` or ``header``.
    """

    def __init__(self, name: str, place: str, detail: str) -> None:
        super().__init__(400, detail=detail)
        self.name = name
        self.place = place
        self._problem = {
            "type": "about:blank",
            "title": "Bad Request",
            "status": 400,
            "detail": detail,
            "parameter": name,
            "in": place,
        }


class TypedReader:
    """Reads the value of a key as one type. The base of mappings from names to text.

    Each method returns `default` if the key is missing. Without a default the key is required. Of several values of a
    key the method reads the one that ``get`` returns.

    Raises:
        InvalidParameter: the key is missing and required, or its value is malformed or out of bounds (400).
    """

    _place: ClassVar[str]
    get: Callable[..., Any]

    @overload
    def get_int(self, name: str, *, ge: int | None = None, le: int | None = None) -> int: ...

    @overload
    def get_int(
        self, name: str, default: DefaultT, *, ge: int | None = None, le: int | None = None
    ) -> int | DefaultT: ...

    def get_int(self, name: str, default: Any = _REQUIRED, *, ge: int | None = None, le: int | None = None) -> Any:
        """Return an integer in decimal notation, between `ge` and `le`."""
        return self._read(name, default, "an integer", lambda text: _within(_integer(text), ge, le), ge, le)

    @overload
    def get_float(self, name: str, *, ge: float | None = None, le: float | None = None) -> float: ...

    @overload
    def get_float(
        self, name: str, default: DefaultT, *, ge: float | None = None, le: float | None = None
    ) -> float | DefaultT: ...

    def get_float(
        self, name: str, default: Any = _REQUIRED, *, ge: float | None = None, le: float | None = None
    ) -> Any:
        """Return a finite number in decimal notation, between `ge` and `le`."""
        return self._read(name, default, "a number", lambda text: _within(_number(text), ge, le), ge, le)

    @overload
    def get_bool(self, name: str) -> bool: ...

    @overload
    def get_bool(self, name: str, default: DefaultT) -> bool | DefaultT: ...

    def get_bool(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return True for ``true``, ``1``, ``on`` and ``yes``, and False for ``false``, ``0``, ``off`` and ``no``."""
        return self._read(name, default, "true or false", lambda text: _BOOLEANS.get(text.lower()))

    @overload
    def get_str(self, name: str, *, min_length: int = 0, max_length: int | None = None) -> str: ...

    @overload
    def get_str(
        self, name: str, default: DefaultT, *, min_length: int = 0, max_length: int | None = None
    ) -> str | DefaultT: ...

    def get_str(
        self, name: str, default: Any = _REQUIRED, *, min_length: int = 0, max_length: int | None = None
    ) -> Any:
        """Return the text, which has between `min_length` and `max_length` characters."""
        what = f"at least {min_length} characters long" if max_length is None else ""
        what = what or f"{min_length} to {max_length} characters long"
        fits = range(min_length, max_length + 1) if max_length is not None else None

        def read(text: str) -> str | None:
            return text if (len(text) >= min_length if fits is None else len(text) in fits) else None

        return self._read(name, default, what, read)

    @overload
    def get_choice(self, name: str, choices: Collection[str]) -> str: ...

    @overload
    def get_choice(self, name: str, choices: Collection[str], default: DefaultT) -> str | DefaultT: ...

    def get_choice(self, name: str, choices: Collection[str], default: Any = _REQUIRED) -> Any:
        """Return the text, which is one of `choices`."""
        what = f"one of {', '.join(map(repr, choices))}"
        return self._read(name, default, what, lambda text: text if text in choices else None)

    @overload
    def get_uuid(self, name: str) -> UUID: ...

    @overload
    def get_uuid(self, name: str, default: DefaultT) -> UUID | DefaultT: ...

    def get_uuid(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return a UUID written as 32 hexadecimal digits, with or without hyphens."""
        from uuid import UUID  # takes 2 ms to import

        return self._read(name, default, "a UUID", lambda text: UUID(text) if _UUID.fullmatch(text) else None)

    @overload
    def get_date(self, name: str) -> date: ...

    @overload
    def get_date(self, name: str, default: DefaultT) -> date | DefaultT: ...

    def get_date(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return a date such as ``2026-11-26``. Source: RFC 3339 section 5.6 (full-date)."""
        return self._read(name, default, "a date such as 2026-11-26", _date)

    @overload
    def get_datetime(self, name: str) -> datetime: ...

    @overload
    def get_datetime(self, name: str, default: DefaultT) -> datetime | DefaultT: ...

    def get_datetime(self, name: str, default: Any = _REQUIRED) -> Any:
        """Return a time with its offset, such as ``2026-11-26T09:30:00Z``. Source: RFC 3339 section 5.6.

        A space in place of the plus sign of the offset is accepted: that is how an unescaped one arrives in a query.
        """
        return self._read(name, default, "a time such as 2026-11-26T09:30:00Z", _datetime)

    def _read(
        self,
        name: str,
        default: Any,
        what: str,
        read: Callable[[str], Any],
        ge: float | None = None,
        le: float | None = None,
    ) -> Any:
        text = self.get(name)
        if text is None:
            if default is _REQUIRED:
                raise InvalidParameter(name, self._place, f"{self._label(name)} is missing.")
            return default
        value = read(text) if isinstance(text, str) else None
        if value is None:
            raise InvalidParameter(name, self._place, f"{self._label(name)} must be {what}, not {_shown(text)}.")
        if value is _OUT_OF_BOUNDS:
            if ge is not None and le is not None:
                bounds = f"between {ge} and {le}"
            else:
                bounds = f"at least {ge}" if ge is not None else f"at most {le}"
            raise InvalidParameter(name, self._place, f"{self._label(name)} must be {bounds}, not {_shown(text)}.")
        return value

    def _label(self, name: str) -> str:
        kind = {"query": "Query parameter", "form": "Form field", "header": "Header"}[self._place]
        return f"{kind} {_shown(name)}"


_OUT_OF_BOUNDS: Any = object()


def _within(value: ValueT | None, ge: float | None, le: float | None) -> ValueT | None:
    number: Any = value
    if number is None or ((ge is None or number >= ge) and (le is None or number <= le)):
        return value
    return _OUT_OF_BOUNDS  # type: ignore[no-any-return]


def _integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _number(text: str) -> float | None:
    value = float(text) if _DECIMAL.fullmatch(text) else None
    return value if value is not None and isfinite(value) else None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        return None  # such as the 30th of February


def _datetime(text: str) -> datetime | None:
    found = _DATETIME.fullmatch(text)
    if found is None:
        return None
    day, time, sign, offset = found.groups()
    zone = f"{sign.replace(' ', '+')}{offset}" if sign else "+00:00"
    try:
        return datetime.fromisoformat(f"{day}T{time}{zone}")
    except ValueError:
        return None  # such as 25:00:00


def _shown(value: object) -> str:
    if not isinstance(value, str):
        return "a file"
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "...")
