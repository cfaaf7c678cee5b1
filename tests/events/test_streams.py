"""A stream gives back every bit of what it was given, and whatever is not whole is found."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradprof.events.framing import masked_crc32c
from gradprof.events.streams import BadBlock, Packed, StreamReader, StreamWriter, pack

EXTREMES = [0, 1, -1, 255, 256, 2**31, -(2**31), 2**62, -(2**62), 2**63 - 1, -(2**63)]
FLOAT_BITS = [0x7FF8000000000001, 0x7FF0000000000001, 0x8000000000000000, 0x7FF0000000000000, 1]
integers = st.sampled_from(EXTREMES) | st.integers(-(2**63), 2**63 - 1)
words = st.sampled_from(FLOAT_BITS) | st.integers(0, 2**64 - 1)
shapes = hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=5)


PLENTY = 1 << 20


def reread(writer: StreamWriter) -> StreamReader:
    return StreamReader(writer.finish(), PLENTY)


@given(hnp.arrays(np.int64, shapes, elements=integers, fill=integers))
def test_integers(values: np.ndarray) -> None:
    writer = StreamWriter()
    writer.integers(values)
    np.testing.assert_array_equal(reread(writer).integers(values.shape), values)


@given(hnp.arrays(np.uint64, shapes, elements=words, fill=words))
def test_floats_bit_by_bit(values: np.ndarray) -> None:
    for as_floats in (values.view(np.float64), values.astype(np.uint32).view(np.float32)):
        writer = StreamWriter()
        writer.floats(as_floats)
        got = reread(writer).floats(values.shape, as_floats.dtype)
        assert got.dtype == as_floats.dtype
        assert got.tobytes() == as_floats.tobytes()


@given(hnp.arrays(np.int32, shapes, elements=st.integers(-(2**30), 2**30)))
def test_narrow_changes_read_as_wide_ones(changes: np.ndarray) -> None:
    narrow, wide = StreamWriter(), StreamWriter()
    narrow.changes(changes)
    wide.changes(changes.astype(np.int64))
    data = narrow.finish()
    assert data == wide.finish()
    np.testing.assert_array_equal(StreamReader(data, PLENTY).changes(changes.size), changes.reshape(-1))


def test_arrays_come_in_order_and_can_be_passed_over() -> None:
    rng = np.random.default_rng(0)
    noise, calm = rng.standard_normal((64, 50)), np.arange(128).reshape(64, 2)
    writer = StreamWriter()
    writer.floats(noise)
    writer.integers(calm)
    writer.bits(np.eye(64, 16, dtype=np.uint8))
    writer.floats(noise + 1)
    data = writer.finish()
    reader = StreamReader(data, PLENTY)
    np.testing.assert_array_equal(reader.floats(noise.shape), noise)
    np.testing.assert_array_equal(reader.integers(calm.shape), calm)
    np.testing.assert_array_equal(reader.bits((64, 16)), np.eye(64, 16))
    np.testing.assert_array_equal(reader.floats(noise.shape), noise + 1)
    reader = StreamReader(data, PLENTY)
    reader.skip()
    np.testing.assert_array_equal(reader.integers(calm.shape), calm)
    reader.bits((64, 16))
    reader.skip()
    with pytest.raises(BadBlock, match="ends after"):
        reader.skip()


def test_noise_is_not_deflated_and_the_rest_is() -> None:
    """Random bytes take their own length, and the same value again and again nearly nothing."""
    random = np.random.default_rng(0).integers(0, 2**64, (50, 40), dtype=np.uint64).view(np.float64)
    for values, low, high in ((random, random.nbytes, random.nbytes + 60), (np.ones((50, 40)), 0, 60)):
        writer = StreamWriter()
        writer.floats(values)
        assert low <= len(writer.finish()) <= high


# --- whole or not ----------------------------------------------------------------------------------

MAGIC = b"TST1"


def packed() -> bytes:
    first, second = StreamWriter(), StreamWriter()
    first.raw(np.arange(5))
    second.floats(np.random.default_rng(0).standard_normal((6, 7)))
    return pack(MAGIC, {"what": "größe"}, {"first": first.finish(), "second": second.finish()})


def test_what_is_packed_comes_back() -> None:
    got = Packed(packed(), MAGIC)
    assert got.header["what"] == "größe"
    np.testing.assert_array_equal(got.reader("first", 1, 40).raw(np.int64, (5,)), np.arange(5))
    assert got.reader("second", 1, 6 * 7 * 8).floats((6, 7)).shape == (6, 7)
    with pytest.raises(BadBlock, match="no stream 'third': it has first, second"):
        got.reader("third", 1, PLENTY)


def test_any_changed_or_missing_byte_is_found() -> None:
    data = packed()
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 0x10
        for bad in (bytes(damaged), data[:at]):
            with pytest.raises(BadBlock):
                Packed(bad, MAGIC)
    with pytest.raises(BadBlock, match="damaged or cut off"):
        Packed(data + b"\0", MAGIC)


@pytest.mark.parametrize("data", [b"", b"TST", b"TST1", b"TST1\0\0\0", b"GPB1" + bytes(99), b"\x1f\x8b" * 9])
def test_foreign_bytes(data: bytes) -> None:
    with pytest.raises(BadBlock, match=r"expected a block that starts with b'TST1', got b"):
        Packed(data, MAGIC)


def sealed(body: bytes) -> bytes:
    """Whole by its checksum, whatever it says."""
    return MAGIC + struct.pack("<I", masked_crc32c(body)) + body


def header_only(text: bytes) -> bytes:
    return sealed(struct.pack("<I", len(text)) + text)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff", b"[]", b"{}", b'{"streams":3}', b'{"streams":{"a":"b"}}', b'{"streams":{"a":9}}'],
)
def test_a_header_that_says_nothing(text: bytes) -> None:
    with pytest.raises(BadBlock):
        Packed(header_only(text), MAGIC)


@given(st.binary(max_size=60))
def test_a_stream_of_anything(data: bytes) -> None:
    """Never another error, whatever stands there."""
    block = Packed(pack(MAGIC, {}, {"a": data}), MAGIC)
    reads: list[Any] = [
        lambda reader: reader.integers((2, 3)),
        lambda reader: reader.floats((2, 3), np.float32),
        lambda reader: reader.bits((2, 3)),
        lambda reader: reader.skip(),
    ]
    for read in reads:
        try:
            read(block.reader("a", 1, PLENTY))
        except BadBlock:
            continue


# --- hostile ---------------------------------------------------------------------------------------


def test_a_stream_that_inflates_to_too_much_is_not_inflated() -> None:
    """A hundred MiB of zeros take 100 kB, deflated."""
    bomb = StreamWriter()
    bomb.raw(np.zeros(100 << 20, dtype=np.uint8))
    block = Packed(pack(MAGIC, {}, {"a": bomb.finish()}), MAGIC)
    tracemalloc.start()
    with pytest.raises(BadBlock, match="has more than 8010 bytes"):
        block.reader("a", 1, 8000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("inner", ["[" * 100_000, '{"a":' * 100_000])
def test_a_header_too_deep_to_be_read(inner: str) -> None:
    with pytest.raises(BadBlock, match="RecursionError"):
        Packed(header_only(b'{"streams":{},"a":' + inner.encode()), MAGIC)


@pytest.mark.parametrize("n", ["-1", "65", "1.0", "true", "null", '"3"', "[3]", "1e400"])
def test_a_number_of_things_that_is_none(n: str) -> None:
    block = Packed(header_only(b'{"streams":{},"steps":%s}' % n.encode()), MAGIC)
    with pytest.raises(BadBlock, match=r"has .* steps: expected a number up to 64"):
        block.count("steps", 64)
    with pytest.raises(BadBlock, match="has None sites"):
        block.count("sites", 64)
