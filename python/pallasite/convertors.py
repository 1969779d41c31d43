"""Path convertors: what a parameter like ``{id:int}`` matches, and what Python value it becomes.

A convertor is found under its name in `CONVERTOR_TYPES` when a route is made. The five stock ones are matched and
converted natively; the same happens to no other: a subclass, a replaced ``convert`` or a changed ``regex`` is honoured.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    """Base of all convertors. A subclass gives `regex` and both methods.

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
    """Python regular expression of the accepted text, read when a route is made. Without anchors or named groups."""

    def convert(self, value: str) -> T:
        """The value for ``path_params`` of the text that matched.

        Raises:
            ValueError: the text is no value after all; the route then does not match.
        """
        raise NotImplementedError

    def to_string(self, value: T) -> str:
        """The text of a value, for building a URL.

        Raises:
            AssertionError: no text that the convertor accepts stands for the value.
        """
        raise NotImplementedError


class StringConvertor(Convertor[str]):
    """``{name}`` or ``{name:str}``: one or more characters without a slash."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """The text itself."""
        return value

    def to_string(self, value: str) -> str:
        """``str(value)``.

        Raises:
            AssertionError: it is empty or has a slash.
        """
        text = str(value)
        assert "/" not in text, "May not contain path separators"
        assert text, "Must not be empty"
        return text


class PathConvertor(Convertor[str]):
    """``{name:path}``: any text without a line feed, slashes and the empty text included."""

    regex = ".*"

    def convert(self, value: str) -> str:
        """The text itself."""
        return str(value)

    def to_string(self, value: str) -> str:
        """``str(value)``."""
        return str(value)


class IntegerConvertor(Convertor[int]):
    """``{name:int}``: ASCII digits, without a sign."""

    regex = "[0-9]+"

    def convert(self, value: str) -> int:
        """The number.

        Raises:
            ValueError: more digits than `sys.get_int_max_str_digits` allows.
        """
        return int(value)

    def to_string(self, value: int) -> str:
        """``str(int(value))``.

        Raises:
            AssertionError: the number is negative.
        """
        number = int(value)
        assert number >= 0, "Negative integers are not supported"
        return str(number)


class FloatConvertor(Convertor[float]):
    """``{name:float}``: ASCII digits, at most one point between them; no sign and no exponent.

    Deviation: a number too large for a float does not match. As infinity, which JSON has not, it would make a server
    error of many an answer, and `to_string` has never taken it.
    """

    regex = r"[0-9]+(\.[0-9]+)?"

    def convert(self, value: str) -> float:
        """The number. Raises ValueError where it is too large."""
        number = float(value)
        if math.isinf(number):
            raise ValueError("Too large a number for a float")
        return number

    def to_string(self, value: float) -> str:
        """At most 20 decimal places, without trailing zeros.

        Raises:
            AssertionError: the number is negative, infinite or not a number.
        """
        number = float(value)
        assert not math.isnan(number), "NaN values are not supported"
        assert not math.isinf(number), "Infinite values are not supported"
        assert number >= 0.0, "Negative floats are not supported"
        whole, _, places = f"{number:.20f}".partition(".")
        places = places.rstrip("0")
        return f"{whole}.{places}" if places else whole


class UUIDConvertor(Convertor[UUID]):
    """``{name:uuid}``: 32 hexadecimal digits, each of the four usual hyphens optional."""

    regex = f"{_HEX}{{8}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{4}}-?{_HEX}{{12}}"

    def convert(self, value: str) -> UUID:
        """The UUID."""
        return UUID(value)

    def to_string(self, value: UUID) -> str:
        """``str(value)``: lowercase, with hyphens where it is a UUID."""
        return str(value)


CONVERTOR_TYPES: dict[str, Convertor[Any]] = {
    "float": FloatConvertor(),
    "int": IntegerConvertor(),
    "path": PathConvertor(),
    "str": StringConvertor(),
    "uuid": UUIDConvertor(),
}
"""The convertors by the name that paths use. Changing it affects the routes made afterwards."""

# What a convertor has to be for the native conversion to stand in for its method: read by `_core.PathPattern`.
_STOCK: Mapping[type[Convertor[Any]], tuple[str, Callable[..., Any], str]] = {
    type(convertor): (convertor.regex, type(convertor).convert, name) for name, convertor in CONVERTOR_TYPES.items()
}


def register_url_convertor(key: str, convertor: Convertor[Any]) -> None:
    """Makes ``{name:key}`` use `convertor` in the routes made from now on; replaces one of the same name."""
    CONVERTOR_TYPES[key] = convertor
