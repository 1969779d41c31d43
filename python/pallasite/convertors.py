"""Path convertors: what a parameter such as ``{id:int}`` matches, and its Python value.

A convertor is looked up by name in `CONVERTOR_TYPES` when a route is created. Only the five stock ones are matched and
converted natively. A subclass, a replaced ``convert`` or a changed ``regex`` is called instead.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pallasite._core import register_stock_convertors

__all__ = [
    "CONVERTOR_TYPES",
    "Convertor",
    "FloatConvertor",
    "IntegerConvertor",
    "PathConvertor",
    "StringConvertor",
    "UUIDConvertor",
    "register_url_convertor",
]

T = TypeVar("T")

_HEX = "[0-9a-fA-F]"


class Convertor(Generic[T]):
    """Base of all convertors. A subclass defines `regex` and both methods.

    >>> class LevelConvertor(Convertor[int]):
    ...     regex = "low|high"
    ...
    ...     def convert(self, value: str) -> int:
    ...         return 1 if value == "low" else 9
    ...
    ...     def to_string(self, value: int) -> str:
    ...         return "low" if value < 5 else "high"
    >>> register_url_convertor("level", LevelConvertor())
    """

    regex: ClassVar[str] = ""
    """Python regular expression of the accepted text, read when a route is created. No anchors, no named groups."""

    def convert(self, value: str) -> T:
        """Return the value for ``path_params`` of the text that matched.

        Raises:
            ValueError: the text is not a valid value. The route then does not match.
        """
        raise NotImplementedError

    def to_string(self, value: T) -> str:
        """Return the text of a value, for building a URL.

        Raises:
            AssertionError: no text that the convertor accepts represents the value.
        """
        raise NotImplementedError


class StringConvertor(Convertor[str]):
    """``{name}`` or ``{name:str}``: one or more characters without a slash."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Return the text itself."""
        return value

    def to_string(self, value: str) -> str:
        """Return ``str(value)``.

        Raises:
            AssertionError: the text is empty or contains a slash.
        """
        text = str(value)
        assert "/" not in text, "May not contain path separators"
        assert text, "Must not be empty"
        return text


class PathConvertor(Convertor[str]):
    """``{name:path}``: any text without a line feed, including slashes and the empty string."""

    regex = ".*"

    def convert(self, value: str) -> str:
        """Return the text itself."""
        return str(value)

    def to_string(self, value: str) -> str:
        """Return ``str(value)``."""
        return str(value)


class IntegerConvertor(Convertor[int]):
    """``{name:int}``: ASCII digits without a sign."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        """Return the number.

        Raises:
            ValueError: there are more digits than `sys.get_int_max_str_digits` allows.
        """
        return int(value)

    def to_string(self, value: int) -> str:
        """Return ``str(int(value))``.

        Raises:
            AssertionError: the number is negative.
        """
        number = int(value)
        assert number >= 0, "Negative integers are not supported"
        return str(number)


class FloatConvertor(Convertor[float]):
    """``{name:float}``: ASCII digits with at most one decimal point between them. No sign, no exponent.

    Deviation: a number too large for a float does not match. It would become infinity, which JSON cannot represent and
    `to_string` has never accepted, so many responses would fail with a server error.
    """

    regex = r"[0-9]+(\.[0-9]+)?"

    def convert(self, value: str) -> float:
        """Return the number.

        Raises:
            ValueError: the number is too large for a float.
        """
        number = float(value)
        if math.isinf(number):
            raise ValueError("number too large for a float")
        return number

    def to_string(self, value: float) -> str:
        """Return the number with at most 20 decimal places and without trailing zeros.

        Raises:
            AssertionError: the number is negative, infinite or NaN.
        """
        number = float(value)
        assert not math.isnan(number), "NaN values are not supported"
        assert not math.isinf(number), "Infinite values are not supported"
        assert number >= 0.0, "Negative floats are not supported"
        whole, _, places = f"{number:.20f}".partition(".")
        places = places.rstrip("0")
        return f"{whole}.{places}" if places else whole


class UUIDConvertor(Convertor[UUID]):
    """``{name:uuid}``: 32 hexadecimal digits. Each of the four usual hyphens is optional."""

    regex = f"{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}"

    def convert(self, value: str) -> UUID:
        """Return the UUID."""
        return UUID(value)

    def to_string(self, value: UUID) -> str:
        """Return ``str(value)``: for a UUID, lower case with hyphens."""
        return str(value)


CONVERTOR_TYPES: dict[str, Convertor[Any]] = {
    "float": FloatConvertor(),
    "int": IntegerConvertor(),
    "path": PathConvertor(),
    "str": StringConvertor(),
    "uuid": UUIDConvertor(),
}
"""The convertors by the name that paths use. Changes affect routes created afterwards."""

# Native conversion replaces their methods, as long as the classes stay unmodified.
register_stock_convertors(CONVERTOR_TYPES)


def register_url_convertor(key: str, convertor: Convertor[Any]) -> None:
    """Make ``{name:key}`` use `convertor` in routes created from now on. Replaces an earlier one of that name."""
    CONVERTOR_TYPES[key] = convertor
