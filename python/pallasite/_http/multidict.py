"""Dictionaries whose keys may have several values: query strings and forms.

Public as `pallasite.datastructures.ImmutableMultiDict`, `MultiDict` and `QueryParams`.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, overload

from pallasite._core import encode_query, parse_query_multi
from pallasite._http.mapping import DefaultT, DirectMapping, KeyT, ValueT_co
from pallasite._http.typed import TypedReader


class ImmutableMultiDict(DirectMapping[KeyT, ValueT_co]):
    """A mapping that keeps every pair it was given, in order. Indexing returns a key's last value.

    Args:
        args: at most one source: a multidict, a mapping, or pairs.
        kwargs: pairs to add after those of the source.
    """

    _dict: dict[KeyT, ValueT_co]
    _list: list[tuple[KeyT, ValueT_co]]

    def __init__(
        self,
        *args: ImmutableMultiDict[KeyT, ValueT_co] | Mapping[KeyT, ValueT_co] | Iterable[tuple[KeyT, ValueT_co]],
        **kwargs: Any,
    ) -> None:
        assert len(args) < 2, "Too many arguments."
        pairs = _pairs_of(args[0]) if args else []
        if kwargs:
            pairs.extend(kwargs.items())
        self._list = pairs
        self._dict = dict(pairs)

    @overload
    def get(self, key: Any, /) -> ValueT_co | None: ...

    @overload
    def get(self, key: Any, default: DefaultT) -> ValueT_co | DefaultT: ...

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the last value of `key`, or `default`."""
        return self._dict.get(key, default)

    def getlist(self, key: Any) -> list[ValueT_co]:
        """Return every value of `key`, in order. The list is empty if there is none."""
        return [value for name, value in self._list if name == key]

    def keys(self) -> KeysView[KeyT]:
        """Return each key once, in order of first appearance."""
        return self._dict.keys()

    def values(self) -> ValuesView[ValueT_co]:
        """Return the last value of each key."""
        return self._dict.values()

    def items(self) -> ItemsView[KeyT, ValueT_co]:
        """Return each key with its last value."""
        return self._dict.items()

    def multi_items(self) -> list[tuple[KeyT, ValueT_co]]:
        """Return a copy of all pairs."""
        return self._list.copy()

    def __getitem__(self, key: KeyT) -> ValueT_co:
        return self._dict[key]

    def __contains__(self, key: Any) -> bool:
        return key in self._dict

    def __iter__(self) -> Iterator[KeyT]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._dict)

    def __eq__(self, other: object) -> bool:
        """Return True if each key has the same values in the same order. The order of the keys is ignored."""
        return isinstance(other, type(self)) and _grouped(self._list) == _grouped(other._list)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.multi_items()!r})"


class MultiDict(ImmutableMultiDict[Any, Any]):
    """A multidict that can be changed."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.setlist(key, [value])

    def __delitem__(self, key: Any) -> None:
        del self._dict[key]
        self._list = _without(self._list, {key})

    def append(self, key: Any, value: Any) -> None:
        """Add a pair at the end."""
        self._dict[key] = value
        self._list.append((key, value))

    def setlist(self, key: Any, values: list[Any]) -> None:
        """Set the values of `key` and move it to the end. An empty list removes the key."""
        remaining = _without(self._list, {key})
        if values:
            self._dict[key] = values[-1]
            remaining.extend((key, value) for value in values)
        else:
            self._dict.pop(key, None)
        self._list = remaining

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the last value of `key`, after adding it with `default` if it was missing."""
        if key not in self._dict:
            self.append(key, default)
        return self[key]

    def update(self, *args: MultiDict | Mapping[Any, Any] | list[tuple[Any, Any]], **kwargs: Any) -> None:
        """Replace all values of each key in the arguments by the values given there."""
        new = MultiDict(*args, **kwargs)
        self._list = _without(self._list, new._dict) + new._list
        self._dict.update(new._dict)

    def pop(self, key: Any, default: Any = None) -> Any:
        """Remove `key` and return its last value, or `default`."""
        self._list = _without(self._list, {key})
        return self._dict.pop(key, default)

    def popitem(self) -> tuple[Any, Any]:
        """Remove the last key with all its values. Return the key and its last value.

        Raises:
            KeyError: the multidict is empty.
        """
        last = self._dict.popitem()
        self._list = _without(self._list, {last[0]})
        return last

    def poplist(self, key: Any) -> list[Any]:
        """Remove `key` and return all its values."""
        removed = self.getlist(key)
        self.pop(key)
        return removed

    def clear(self) -> None:
        """Remove everything."""
        self._list.clear()
        self._dict.clear()


class QueryParams(TypedReader, ImmutableMultiDict[str, str]):
    """The fields of a query string, percent-decoded. Empty values are kept. All keys and values are text.

    Bytes are decoded as latin-1 and percent escapes as UTF-8, with U+FFFD for invalid sequences. No input is an error.
    `str()` returns the query string. Source: https://url.spec.whatwg.org/#urlencoded-parsing
    """

    _place = "query"

    def __init__(
        self,
        *args: ImmutableMultiDict[Any, Any] | Mapping[Any, Any] | list[tuple[Any, Any]] | str | bytes,
        **kwargs: Any,
    ) -> None:
        if len(args) == 1 and isinstance(args[0], (bytes, str)):
            # Every request uses this branch: one native call fills both the list and the dictionary.
            self._list, self._dict = parse_query_multi(args[0])
            if not kwargs:
                return
            args = (self._list,)
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._list = [(str(name), str(value)) for name, value in self._list]
        self._dict = dict(self._list)

    def __str__(self) -> str:
        return encode_query(self._list)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def _pairs_of(source: Any) -> list[tuple[Any, Any]]:
    """Return a new list of the pairs in a multidict, a mapping or an iterable of pairs."""
    if not source:
        return []
    if hasattr(source, "multi_items"):
        return list(source.multi_items())
    return list(source.items() if hasattr(source, "items") else source)


def _without(pairs: list[tuple[Any, Any]], keys: Any) -> list[tuple[Any, Any]]:
    return [pair for pair in pairs if pair[0] not in keys]


def _grouped(pairs: list[tuple[Any, Any]]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
