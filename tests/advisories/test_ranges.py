"""The Range header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pallasite._http.ranges import RangeNotSatisfiable, parse_ranges
from pallasite.responses import FileResponse
from pallasite.staticfiles import StaticFiles
from tests.support.asgi import ask, assert_linear

pytestmark = pytest.mark.anyio

SIZE = 10_000

HARD_RANGES = {
    "distinct": lambda size: "bytes=" + ",".join(f"{number * 2}-{number * 2}" for number in range(size)),
    "backwards": lambda size: "bytes=" + ",".join(f"{number * 2}-{number * 2}" for number in range(size, 0, -1)),
    "all alike": lambda size: "bytes=" + "0-1," * size,
    "growing": lambda size: "bytes=" + ",".join(f"0-{number}" for number in range(size)),
    "shrinking": lambda size: "bytes=" + ",".join(f"{number}-" for number in range(size)),
    "from the end": lambda size: "bytes=" + ",".join(f"-{number}" for number in range(1, size)),
    "commas": lambda size: "bytes=" + "," * size,
    "hyphens": lambda size: "bytes=" + "-" * size,
    "blanks": lambda size: "bytes=" + " " * size + "0-1",
    "digits": lambda size: "bytes=" + "9" * size + "-",
    "zeros": lambda size: "bytes=0-" + "0" * size,
    "unit": lambda size: "b" * size + "=0-1",
    "equals signs": lambda size: "bytes" + "=" * size,
}


def parse(header: str) -> None:
    try:
        parse_ranges(header, 10**12, 10**9)
    except RangeNotSatisfiable:
        pass


@pytest.fixture(params=["file", "static"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(250)) * (SIZE // 250))
    if request.param == "file":
        return FileResponse(path)
    return StaticFiles(directory=tmp_path)


@pytest.mark.advisory("CVE-2025-62727")
@pytest.mark.parametrize("make", HARD_RANGES.values(), ids=HARD_RANGES.keys())
def test_ranges_are_joined_in_no_more_than_sorting_takes(make: Any) -> None:
    assert_linear(make, parse)


@pytest.mark.advisory("CVE-2025-62727")
@pytest.mark.parametrize("make", HARD_RANGES.values(), ids=HARD_RANGES.keys())
async def test_response_to_many_ranges_is_at_most_twice_the_file(files: Any, make: Any) -> None:
    for count in (2, 10, 1_000, 20_000):
        for name in (b"range", b"Range".lower()):
            answer = await ask(files, "/file.bin", headers=[(name, make(count).encode())])
            assert answer.status in (200, 206, 416)
            assert len(answer.body) <= 2 * SIZE
            assert answer.header("content-length") in (str(len(answer.body)), None)


@pytest.mark.advisory("CVE-2025-62727")
async def test_if_range_of_any_length_is_compared(files: Any) -> None:
    for condition in (b'"' * 100_000, b"W/" * 50_000, b"x" * 100_000, b""):
        headers = [(b"range", b"bytes=0-1"), (b"if-range", condition)]
        assert (await ask(files, "/file.bin", headers=headers)).status == 200


@pytest.mark.advisory("CVE-2025-69225")
@pytest.mark.parametrize("digits", ["\u0661", "\uff11", "\u00b2", "+1", "1_0", "0x1", " 1 1", "1.0"])
async def test_range_is_written_in_digits_of_ascii(files: Any, digits: str) -> None:
    for text in (f"bytes={digits}-", f"bytes=0-{digits}", f"bytes=-{digits}"):
        assert parse_ranges(text, SIZE, 10) == []
        answer = await ask(files, "/file.bin", headers=[(b"range", text.encode("utf-8"))])
        assert answer.status == 200
