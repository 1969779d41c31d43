"""The building blocks of requests and responses: addresses, URLs, headers, multidicts, uploads, state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import shlex
from typing import Any, BinaryIO, NamedTuple

from pallasite._compat.public import publish
from pallasite._http.headers import Headers, MutableHeaders
from pallasite._http.multidict import ImmutableMultiDict, MultiDict, QueryParams
from pallasite._http.typed import TypedReader
from pallasite._http.url import URL, URLPath
from pallasite.concurrency import run_in_threadpool

__all__ = [
    "URL",
    "Address",
    "CommaSeparatedStrings",
    "FormData",
    "Headers",
    "ImmutableMultiDict",
    "MultiDict",
    "MutableHeaders",
    "QueryParams",
    "Secret",
    "State",
    "URLPath",
    "UploadFile",
]


class Address(NamedTuple):
    """The address of a peer."""

    host: str
    port: int


class Secret:
    """Text that its repr, and so a traceback or log, does not show. `str()` returns it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __str__(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}('**********')"


class CommaSeparatedStrings(Sequence[str]):
    """The items of a comma-separated list, such as an environment variable. Quotes protect commas.

    Raises:
        ValueError: a quote is not closed.
    """

    def __init__(self, value: str | Sequence[str]) -> None:
        self._items = _split_commas(value) if isinstance(value, str) else list(value)

    def __getitem__(self, index: int | slice) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __str__(self) -> str:
        return ", ".join(map(repr, self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{self}])"


def _split_commas(text: str) -> list[str]:
    reader = shlex(text, posix=True)
    reader.whitespace_split, reader.whitespace = True, ","
    reader.commenters = ""  # Deviation: a number sign is a character like any other, and nothing after it is lost
    return [token.strip() for token in reader]


class UploadFile:
    """A file uploaded with a form. Its content is in `file`: in memory while small, otherwise on disk.

    The coroutine methods use a worker thread only if the file is on disk or about to be. `size` is in bytes, or None if
    unknown.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        size: int | None = None,
        filename: str | None = None,
        headers: Headers | None = None,
    ) -> None:
        self.file = file
        self.size = size
        self.filename = filename
        self.headers = headers or Headers()
        # Bytes a spooled file keeps in memory. 0 means no limit, as in tempfile.SpooledTemporaryFile.
        self._max_mem_size = getattr(file, "_max_size", 0)

    @property
    def content_type(self) -> str | None:
        """The Content-Type that the client sent for this part, which may be wrong, or None."""
        content_type: str | None = self.headers.get("content-type")
        return content_type

    @property
    def _in_memory(self) -> bool:
        # Anything but a spooled file counts as on disk.
        return not getattr(self.file, "_rolled", True)

    def _will_roll(self, size_to_add: int) -> bool:
        """Return True if writing that many bytes touches the disk."""
        if not self._in_memory:
            return True
        limit = self._max_mem_size
        return bool(limit) and self.file.tell() + size_to_add > limit

    async def write(self, data: bytes) -> None:
        """Write `data` at the current position."""
        if self.size is not None:
            self.size += len(data)
        if not self._will_roll(len(data)):
            self.file.write(data)
            return
        await run_in_threadpool(self.file.write, data)

    async def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes from the current position, by default all that are left."""
        return self.file.read(size) if self._in_memory else await run_in_threadpool(self.file.read, size)

    async def seek(self, offset: int) -> None:
        """Move to `offset` bytes from the start."""
        if not self._in_memory:
            await run_in_threadpool(self.file.seek, offset)
            return
        self.file.seek(offset)

    async def close(self) -> None:
        """Close the file, which removes it."""
        if not self._in_memory:
            await run_in_threadpool(self.file.close)
            return
        self.file.close()

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("filename", "size", "headers"))
        return f"{type(self).__name__}({fields})"


class FormData(TypedReader, ImmutableMultiDict[str, UploadFile | str]):
    """The fields of a form: text, and UploadFile for files."""

    _place = "form"

    def __init__(
        self,
        *args: FormData | Mapping[str, str | UploadFile] | list[tuple[str, str | UploadFile]],
        **kwargs: str | UploadFile,
    ) -> None:
        super().__init__(*args, **kwargs)

    async def close(self) -> None:
        """Close every file."""
        for upload in [value for _, value in self._list if isinstance(value, UploadFile)]:
            await upload.close()


class State:
    """A namespace whose attributes are also items, used for `request.state` and `app.state`.

    It keeps and changes the dictionary it is created with. A missing attribute raises AttributeError, a missing item
    KeyError.
    """

    _state: dict[str, Any]

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        # Bypasses `__setattr__` below, which needs the dictionary to exist.
        object.__setattr__(self, "_state", {} if state is None else state)

    def __getattr__(self, key: Any) -> Any:
        # Called only when the ordinary lookup fails.
        if key == "_state":
            # An instance created without `__init__`, as copy and pickle do.
            raise AttributeError(key)
        try:
            return self._state[key]
        except KeyError:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{key}'") from None

    def __setattr__(self, key: Any, value: Any) -> None:
        self._state[key] = value

    def __delattr__(self, key: Any) -> None:
        del self._state[key]

    def __len__(self) -> int:
        return len(self._state)

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __getitem__(self, key: str) -> Any:
        return self._state[key]

    __setitem__ = __setattr__
    __delitem__ = __delattr__


publish(globals())
