"""`_core.dumps`: the bytes of `json.dumps`, or None. `_core.may_overflow`: never misses an infinity."""

from __future__ import annotations

import enum
import json
import math
import sys
import tracemalloc
from collections import OrderedDict
from typing import Any, NamedTuple

import pytest

from pallasite import _core


def oracle(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


_VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**200),
    10**4000,
    "",
    "plain",
    '"quoted" \\ and / slash',
    "".join(map(chr, range(0x100))),
    "é€𐍈\u2028\u2029\ufeff\ud7ff\U0010ffff",
    "x" * 31 + '"' + "y" * 33 + "\n",
    "é" * 100 + "\x00",
    [],
    {},
    (),
    [[]],
    [{}, {"a": {}}],
    [1, [2, (3, "4")], None],
    {"a": 1, "b": [True, None], "é\n": {"c": 1.5}},
    {2: "int", -(2**70): "big", 1.5: "float", 1e20: "float", True: "yes", None: "nothing", False: "no"},
    {1: "a", "1": "the same key twice"},
]


@pytest.mark.parametrize("value", _VALUES, ids=range(len(_VALUES)))
def test_dumps_equals_json(value: Any) -> None:
    assert _core.dumps(value) == oracle(value)


_FLOATS = [
    0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, 1e-3, 1e-4, 0.00012345, 9.999e-5, 1e-5, 1.5e-5, 1e-6, 1e-7, 1e-10, 1e-100, 1e15,
    123456789012345.6, 9999999999999998.0, 1e16, 1.2345e16, 1e17, 1e21, 1e22, 1e23, 1e100, 5e-324, 2**-44,
    2.2250738585072014e-308, sys.float_info.max, sys.float_info.min, math.pi, 2.5e-8, 9007199254740993.0,
]  # fmt: skip


@pytest.mark.parametrize("number", _FLOATS)
def test_dumps_float_is_pythons_repr(number: float) -> None:
    assert _core.dumps(number) == repr(number).encode()
    assert _core.dumps([-number]) == f"[{-number!r}]".encode()


def test_dumps_every_power_of_two_is_pythons_repr() -> None:
    for exponent in range(-1074, 1024):
        number = math.ldexp(1.0, exponent)
        assert _core.dumps(number) == repr(number).encode()


def test_dumps_every_power_of_ten_and_its_neighbours_are_pythons_repr() -> None:
    for exponent in range(-323, 309):
        number = float(f"1e{exponent}")
        for near in (number, math.nextafter(number, 0.0), math.nextafter(number, math.inf)):
            assert _core.dumps(near) == repr(near).encode()


class _Colour(enum.StrEnum):
    RED = "red"


class _Level(enum.IntEnum):
    LOW = 1


class _Point(NamedTuple):
    x: int
    y: int


_OTHERS: list[Any] = [
    math.nan,
    math.inf,
    [-math.inf],
    {math.nan: 1},
    "\ud800",
    {"\udfff": 1},
    object(),
    {1, 2},
    b"bytes",
    bytearray(),
    1j,
    _Colour.RED,
    _Level.LOW,
    OrderedDict(a=1),
    _Point(1, 2),
    {(1, 2): 3},
    {frozenset(): 1},
    {(): 1},
    {_Colour.RED: 1},
    10**5000,
]


@pytest.mark.parametrize("value", _OTHERS, ids=range(len(_OTHERS)))
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [1, {"key": value}]], ids=["bare", "nested"])
def test_dumps_anything_else_is_left_to_python(value: Any, wrap: Any) -> None:
    assert _core.dumps(wrap(value)) is None


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_dumps_depth_is_bounded() -> None:
    assert _core.dumps(_nested(128)) == oracle(_nested(128))
    assert _core.dumps(_nested(129)) is None
    assert _core.dumps(_nested(100_000)) is None


def test_dumps_circular_is_left_to_python() -> None:
    items: list[Any] = []
    items.extend([items, items])
    table: dict[str, Any] = {}
    table["self"] = table
    assert _core.dumps(items) is None
    assert _core.dumps(table) is None


def test_dumps_shared_value_is_written_each_time() -> None:
    shared = {"a": 1}
    assert _core.dumps([shared, shared]) == b'[{"a":1},{"a":1}]'


def test_dumps_keeps_no_memory() -> None:
    value = {"items": [{"name": f"item {index}", "price": index * 1.5} for index in range(100)]}
    _core.dumps(value)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(200):
        _core.dumps(value)
        _core.dumps([value, object()])
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000


@pytest.mark.parametrize("document", ["1e999", "[0.1, -2E+400]", "é 1e309", "9" * 320 + ".0", "\ud800"])
def test_may_overflow_sees_numbers_beyond_a_float(document: str) -> None:
    assert _core.may_overflow(document)
    assert _core.may_overflow(document.encode("utf-8", "surrogatepass")) is (document != "\ud800")


@pytest.mark.parametrize("document", ["", "1e99", "1e-999", '{"é": [0.1, 1e5]}', "e999"])
def test_may_overflow_lets_ordinary_documents_by(document: str) -> None:
    assert not _core.may_overflow(document)
    assert not _core.may_overflow(document.encode())


def test_may_overflow_of_anything_else_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        _core.may_overflow(bytearray(b"1"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value",
    [{}, [], None, "é", 1, 2**70, 1.5, True, {"a": [1, {"b": None}], "": "x"}, {"a_sa": 1}, [[[]]]],
    ids=repr,
)
def test_plain_value_is_encoded_as_usual(value: object) -> None:
    assert _core.dumps_plain(value) == _core.dumps(value) is not None


class Text(str):
    pass


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [{"_sa": 1}, [{"_sa_state": 1}], {1: 2}, {None: 1}, (1, 2), Text("a"), {Text("a"): 1}, {"\ud800": 1}, {1}, b"x"],
    ids=repr,
)
def test_value_that_fastapi_may_change_is_not_encoded(value: object) -> None:
    assert _core.dumps_plain(value) is None


def test_plain_value_is_at_most_100_levels_deep() -> None:
    assert _core.dumps_plain(nested(99)) is not None
    assert _core.dumps_plain(nested(100)) is None


def test_plain_value_that_json_cannot_express_is_not_encoded() -> None:
    assert _core.dumps_plain([float("nan")]) is None


_UNDECIDED = object()


@pytest.mark.parametrize(
    "text",
    [
        "null",
        " [1, -2, 2.5, 1e2, -0, -0.0] ",
        '{"a": {"b": []}, "a": {"c": "é€𐍈"}, "": false}',
        '["\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00", "' + "x" * 100 + '"]',
        "[" + ",".join(str(10**n) for n in range(40)) + "]",
        "[" + ",".join(f'{{"key{n}":{n},"k":1}}' for n in range(200)) + "]",
        '{"' + "k" * 40 + '": 1}',
        "[" * 128 + "]" * 128,
    ],
    ids=["null", "numbers", "objects", "strings", "powers", "keys", "long-key", "deep"],
)
def test_document_is_decoded_as_by_json_loads(text: str) -> None:
    expected = json.loads(text)
    for document in (text, text.encode()):
        value = _core.loads(document, _UNDECIDED)
        assert repr(value) == repr(expected)  # -0.0 and 0 are equal


@pytest.mark.parametrize(
    "document",
    ["", "nul", "[1,]", "[1", "NaN", "1e999", '"\\ud800"', "[" * 129 + "]" * 129, "\ud800", "9" * 5000, "1 2"],
    ids=repr,
)
def test_document_for_pythons_decoder_is_left_to_it(document: str) -> None:
    assert _core.loads(document, _UNDECIDED) is _UNDECIDED
    assert _core.loads(document.encode("utf-8", "surrogatepass"), _UNDECIDED) is _UNDECIDED


@pytest.mark.parametrize(
    "document", [b"1\x00\x00\x00", b"\xff\xfe1\x00", b"\xef\xbb\xbf1", bytearray(b"1"), 5], ids=repr
)
def test_document_in_another_encoding_or_type_is_left_to_python(document: Any) -> None:
    assert _core.loads(document, _UNDECIDED) is _UNDECIDED


def test_keys_of_a_document_are_one_object_each() -> None:
    first, second = _core.loads('[{"name": 1}, {"name": 2}]', [])
    assert next(iter(first)) is next(iter(second))
