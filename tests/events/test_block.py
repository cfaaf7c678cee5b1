"""A block gives back every bit of every row, whatever the bits are, and takes few bytes for real ones."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from synthetic import Training, rows_of

from gradprof.events.block import BadBlock, Block, EncodedBlock, encode
from gradprof.kernels.row import ROW_DTYPE, ROW_WORDS, empty_rows


def bits_of(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


NAN_PAYLOADS = [0x7FF8000000000001, 0x7FF0000000000001, -1, -(2**51) + 12345]
WORDS = [
    *(0, 1, -1, 2, -2, 255, 256, 2**31, 2**62, -(2**62), 2**63 - 1, -(2**63)),
    *(bits_of(v) for v in (-0.0, 1.0, np.inf, -np.inf, np.nan, 5e-324, 1.7e308, 1e-30)),
    *NAN_PAYLOADS,
]
words = st.sampled_from(WORDS) | st.integers(-(2**63), 2**63 - 1)
names = st.text(max_size=12) | st.sampled_from(["loss", "<script>", "ü/µ·Größe", 'a"b\\c', "\u2028", ""])


@st.composite
def blocks(draw: Any) -> Block:
    """Every word of every row is any 64 bits; so are times."""
    steps, sites = draw(st.integers(0, 5)), draw(st.integers(0, 3))
    bits = draw(hnp.arrays(np.int64, (steps, sites, ROW_WORDS), elements=words, fill=words))
    times = draw(hnp.arrays(np.int64, (4, steps), elements=words))
    points = st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats()), max_size=3)
    return Block(
        times[0],
        *times[1:].view(np.float64),
        rows=bits.view(ROW_DTYPE)[..., 0] if sites else np.empty((steps, sites), dtype=ROW_DTYPE),
        scalars=draw(st.dictionaries(names, points, max_size=3)),
        shapes=draw(st.dictionaries(names, st.lists(st.integers(0, 2**40), max_size=4), max_size=3)),
    )


def block_of(rows: np.ndarray, **fields: Any) -> Block:
    n = len(rows)
    times = {name: np.linspace(0, 1, n) for name in ("wall_times", "seconds", "waits")}
    return Block(**{"steps": np.arange(n), **times, "rows": rows, **fields})


def assert_same(decoded: EncodedBlock, block: Block) -> None:
    for name in ("steps", "wall_times", "seconds", "waits"):
        assert getattr(decoded, name).tobytes() == getattr(block, name).tobytes(), name
    rows = decoded.rows()
    assert rows.dtype == ROW_DTYPE
    assert rows.shape == decoded.shape == block.rows.shape
    assert rows.tobytes() == block.rows.tobytes()
    assert repr(decoded.scalars) == repr(block.scalars)  # tells -0.0 from 0.0, and takes NaN for NaN
    assert decoded.shapes == block.shapes


@given(blocks())
def test_every_bit_comes_back(block: Block) -> None:
    decoded = EncodedBlock(encode(block))
    assert_same(decoded, block)
    assert decoded.hist().tobytes() == np.ascontiguousarray(block.rows["hist"]).tobytes()
    fields = decoded.fields()
    assert fields.dtype.names == tuple(name for name in ROW_DTYPE.names or () if name != "hist")
    for name in fields.dtype.names or ():
        assert fields[name].tobytes() == np.ascontiguousarray(block.rows[name]).tobytes(), name


@given(blocks(), st.data())
def test_one_word_of_a_calm_block(block: Block, data: st.DataObject) -> None:
    """Rows that stay the same but for one word, where predictions are right everywhere else."""
    rows = np.repeat(Training(3).rows(1), 4, axis=0)
    at = tuple(data.draw(st.integers(0, n - 1)) for n in (4, 3, ROW_WORDS))
    as_words = rows.view(np.int64).reshape(4, 3, ROW_WORDS)
    as_words[at] = data.draw(words)
    assert_same(EncodedBlock(encode(block_of(rows))), block_of(rows))


@pytest.mark.parametrize(
    "rows",
    [
        np.empty((0, 5), dtype=ROW_DTYPE),
        np.stack([empty_rows(5)] * 3),
        rows_of([[0.5]])[None],
        np.stack([rows_of([[1.0, 2], None, [np.nan], []]), rows_of([None, [3.0], [np.inf, 0], None])]),
        Training(1).rows(1),
        Training(7).rows(64),
    ],
    ids=["no steps", "nothing seen", "1 step, 1 site", "sites come and go", "1 real row", "real rows"],
)
def test_shapes_of_runs(rows: np.ndarray) -> None:
    block = block_of(rows, scalars={"loss": [(0, 1.5), (7, float("nan"))]}, shapes={"param/w": []})
    assert_same(EncodedBlock(encode(block)), block)


def test_no_observed_step_but_scalars() -> None:
    scalars = {"loss": [(3, float("inf")), (4, -0.0), (2**60 + 1, 0.1 + 0.2)]}
    block = block_of(np.empty((0, 2), dtype=ROW_DTYPE), scalars=scalars)
    assert_same(EncodedBlock(encode(block)), block)


# --- sizes -----------------------------------------------------------------------------------------


def bytes_per_row(rows: np.ndarray) -> float:
    return len(encode(block_of(rows))) / rows.size


@pytest.mark.parametrize("seed", range(3))
def test_real_rows_take_at_most_90_bytes(seed: int) -> None:
    """Rows of a resnet18 took 57 to 60; without any prediction these take over 100."""
    assert bytes_per_row(Training(40, seed).rows(64)) <= 90


def test_what_does_not_change_takes_next_to_nothing() -> None:
    assert bytes_per_row(np.repeat(Training(40).rows(1), 64, axis=0)) < 4
    assert bytes_per_row(np.stack([empty_rows(40)] * 64)) < 1


# --- bytes that are no block -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoded() -> bytes:
    return encode(block_of(Training(2).rows(3), scalars={"loss": [(0, 1.0)]}))


@pytest.mark.parametrize("data", [b"", b"GPB", b"GPB1", b"GPB1\0\0\0", b"GPB2" + bytes(99), b"\x1f\x8b" * 9])
def test_foreign_bytes(data: bytes) -> None:
    with pytest.raises(BadBlock):
        EncodedBlock(data)


def test_another_version_is_named() -> None:
    with pytest.raises(BadBlock, match="expected a block that starts with b'GPB1', got b'GPB9'"):
        EncodedBlock(b"GPB9" + bytes(99))


def test_a_truncated_block(encoded: bytes) -> None:
    for n in range(len(encoded)):
        with pytest.raises(BadBlock):
            EncodedBlock(encoded[:n])
    with pytest.raises(BadBlock):
        EncodedBlock(encoded + b"\0")


def test_damage_in_a_stream_is_found(encoded: bytes) -> None:
    """But for the few bits that a deflate stream does not use, and which change nothing."""
    whole = EncodedBlock(encoded).rows().tobytes()
    unused = 0
    for at in range(8 + struct.unpack_from("<I", encoded, 4)[0], len(encoded)):
        damaged = bytearray(encoded)
        damaged[at] ^= 0x10
        try:
            rows = EncodedBlock(bytes(damaged)).rows()
        except BadBlock:
            continue
        assert rows.tobytes() == whole, at
        unused += 1
    assert unused <= 3


def test_the_histogram_stays_compressed_until_asked_for(encoded: bytes) -> None:
    block = EncodedBlock(encoded[:-5] + b"     ")
    assert block.fields()["n_obs"].all()
    with pytest.raises(BadBlock, match="'hist'"):
        block.hist()


def test_blocks_are_as_documented(encoded: bytes) -> None:
    """Other programs read it by this: the magic, the length of the header, the header, the streams."""
    (length,) = struct.unpack_from("<I", encoded, 4)
    header = json.loads(encoded[8 : 8 + length])
    assert (encoded[:4], header["steps"], header["sites"]) == (b"GPB1", 3, 2)
    assert list(header["streams"]) == ["steps", "fields", "hist"]
    assert 8 + length + sum(header["streams"].values()) == len(encoded)
    steps = zlib.decompress(encoded[8 + length :][: header["streams"]["steps"]])
    assert np.frombuffer(steps, "<i8", 3).tolist() == [0, 1, 2]


def test_same_block_same_bytes() -> None:
    block = block_of(Training(4).rows(8))
    assert encode(block) == encode(replace(block, rows=block.rows.copy()))
