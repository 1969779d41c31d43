"""Multipart and urlencoded bodies against python-multipart: the same fields and files, however a body is chunked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine
from itertools import pairwise
from typing import Any, TypeVar

from hypothesis import example, given
from hypothesis import strategies as st
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, _parseparam, parse_options_header
from starlette.formparsers import FormParser as StarletteFormParser
from starlette.formparsers import MultiPartParser as StarletteMultiPartParser

from pallasite import _core
from pallasite.datastructures import FormData, Headers
from pallasite.formparsers import FormParser, MultiPartParser

T = TypeVar("T")
BOUNDARY = b"B-B"
CONTENT_TYPE = {"Content-Type": "multipart/form-data; boundary=B-B"}

# Name, file name or None, headers, content.
Part = tuple[bytes, bytes | None, list[tuple[bytes, bytes]], bytes]


def parts_of_python_multipart(body: bytes) -> list[Part] | None:
    """Return None if the body is rejected, or if Pallasite is known to reject it."""
    parts: list[dict[str, Any]] = []
    ends: list[bool] = []

    def add(key: str) -> Any:
        def extend(data: bytes, start: int, end: int) -> None:
            parts[-1][key] += data[start:end]

        return extend

    def end_header() -> None:
        part = parts[-1]
        part["headers"].append((part["name"].lower(), part["value"]))
        part["name"] = part["value"] = b""

    parser = MultipartParser(
        BOUNDARY,
        {
            "on_part_begin": lambda: parts.append({"headers": [], "name": b"", "value": b"", "content": b""}),
            "on_header_field": add("name"),
            "on_header_value": add("value"),
            "on_header_end": end_header,
            "on_part_data": add("content"),
            "on_end": lambda: ends.append(True),
        },
    )
    try:
        parser.write(body)
    except FormParserError:
        return None
    found: list[Part] = []
    for part in parts:
        dispositions = [value for name, value in part["headers"] if name == b"content-disposition"]
        _, options = parse_options_header(dispositions[-1] if dispositions else None)
        # Without a name, or with one that receivers would not agree on.
        if b"name" not in options or len(dispositions) > 1 or is_ambiguous(dispositions[0]):
            return None
        found.append((options[b"name"], options.get(b"filename"), part["headers"], part["content"]))
    return found if ends or not body else None  # cut short


def is_ambiguous(disposition: bytes) -> bool:
    names = [segment.partition("=")[0] for segment in _parseparam(disposition.decode("latin-1"))[1:]]
    return names.count("name") > 1 or names.count("filename") > 1


def parts_of_core(pieces: list[bytes]) -> list[Part] | None:
    parser = _core.MultipartParser(BOUNDARY, "latin-1", 1000, 1000, 10**6, True)
    parts: list[Part] = []
    try:
        for piece in pieces:
            for event in parser.feed(piece, []) or []:
                if isinstance(event, tuple):
                    _, name, filename, headers = event
                    parts.append(
                        (name.encode("latin-1"), None if filename is None else filename.encode("latin-1"), headers, b"")
                    )
                elif event is not None:
                    *others, content = parts[-1]
                    parts[-1] = (*others, content + bytes(event))  # type: ignore[assignment]
        parser.finish()
    except _core.FormError:
        return None
    return parts


def cut(body: bytes, places: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in pairwise(places)]


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("the coroutine waits for something")


async def stream(pieces: list[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


# Dense in what the grammar is made of, so that examples reach its corners.
_fragments = st.one_of(
    st.sampled_from(
        [
            b"\r\n--B-B\r\n",
            b"\r\n--B-B\r\nContent-Disposition: form-data; name=a\r\n\r\n",
            b"\r\n--B-B \t\r\ncontent-disposition: form-data; name=b; filename=f\r\nX:  y \r\n\r\n",
            b"\r\n--B-B--",
            b"\r\n--B-B-",
            b"\r\n--B-B",
            b"\r\n--B",
            b"\r\n",
            b"\r",
            b"\n",
            b"-",
            b"--",
            b" ",
            b":",
            b"x",
            b"\xff",
        ]
    ),
    st.binary(max_size=3),
)
_opening = b"--B-B\r\nContent-Disposition: form-data; name=a\r\n\r\n"
_bodies = st.builds(
    lambda before, fragments, after: before + b"".join(fragments) + after,
    st.sampled_from([_opening, b"\r\n" + _opening, b"\nx" + _opening, b""]),
    st.lists(_fragments, max_size=14),
    st.sampled_from([b"\r\n--B-B--", b"\r\n--B-B--\r\nafter", b""]),
)
_places = st.lists(st.integers(0, 1000), max_size=8)
_options = st.lists(
    st.sampled_from(
        [
            b"name",
            b"NAME ",
            b"filename",
            b"name*",
            b"=",
            b"a",
            b'"',
            b"\\",
            b"\\\\",
            b"C:\\",
            b";",
            b"; ",
            b" ",
            b"\xe9",
        ]
    ),
    max_size=14,
).map(b"".join)


@given(_bodies, _places)
@example(b"\r\n\r\n--B-B--", [1, 2, 3])
@example(_opening + b"\r\n--B-B-\r\n--B-B\r\r\n--B-B--", [20])
def test_multipart_equals_python_multipart_for_every_split(body: bytes, places: list[int]) -> None:
    expected = parts_of_python_multipart(body)
    assert parts_of_core([body]) == expected
    assert parts_of_core(cut(body, places)) == expected
    assert parts_of_core([body[i : i + 1] for i in range(len(body))]) == expected


@given(_options)
@example(b'; name="a;b\\"; c"; filename="C:\\\\x\\y"')
def test_multipart_disposition_equals_python_multipart(options: bytes) -> None:
    body = b"--B-B\r\nContent-Disposition: form-data" + options + b"\r\n\r\n\r\n--B-B--"
    assert parts_of_core([body]) == parts_of_python_multipart(body)


_names = st.text(st.characters(exclude_characters='"\\\r\n;\0', exclude_categories=["Cs"]), max_size=8)


@given(
    st.lists(st.tuples(_names, st.none() | _names, st.binary(max_size=40)), max_size=6),
    _places,
    st.sampled_from(["", "; charset=utf-8", "; charset=latin-1", "; charset=shift_jis", "; charset=ASCII"]),
)
def test_multipart_form_equals_starlette(
    parts: list[tuple[str, str | None, bytes]], places: list[int], charset: str
) -> None:
    body = b""
    for name, filename, content in parts:
        disposition = f'form-data; name="{name}"' + ("" if filename is None else f'; filename="{filename}"')
        body += b"--B-B\r\nContent-Disposition: " + disposition.encode() + b"\r\nX-Y: z\r\n\r\n" + content + b"\r\n"
    body += b"--B-B--\r\n"
    headers = {"Content-Type": CONTENT_TYPE["Content-Type"] + charset}

    expected = run(StarletteMultiPartParser(headers, stream([body])).parse())  # type: ignore[arg-type]
    found = run(MultiPartParser(Headers(headers), stream(cut(body, places))).parse())
    assert comparable(found) == comparable(expected)
    run(found.close())
    run(expected.close())


def comparable(form: Any) -> list[Any]:
    return [
        (name, value)
        if isinstance(value, str)
        else (name, value.filename, value.size, value.headers.items(), value.file.read())
        for name, value in form.multi_items()
    ]


@given(
    st.lists(st.sampled_from([b"&", b"=", b"+", b"%", b"%C3", b"%A9", b"%zz", b"\xe9", b"a", b"bc"]), max_size=30),
    _places,
)
def test_urlencoded_form_equals_starlette_for_every_split(fragments: list[bytes], places: list[int]) -> None:
    body = b"".join(fragments)
    expected = run(StarletteFormParser({}, stream([body])).parse())  # type: ignore[arg-type]
    found = run(FormParser(Headers(), stream(cut(body, places))).parse())
    assert found.multi_items() == expected.multi_items()


@given(st.binary(max_size=200), _places)
def test_multipart_of_garbage_is_a_form_or_the_one_error(body: bytes, places: list[int]) -> None:
    parser = _core.MultipartParser(BOUNDARY, "utf-8", 10, 10, 100)
    items: list[Any] = []
    outcomes = []
    for _ in range(2):
        try:
            for piece in cut(b"--B-B\r\n" + body, places):
                parser.feed(piece, items)
            parser.finish()
        except _core.FormError as error:
            outcomes.append(error.args)
    # Every later call raises the error again.
    assert not outcomes or outcomes[0] == outcomes[1]


def test_comparable_form_sees_files() -> None:
    body = b"--B-B\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nc\r\n--B-B--"
    form = run(MultiPartParser(Headers(CONTENT_TYPE), stream([body])).parse())
    assert isinstance(form, FormData)
    assert comparable(form) == [("a", "b", 1, [("content-disposition", "form-data; name=a; filename=b")], b"c")]
    run(form.close())
