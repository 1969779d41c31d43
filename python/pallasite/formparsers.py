"""Forms in request bodies: urlencoded and `multipart/form-data` (RFC 7578), parsed natively as they arrive.

The limits hold while parsing; a body that goes past one, or that is no form, is a `MultiPartException`.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from encodings import normalize_encoding
from encodings.aliases import aliases
from enum import Enum, EnumMeta
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote_plus, unquote_plus

from pallasite import _core
from pallasite._files.spool import Spool
from pallasite.datastructures import FormData, Headers, UploadFile
from pallasite.exceptions import HTTPException, StarletteDeprecationWarning

if TYPE_CHECKING:
    from pallasite.requests import Request

__all__ = [
    "FormMessage",
    "FormParser",
    "MultiPartException",
    "MultiPartParser",
    "MultipartPart",
    "Receive",
    "parse_form",
]

# The character encodings of the web (https://encoding.spec.whatwg.org/#names-and-labels) under Python's names for
# them. All decode in linear time, which cannot be said of everything that `codecs.lookup` finds (punycode, idna); it
# also remembers every name that it was ever asked for.
_WEB_CODECS = frozenset(
    {"ascii", "koi8_r", "koi8_u", "utf_16", "utf_16_be", "utf_16_le"}
    | {f"cp{number}" for number in (866, 874, 932, 949, *range(1250, 1259))}
    | {f"iso8859_{number}" for number in (*range(2, 9), 10, *range(13, 17))}
    | {"big5", "big5hkscs", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "iso2022_jp", "shift_jis"}
)
_LONGEST_CHARSET = 32  # characters

_MULTIPART = "multipart/form-data"
_FORMS = frozenset({_MULTIPART, "application/x-www-form-urlencoded"})

# Gives the next piece of a body, and whether there is more.
Receive = Callable[[], Awaitable[tuple[bytes, bool]]]


async def parse_form(
    request: Request[Any], *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 1024 * 1024
) -> FormData:
    """The form in the body of `request`; an empty one if its Content-Type is that of no form.

    `max_part_size` is in bytes and holds for fields, not for files.

    Raises:
        HTTPException: status 400, if the form cannot be read, is past a limit or has two types, inside an application.
        MultiPartException: the same, for a request without application.
        ClientDisconnect: the client went away before the body was complete.
    """
    headers = request.headers
    content_types = headers.getlist("content-type")
    kinds = [content_type.partition(";")[0].strip(" \t").lower() for content_type in content_types]
    if not _FORMS.intersection(kinds):
        return FormData()
    # Closed below where it is not read to its end; `aclosing` around it would cost every form 0.6 us.
    stream = request.stream()
    parser: FormParser | MultiPartParser
    if kinds[0] == _MULTIPART:
        parser = MultiPartParser(
            headers, stream, max_files=max_files, max_fields=max_fields, max_part_size=max_part_size
        )
    else:
        parser = FormParser(headers, stream, max_fields=max_fields, max_part_size=max_part_size)
    if request._is_unread:
        parser._receive = request._receive_chunk
    try:
        if len(kinds) > 1:
            # Whoever takes the first and whoever takes the last would read another form (RFC 9110 section 5.3).
            raise MultiPartException("There must be one Content-Type header only.")
        return await parser.parse()
    except BaseException as error:
        await stream.aclose()
        if isinstance(error, MultiPartException) and "app" in request.scope:
            raise HTTPException(status_code=400, detail=error.message) from error
        raise


class MultiPartException(Exception):
    """A form that cannot be read or is past a limit; `message` says which, for the client to see."""

    def __init__(self, message: str) -> None:
        self.message = message


class FormParser:
    """Reads an urlencoded form from `stream`.

    `max_part_size` is in bytes and holds for a field's name and value together, as they are sent.

    A subclass that overrides one of the ``on_...`` methods has them all called, with each field escaped anew.
    """

    _has_callbacks = False
    _receive: Receive | None = None

    def __init__(
        self,
        headers: Headers,
        stream: AsyncGenerator[bytes, None],
        *,
        max_fields: float = 1000,
        max_part_size: int = 1024 * 1024,
    ) -> None:
        self.headers = headers
        self.stream = stream
        self.max_fields = max_fields
        self.max_part_size = max_part_size
        self._items: list[tuple[str, str | UploadFile]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_callbacks = _overrides_callback(cls, FormParser)

    async def parse(self) -> FormData:
        """The form, once the stream has ended.

        Raises:
            MultiPartException: too many fields, or one that is too long.
        """
        parser = _core.UrlencodedParser(self.max_fields, self.max_part_size)
        found: list[Any] = [] if self._has_callbacks else self._items
        receive, more = self._receive or _receiver_of(self.stream), True
        try:
            while more:
                piece, more = await receive()
                parser.feed(piece, found)
            parser.finish(found)
        except _core.FormError as error:
            if error.args[0] == "too_many_fields":
                message = f"Too many fields. Maximum number of fields is {self.max_fields}."
            else:
                message = f"Field exceeded maximum size of {int(self.max_part_size / 1024)}KB."
            raise MultiPartException(message) from error
        if self._has_callbacks:
            for name, value in found:
                self._call_back(quote_plus(name).encode("ascii"), quote_plus(value).encode("ascii"))
        return _new_form(self._items)

    def _call_back(self, name: bytes, value: bytes) -> None:
        self.on_field_start()
        self.on_field_name(name, 0, len(name))
        self.on_field_data(value, 0, len(value))
        self.on_field_end()

    def on_field_start(self) -> None:
        """A field begins."""
        self._field: tuple[bytearray, bytearray] = (bytearray(), bytearray())

    def on_field_name(self, data: bytes, start: int, end: int) -> None:
        """Its name, escaped."""
        self._field[0].extend(data[start:end])

    def on_field_data(self, data: bytes, start: int, end: int) -> None:
        """Its value, escaped."""
        self._field[1].extend(data[start:end])

    def on_field_end(self) -> None:
        """The field is complete."""
        name, value = (unquote_plus(escaped.decode("ascii")) for escaped in self._field)
        self._items.append((name, value))


@dataclass
class MultipartPart:
    """A part that is being read, for subclasses of `MultiPartParser`."""

    content_disposition: bytes | None = None
    field_name: str = ""
    data: bytearray = field(default_factory=bytearray)
    file: UploadFile | None = None
    item_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class MultiPartParser:
    """Reads a `multipart/form-data` form from `stream`.

    `max_part_size` is in bytes and holds for fields, not for files. Names and fields are decoded by the charset that
    the Content-Type names, UTF-8 by default; what it cannot decode, and any charset the web does not know, is latin-1.

    A subclass that overrides one of the ``on_...`` methods has them all called.

    Deviation: a body that ends before its closing boundary is refused, so is a part with two names, and a boundary
    that is empty or given twice.
    """

    spool_max_size = 1024 * 1024
    """Bytes of a file that are kept in memory; a larger file goes to disk."""
    max_part_size = 1024 * 1024
    """Bytes that a field may have."""

    _has_callbacks = False
    _receive: Receive | None = None
    _spool: Spool | None = None

    def __init__(
        self,
        headers: Headers,
        stream: AsyncGenerator[bytes, None],
        *,
        max_files: float = 1000,
        max_fields: float = 1000,
        max_part_size: int = 1024 * 1024,
    ) -> None:
        self.headers = headers
        self.stream = stream
        self.max_files = max_files
        self.max_fields = max_fields
        self.max_part_size = max_part_size
        self.items: list[tuple[str, str | UploadFile]] = []
        self._charset = "utf-8"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_callbacks = _overrides_callback(cls, MultiPartParser)

    async def parse(self) -> FormData:
        """The form, once the stream has ended. Its files are rewound; whoever gets it closes them.

        Raises:
            MultiPartException: the body is no such form, or is past a limit. All files are closed, as with any error.
            OSError: a file cannot be written.
        """
        handle, items = self._keep_files, self.items
        if self._has_callbacks:
            handle, items = self._call_back, []
        receive, more = self._receive or _receiver_of(self.stream), True
        try:
            parser = self._new_parser()
            while more:
                piece, more = await receive()
                events = parser.feed(piece, items)
                if events is not None:
                    handle(events)
                    if self._spool is not None:
                        await self._spool.flush()
            parser.finish()
            if self._has_callbacks:
                self.on_end()
        except GeneratorExit:
            # Nobody runs this coroutine any more: no time to await anything.
            if self._spool is not None:
                self._spool.close_all()
            raise
        except BaseException as error:
            if self._spool is not None:
                await self._spool.discard()
            if isinstance(error, _core.FormError):
                raise MultiPartException(self._message_of(error.args[0])) from error
            raise
        return _new_form(self.items)

    def _new_parser(self) -> _core.MultipartParser:
        content_type = self.headers["Content-Type"].encode("latin-1")
        boundary, charset = _core.form_parameters(content_type, b"boundary", b"charset")
        if charset is not None:
            self._charset = _codec_of(charset.decode("latin-1"))
        return _core.MultipartParser(
            boundary or b"",
            self._charset,
            self.max_files,
            self.max_fields,
            self.max_part_size,
            self._has_callbacks,
        )

    def _message_of(self, code: str) -> str:
        match code:
            case "no_boundary":
                return "Missing boundary in multipart."
            case "no_name":
                return 'The Content-Disposition header field "name" must be provided.'
            case "too_many_files":
                return f"Too many files. Maximum number of files is {self.max_files}."
            case "too_many_fields":
                return f"Too many fields. Maximum number of fields is {self.max_fields}."
            case "field_too_long":
                return f"Part exceeded maximum size of {int(self.max_part_size / 1024)}KB."
        return "Invalid multipart data."

    def _keep_files(self, events: list[_core._MultipartEvent]) -> None:
        for event in events:
            if isinstance(event, tuple):
                index, name, filename, headers = event
                self.items[index] = (name, self._open_file(filename or "", headers))
            elif event is None:
                self._files.end()
            else:
                self._files.write(event)

    @property
    def _files(self) -> Spool:
        if self._spool is None:
            self._spool = Spool()
        return self._spool

    def _open_file(self, filename: str, headers: list[tuple[bytes, bytes]]) -> UploadFile:
        file = SpooledTemporaryFile(max_size=self.spool_max_size)  # noqa: SIM115  # the spool closes it, or the form
        upload = UploadFile(cast("Any", file), size=0, filename=filename, headers=Headers(raw=headers))
        self._files.begin(upload)
        return upload

    def _call_back(self, events: list[_core._MultipartEvent]) -> None:
        for event in events:
            if isinstance(event, tuple):
                self.on_part_begin()
                for name, value in event[3]:
                    self.on_header_field(name, 0, len(name))
                    self.on_header_value(value, 0, len(value))
                    self.on_header_end()
                self.on_headers_finished()
            elif event is None:
                self.on_part_end()
            else:
                self.on_part_data(bytes(event), 0, len(event))

    def on_part_begin(self) -> None:
        """A part begins."""
        self._current_part = MultipartPart()
        self._header = (bytearray(), bytearray())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """A header's name, in lower case."""
        self._header[0].extend(data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """A header's value."""
        self._header[1].extend(data[start:end])

    def on_header_end(self) -> None:
        """The header is complete."""
        name, value = (bytes(part) for part in self._header)
        self._current_part.item_headers.append((name, value))
        if name == b"content-disposition":
            self._current_part.content_disposition = value
        self._header = (bytearray(), bytearray())

    def on_headers_finished(self) -> None:
        """The part's headers are complete: a file is opened for it if it has a file name."""
        part = self._current_part
        disposition = part.content_disposition or b""
        name, filename = _core.form_parameters(disposition, b"name", b"filename")
        part.field_name = self._decode(name or b"")
        if filename is not None:
            part.file = self._open_file(self._decode(filename), part.item_headers)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Content of the part."""
        if self._current_part.file is None:
            self._current_part.data.extend(data[start:end])
        else:
            self._files.write(data[start:end])

    def on_part_end(self) -> None:
        """The part is complete: it becomes an item of the form."""
        part = self._current_part
        if part.file is None:
            self.items.append((part.field_name, self._decode(part.data)))
        else:
            self._files.end()
            self.items.append((part.field_name, part.file))

    def on_end(self) -> None:
        """The form is complete."""

    def _decode(self, text: bytes | bytearray) -> str:
        try:
            return text.decode(self._charset)
        except UnicodeDecodeError:
            return text.decode("latin-1")


class _WarningWhenCalled(EnumMeta):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        message = f"`{cls.__name__}` is deprecated and will be removed in a future version."
        warnings.warn(message, StarletteDeprecationWarning, stacklevel=2)
        return super().__call__(*args, **kwargs)


class FormMessage(Enum, metaclass=_WarningWhenCalled):
    """Deprecated: nothing uses it."""

    FIELD_START = 1
    FIELD_NAME = 2
    FIELD_DATA = 3
    FIELD_END = 4
    END = 5


def _overrides_callback(cls: type, base: type) -> bool:
    callbacks = [name for name in vars(base) if name.startswith("on_")]
    return any(getattr(cls, name) is not getattr(base, name) for name in callbacks)


def _new_form(items: list[tuple[str, str | UploadFile]]) -> FormData:
    """A form of these items, which are its own from now on; the constructor would examine and copy them."""
    form = FormData.__new__(FormData)
    form._list = items
    form._dict = dict(items)
    return form


def _receiver_of(stream: AsyncGenerator[bytes, None]) -> Receive:
    pieces = aiter(stream)

    async def receive() -> tuple[bytes, bool]:
        async for piece in pieces:
            return piece, True
        return b"", False

    return receive


def _codec_of(charset: str) -> str:
    """The codec for a charset parameter: UTF-8, latin-1, or another encoding of the web; latin-1 for anything else."""
    if len(charset) > _LONGEST_CHARSET or not charset.isascii():
        return "latin-1"
    name = normalize_encoding(charset).lower()
    codec = aliases.get(name, name)
    if codec == "utf_8":
        return "utf-8"
    return codec if codec in _WEB_CODECS else "latin-1"
