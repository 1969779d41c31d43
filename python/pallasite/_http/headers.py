"""Header collections over ASGI's list of byte pairs (RFC 9110 section 5): nothing is decoded before it is asked for.

Public as `pallasite.datastructures.Headers` and `MutableHeaders`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self, overload

from pallasite._core import encode_header, find_header, header_items, header_values, remove_header, set_header
from pallasite._http.mapping import DefaultT, DirectMapping

# Fields from which on lookups go through an index: `dict(headers)` is one lookup a field, and has to stay linear.
_MANY_FIELDS = 100


class Headers(DirectMapping[str, str]):
    """A read-only view of header fields: names in lower case, duplicates kept, lookups by any case.

    Give one of `headers` (text pairs), `raw` (ASGI byte pairs, kept as given, names already in lower case) or `scope`.
    With `scope`, a new list of its headers, which may be any iterable, takes their place there and is read in place.
    Iterating yields a name as often as it occurs; `len()` counts fields.

    Deviation: a name that no header can carry (outside latin-1) is simply absent, rather than an encoding error.
    """

    def __init__(
        self,
        headers: Mapping[str, str] | None = None,
        raw: list[tuple[bytes, bytes]] | None = None,
        scope: MutableMapping[str, Any] | None = None,
    ) -> None:
        self._list: list[tuple[bytes, bytes]]
        if scope is not None:
            # First, because each request comes this way.
            assert headers is None, 'Cannot set both "headers" and "scope".'
            assert raw is None, 'Cannot set both "raw" and "scope".'
            # A list of its own: changes through these headers reach this scope, but not one it was copied from.
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
        """The byte pairs, as a copy."""
        return self._list.copy()

    def keys(self) -> list[str]:  # type: ignore[override]
        """Each field's name, in order, duplicates included."""
        return [name.decode("latin-1") for name, _ in self._list]

    def values(self) -> list[str]:  # type: ignore[override]
        """Each field's value, in order."""
        return [value.decode("latin-1") for _, value in self._list]

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Each field as text, in order."""
        return header_items(self._list)

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, default: DefaultT) -> str | DefaultT: ...

    def get(self, key: str, default: Any = None) -> Any:
        """The first value of `key`, else `default`."""
        fields = self._list
        value = find_header(fields, key) if len(fields) < _MANY_FIELDS else self._find_among_many(key)
        return default if value is None else value

    def getlist(self, key: str) -> list[str]:
        """Every value of `key`, in order; empty if there is none."""
        return header_values(self._list, key)

    def mutablecopy(self) -> MutableHeaders:
        """An independent copy that can be changed."""
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
        """`find_header`, through an index that is made at the first call and made again when the list has another size.

        The field that the index names is looked at before it is believed, since the list may be shared.
        """
        fields = self._list
        places: dict[bytes, int]
        size, places = self.__dict__.get("_places") or (0, {})
        if size != len(fields):
            places = {fields[place][0]: place for place in reversed(range(len(fields)))}
            self._places = (len(fields), places)
        # What latin-1 lacks becomes a question mark, which is in no name.
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
    """Headers that can be changed in place; `raw` is the live list, so a response can share it.

    Raises ValueError for a name that is no token (RFC 9110 section 5.6.2) or a value with CR, LF or NUL (section 5.5),
    and UnicodeEncodeError, a ValueError too, for a value outside latin-1.
    """

    def _find_among_many(self, key: str) -> str | None:
        # No index: it could miss that a field moved, and writing is this class's purpose.
        return find_header(self._list, key)

    @staticmethod
    def _encode(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
        return [encode_header(name, text) for name, text in headers.items()]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The byte pairs themselves: changing the list changes the headers."""
        return self._list

    def __setitem__(self, key: str, value: str) -> None:
        """Set `key`: the first field of that name is replaced where it stands, further ones go."""
        set_header(self._list, key, value)

    def __delitem__(self, key: str) -> None:
        """Remove every field named `key`; none is no error."""
        remove_header(self._list, key)

    def append(self, key: str, value: str) -> None:
        """Add a field after all others, beside any of the same name."""
        self._list.append(encode_header(key, value))

    def setdefault(self, key: str, value: str) -> str:
        """The first value of `key`, which is added as `value` if it was missing."""
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
        """Add `vary` to the one Vary field (RFC 9110 section 12.5.5)."""
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
