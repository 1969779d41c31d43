"""Forms in request bodies: urlencoded and `multipart/form-data` (RFC 7578), parsed natively as they arrive.

Limits are enforced while parsing. A malformed body, or one that exceeds a limit, raises `MultiPartException`.
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
from pallasite._http.form_limits import MAX_FIELDS, MAX_FILES, MAX_PART_BYTES, fields_bytes
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

# The character encodings of the web (https://encoding.spec.whatwg.org/#names-and-labels), by their Python names. All
# decode in linear time. Some others that `codecs.lookup` finds do not (punycode, idna), and it caches every name that
# it is called with.
_WEB_CODECS = frozenset(
    {"ascii", "koi8_r", "koi8_u", "utf_16", "utf_16_be", "utf_16_le"}
    | {f"cp{number}" for number in (866, 874, 932, 949, *range(1250, 1259))}
    | {f"iso8859_{number}" for number in (*range(2, 9), 10, *range(13, 17))}
    | {"big5", "big5hkscs", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "iso2022_jp", "shift_jis"}
)
_LONGEST_CHARSET = 32  # characters

_MULTIPART = "multipart/form-data"
_FORMS = frozenset({_MULTIPART, "application/x-www-form-urlencoded"})
_USUAL = ["application/x-www-form-urlencoded"]

# Returns the next chunk of a body and whether more follows.
Receive = Callable[[], Awaitable[tuple[bytes, bool]]]


async def parse_form(
    request: Request[Any],
    *,
    max_files: float = MAX_FILES,
    max_fields: float = MAX_FIELDS,
    max_part_size: int = MAX_PART_BYTES,
    max_fields_size: float | None = None,
) -> FormData:
    """Return the form in the body of `request`, or an empty one if its Content-Type is not that of a form.

    `max_part_size` is in bytes and applies to one field, `max_fields_size` to all of them together (by default ten
    times `max_part_size`). Neither applies to files.

    Raises:
        HTTPException: status 400: the form is malformed, exceeds a limit, or has several Content-Type headers.
        MultiPartException: the same, for a request outside an application.
        ClientDisconnect: the client went away before the body was complete.
    """
    headers = request.headers
    content_types = headers.getlist("content-type")
    kinds = content_types
    if kinds != _USUAL:  # as browsers send it, without parameters
        kinds = [content_type.partition(";")[0].strip(" \t").lower() for content_type in content_types]
    if not _FORMS.intersection(kinds):
        return FormData()
    # Closed below if it is not read to its end. `aclosing` around it would cost every form 0.6 us.
    stream = request.stream()
    parser: FormParser | MultiPartParser
    if kinds[0] == _MULTIPART:
        parser = MultiPartParser(
            headers,
            stream,
            max_files=max_files,
            max_fields=max_fields,
            max_part_size=max_part_size,
            max_fields_size=max_fields_size,
        )
    else:
        parser = FormParser(
            headers, stream, max_fields=max_fields, max_part_size=max_part_size, max_fields_size=max_fields_size
        )
    if request._is_unread:
        parser._receive = request._receive_chunk
    try:
        if len(kinds) > 1:
            # Programs that use the first or the last one would read different forms (RFC 9110 section 5.3).
            raise MultiPartException("Multiple Content-Type headers.")
        return await parser.parse()
    except BaseException as error:
        await stream.aclose()
        if isinstance(error, MultiPartException) and "app" in request.scope:
            raise HTTPException(status_code=400, detail=error.message) from error
        raise


class MultiPartException(Exception):
    """The form is malformed or exceeds a limit. `message` is the reason, and is sent to the client."""

    def __init__(self, message: str) -> None:
        self.message = message


class FormParser:
    """A parser that reads an urlencoded form from `stream`.

    `max_part_size` is in bytes and applies to a field's name and value together, as sent. `max_fields_size` applies to
    all fields together, by default ten times `max_part_size`.

    If a subclass overrides any of the ``on_...`` methods, all of them are called, with each field encoded again.
    """

    _has_callbacks = False
    _receive: Receive | None = None

    def __init__(
        self,
        headers: Headers,
        stream: AsyncGenerator[bytes, None],
        *,
        max_fields: float = MAX_FIELDS,
        max_part_size: int = MAX_PART_BYTES,
        max_fields_size: float | None = None,
    ) -> None:
        self.headers = headers
        self.stream = stream
        self.max_fields = max_fields
        self.max_part_size = max_part_size
        self.max_fields_size = max_fields_size
        self._items: list[tuple[str, str | UploadFile]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_callbacks = _overrides_callback(cls, FormParser)

    async def parse(self) -> FormData:
        """Read the stream to its end and return the form.

        Raises:
            MultiPartException: there are too many fields, or one is too long.
        """
        parser = _core.UrlencodedParser(
            self.max_fields, self.max_part_size, fields_bytes(self.max_fields_size, self.max_part_size)
        )
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
            elif error.args[0] == "fields_too_large":
                message = _too_large_together(self)
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
        """Called at the start of a field."""
        self._field: tuple[bytearray, bytearray] = (bytearray(), bytearray())

    def on_field_name(self, data: bytes, start: int, end: int) -> None:
        """Called with the percent-encoded name."""
        self._field[0].extend(data[start:end])

    def on_field_data(self, data: bytes, start: int, end: int) -> None:
        """Called with the percent-encoded value."""
        self._field[1].extend(data[start:end])

    def on_field_end(self) -> None:
        """Called at the end of a field."""
        name, value = (unquote_plus(escaped.decode("ascii")) for escaped in self._field)
        self._items.append((name, value))


@dataclass
class MultipartPart:
    """The part being read, for subclasses of `MultiPartParser`."""

    content_disposition: bytes | None = None
    field_name: str = ""
    data: bytearray = field(default_factory=bytearray)
    file: UploadFile | None = None
    item_headers: list[tuple[bytes, bytes]] = field(default_factory=list)


class MultiPartParser:
    """A parser that reads a `multipart/form-data` form from `stream`.

    `max_part_size` is in bytes and applies to one field, `max_fields_size` to all of them together with their names, by
    default ten times `max_part_size`. Neither applies to files. Names and fields are decoded with the charset of
    the Content-Type, UTF-8 by default. Latin-1 is used if that fails, or if the charset is not an encoding of the web.

    If a subclass overrides any of the ``on_...`` methods, all of them are called.

    A file's name is `filename`, or `filename*` (RFC 8187) if that is there alone. Backslashes before a quote or another
    backslash are removed. ``%22`` stays: browsers send it for a quote, and also for itself (WHATWG HTML 4.10.21.8).

    Deviation: a part with `filename*` alone is a file, although RFC 7578 section 4.2 forbids it. Several clients send
    nothing else for a name outside ASCII.

    Deviation: a body that ends before its closing boundary is rejected. So are a part with two names, and a boundary
    that is empty or given twice.
    """

    spool_max_size = 1024 * 1024
    """Largest file kept in memory, in bytes. Larger files are written to disk."""
    max_part_size = MAX_PART_BYTES
    """Largest field, in bytes."""

    _has_callbacks = False
    _receive: Receive | None = None
    _spool: Spool | None = None
    _file_name: str | None = None

    def __init__(
        self,
        headers: Headers,
        stream: AsyncGenerator[bytes, None],
        *,
        max_files: float = MAX_FILES,
        max_fields: float = MAX_FIELDS,
        max_part_size: int = MAX_PART_BYTES,
        max_fields_size: float | None = None,
    ) -> None:
        self.headers = headers
        self.stream = stream
        self.max_files = max_files
        self.max_fields = max_fields
        self.max_part_size = max_part_size
        self.max_fields_size = max_fields_size
        self.items: list[tuple[str, str | UploadFile]] = []
        self._charset = "utf-8"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._has_callbacks = _overrides_callback(cls, MultiPartParser)

    async def parse(self) -> FormData:
        """Read the stream to its end and return the form. Its files are at position 0; the caller closes them.

        All files are closed if it raises.

        Raises:
            MultiPartException: the body is malformed or exceeds a limit.
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
            # The coroutine is being discarded: it cannot await.
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
            fields_bytes(self.max_fields_size, self.max_part_size),
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
            case "fields_too_large":
                return _too_large_together(self)
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
        file = SpooledTemporaryFile(max_size=self.spool_max_size)  # noqa: SIM115  # closed by the spool or the form
        upload = UploadFile(cast("Any", file), size=0, filename=filename, headers=Headers(raw=headers))
        self._files.begin(upload)
        return upload

    def _call_back(self, events: list[_core._MultipartEvent]) -> None:
        for event in events:
            if isinstance(event, tuple):
                self.on_part_begin()
                self._file_name = event[2]
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
        """Called at the start of a part."""
        self._current_part = MultipartPart()
        self._header = (bytearray(), bytearray())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Called with a header's name, in lower case."""
        self._header[0].extend(data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Called with a header's value."""
        self._header[1].extend(data[start:end])

    def on_header_end(self) -> None:
        """Called at the end of a header."""
        name, value = (bytes(part) for part in self._header)
        self._current_part.item_headers.append((name, value))
        if name == b"content-disposition":
            self._current_part.content_disposition = value
        self._header = (bytearray(), bytearray())

    def on_headers_finished(self) -> None:
        """Called after the headers of a part. Opens a file if the part has a file name."""
        part = self._current_part
        disposition = part.content_disposition or b""
        name, filename = _core.form_parameters(disposition, b"name", b"filename")
        part.field_name = self._decode(name or b"")
        if filename is not None:
            part.file = self._open_file(self._decode(filename), part.item_headers)
        elif self._file_name is not None:  # given as `filename*`
            part.file = self._open_file(self._file_name, part.item_headers)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Called with content of the part."""
        if self._current_part.file is None:
            self._current_part.data.extend(data[start:end])
        else:
            self._files.write(data[start:end])

    def on_part_end(self) -> None:
        """Called at the end of a part. Adds it to the form."""
        part = self._current_part
        if part.file is None:
            self.items.append((part.field_name, self._decode(part.data)))
        else:
            self._files.end()
            self.items.append((part.field_name, part.file))

    def on_end(self) -> None:
        """Called at the end of the form."""

    def _decode(self, text: bytes | bytearray) -> str:
        try:
            return text.decode(self._charset)
        except UnicodeDecodeError:
            return text.decode("latin-1")


def _too_large_together(parser: FormParser | MultiPartParser) -> str:
    limit = fields_bytes(parser.max_fields_size, parser.max_part_size)
    return f"Fields exceeded maximum size of {int(limit / 1024)}KB together."


class _WarningWhenCalled(EnumMeta):
    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        message = f"`{cls.__name__}` is deprecated and will be removed in a future version."
        warnings.warn(message, StarletteDeprecationWarning, stacklevel=2)
        return super().__call__(*args, **kwargs)


class FormMessage(Enum, metaclass=_WarningWhenCalled):
    """Deprecated and unused."""

    FIELD_START = 1
    FIELD_NAME = 2
    FIELD_DATA = 3
    FIELD_END = 4
    END = 5


def _overrides_callback(cls: type, base: type) -> bool:
    callbacks = [name for name in vars(base) if name.startswith("on_")]
    return any(getattr(cls, name) is not getattr(base, name) for name in callbacks)


def _new_form(items: list[tuple[str, str | UploadFile]]) -> FormData:
    """Return a form that owns `items`. The constructor would inspect and copy them."""
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
    """Return the codec for a charset parameter: an encoding of the web, or Latin-1 for anything else."""
    if len(charset) > _LONGEST_CHARSET or not charset.isascii():
        return "latin-1"
    name = normalize_encoding(charset).lower()
    codec = aliases.get(name, name)
    if codec == "utf_8":
        return "utf-8"
    return codec if codec in _WEB_CODECS else "latin-1"
