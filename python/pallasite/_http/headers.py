"""Header collections over ASGI's list of byte pairs (RFC 9110 section 5). Fields are decoded only on access.

Public as `pallasite.datastructures.Headers` and `MutableHeaders`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self, overload

from pallasite._core import encode_header, find_header, header_items, header_values, remove_header, set_header
from pallasite._http.mapping import DefaultT, DirectMapping
from pallasite._http.typed import TypedReader

# Lookups use an index from this many fields on: `dict(headers)` does one lookup per field and must stay linear.
_MANY_FIELDS = 100


class Headers(TypedReader, DirectMapping[str, str]):
    """A read-only view of header fields. Names are lower case, duplicates are kept, lookups ignore case.

    Iterating yields a name once per field; `len()` counts fields.

    Args:
        headers: names and values as text.
        raw: ASGI byte pairs, used as they are. Names must be lower case.
        scope: an ASGI scope. A new list replaces its headers, which may be any iterable; this view reads that list.

    Only one of the three may be given.

    Deviation: looking up a name that no header can have (outside latin-1) finds nothing, instead of raising an encoding
    error.
    """

    _place = "header"

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        raw: list[tuple[bytes, bytes]] | None = None,
        scope: MutableMapping[str, Any] | None = None,
    ) -> None:
        self._list: list[tuple[bytes, bytes]]
        if scope is not None:
            # Checked first: every request uses this branch.
            assert headers is None, 'Cannot set both "headers" and "scope".'
            assert raw is None, 'Cannot set both "raw" and "scope".'
            # Copied, so that changes reach this scope but not a scope it was copied from.
            self._list = scope["headers"] = list(scope["headers"])
        elif raw is not None:
            assert headers is None, 'Cannot set both "headers" and "raw".'
            self._list = raw
        elif headers is not None:
            self._list = self._encode(headers)
        else:
            self._list = []

    @staticmethod
    def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        return [(name.lower().encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """A copy of the byte pairs."""
        return self._list.copy()

    def keys(self) -> list[str]:  # type: ignore[override]
        """Return the name of each field, in order, including duplicates."""
        return [name.decode("latin-1") for name, _ in self._list]

    def values(self) -> list[str]:  # type: ignore[override]
        """Return the value of each field, in order."""
        return [value.decode("latin-1") for _, value in self._list]

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Return each field as text, in order."""
        return header_items(self._list)

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, default: DefaultT) -> str | DefaultT: ...

    def get(self, key: str, default: Any = None) -> Any:
        """Return the first value of `key`, or `default`."""
        fields = self._list
        value = find_header(fields, key) if len(fields) < _MANY_FIELDS else self._find_among_many(key)
        return default if value is None else value

    def getlist(self, key: str) -> list[str]:
        """Return every value of `key`, in order. The list is empty if there is none."""
        return header_values(self._list, key)

    def mutablecopy(self) -> MutableHeaders:
        """Return an independent copy that can be changed."""
        return MutableHeaders(raw=self._list.copy())

    def __getitem__(self, key: str) -> str:
        fields = self._list
        value = find_header(fields, key) if len(fields) < _MANY_FIELDS else self._find_among_many(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: Any) -> bool:
        fields = self._list
        value = find_header(fields, key) if len(fields) < _MANY_FIELDS else self._find_among_many(key)
        return value is not None

    def _find_among_many(self, key: str) -> str | None:
        """Do what `find_header` does, through an index. It is built on first use and rebuilt when the size changes.

        The list may be shared, so the field the index points to is compared before it is returned.
        """
        fields = self._list
        places: dict[bytes, int]
        size, places = self.__dict__.get("_places") or (0, {})
        if size != len(fields):
            places = {fields[place][0]: place for place in reversed(range(len(fields)))}
            self._places = (len(fields), places)
        # Characters outside latin-1 become a question mark, which no name contains.
        name = key.lower().encode("latin-1", "replace")
        place = places.get(name)
        if place is not None and fields[place][0] == name:
            return str(fields[place][1], "latin-1")
        return find_header(fields, key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._list)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and sorted(self._list) == sorted(other._list)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        pairs = self.items()
        by_name = dict(pairs)
        inside = repr(by_name) if len(by_name) == len(pairs) else f"raw={self.raw!r}"
        return f"{type(self).__name__}({inside})"


class MutableHeaders(Headers):
    """Headers that can be changed in place. `raw` is the live list, so a response can share it.

    Raises:
        ValueError: a name is not a token (RFC 9110 section 5.6.2), or a value contains CR, LF or NUL (section 5.5).
        UnicodeEncodeError: a value is outside latin-1. This is a ValueError too.
    """

    def _find_among_many(self, key: str) -> str | None:
        # No index: these headers are made for writing, and an index could miss that a field moved.
        return find_header(self._list, key)

    @staticmethod
    def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        return [encode_header(name, text) for name, text in headers.items()]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The byte pairs themselves. Changing the list changes the headers."""
        return self._list

    def __setitem__(self, key: str, value: str) -> None:
        """Set `key`: replace the first field of that name in place and remove any others."""
        set_header(self._list, key, value)

    def __delitem__(self, key: str) -> None:
        """Remove every field named `key`, if any."""
        remove_header(self._list, key)

    def append(self, key: str, value: str) -> None:
        """Add a field at the end, keeping others of the same name."""
        self._list.append(encode_header(key, value))

    def setdefault(self, key: str, value: str) -> str:
        """Return the first value of `key`, after adding it with `value` if it was missing."""
        found = find_header(self._list, key)
        if found is not None:
            return found
        self._list.append(encode_header(key, value))
        return value

    def update(self, other: Mapping[str, str]) -> None:
        """Set each field of `other`."""
        for name, text in other.items():
            self[name] = text

    def add_vary_header(self, vary: str) -> None:
        """Add `vary` to the Vary field, joining several into one (RFC 9110 section 12.5.5)."""
        self["vary"] = ", ".join((*self.getlist("vary"), vary))

    def __ior__(self, other: Mapping[str, str]) -> Self:
        self.update(_mapping(other))
        return self

    def __or__(self, other: Mapping[str, str]) -> MutableHeaders:
        joined = self.mutablecopy()
        joined.update(_mapping(other))
        return joined


def _mapping(other: Any) -> Mapping[str, str]:
    if isinstance(other, Mapping):
        return other
    raise TypeError(f"Expected a mapping but got {type(other).__name__}")
