"""gzip, whole and in chunks, compared with zlib."""

from __future__ import annotations

import gzip
import json
import random
import threading
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pallasite._core import GzipStream
from pallasite._core import gzip as compress

LEVELS = range(-1, 10)


def records(count: int) -> bytes:
    chance = random.Random(count)
    rows = [{"id": row, "name": f"user {chance.randrange(10**6)}", "score": chance.random()} for row in range(count)]
    return json.dumps(rows).encode()


def zlibs(data: bytes, level: int) -> bytes:
    compressor = zlib.compressobj(level, wbits=31)
    return compressor.compress(data) + compressor.flush()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"x" * 100_000, records(30), records(3_000), records(120) * 40, random.Random(1).randbytes(70_000)],
    ids=["empty", "one byte", "one byte repeated", "small", "large", "repeated far apart", "noise"],
)
def test_gzip_is_unpacked_by_others_and_not_larger_than_zlibs(data: bytes, level: int) -> None:
    compressed = compress(data, level)
    assert gzip.decompress(compressed) == data
    assert len(compressed) <= len(zlibs(data, level))


@given(data=st.binary(max_size=5_000), level=st.integers(-1, 9))
def test_gzip_small_body_of_any_bytes_is_not_larger(data: bytes, level: int) -> None:
    compressed = compress(data, level)
    assert gzip.decompress(compressed) == data
    assert len(compressed) <= len(zlibs(data, level))


@pytest.mark.parametrize("level", [-2, 10, 1000])
def test_gzip_level_unknown_is_a_value_error(level: int) -> None:
    with pytest.raises(ValueError, match="compression level"):
        compress(b"", level)
    with pytest.raises(ValueError, match="compression level"):
        GzipStream(level)


def test_gzip_reads_any_buffer_of_bytes_only() -> None:
    assert gzip.decompress(compress(bytearray(b"one"))) == b"one"
    assert gzip.decompress(compress(memoryview(b"a-b-c")[::2])) == b"abc"
    with pytest.raises((TypeError, BufferError)):
        compress("text")  # type: ignore[arg-type]


@given(
    pieces=st.lists(st.tuples(st.binary(max_size=600), st.sampled_from([zlib.Z_NO_FLUSH, zlib.Z_SYNC_FLUSH]))),
    level=st.integers(-1, 9),
)
def test_stream_in_any_chunks_equals_that_of_zlib(pieces: list[tuple[bytes, int]], level: int) -> None:
    ours, theirs = GzipStream(level), zlib.compressobj(level, wbits=31)
    sent, expected = b"", b""
    for piece, flush in pieces:
        sent += ours.compress(piece, flush)
        expected += theirs.compress(piece) + (theirs.flush(flush) if flush else b"")
    sent += ours.flush()
    expected += theirs.flush()
    assert gzip.decompress(sent) == b"".join(piece for piece, _ in pieces)
    assert len(sent) <= len(expected)


def test_stream_large_chunk_is_flushed_whole() -> None:
    data = records(20_000)
    stream, reader = GzipStream(), zlib.decompressobj(wbits=31)
    assert reader.decompress(stream.compress(data, zlib.Z_SYNC_FLUSH)) == data


def test_stream_after_its_end_is_a_runtime_error() -> None:
    stream = GzipStream()
    stream.flush()
    with pytest.raises(RuntimeError, match="finished"):
        stream.compress(b"more")
    with pytest.raises(ValueError, match="flush mode"):
        GzipStream().flush(7)


def test_stream_in_use_by_another_thread_refuses() -> None:
    stream, data, refused = GzipStream(), random.Random(1).randbytes(200_000) * 20, []

    def work() -> None:
        for _ in range(5):
            try:
                stream.compress(data)
            except RuntimeError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(refused) == {"the stream is in use by another thread; create one stream per response"}
    stream.flush()
