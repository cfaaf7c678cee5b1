"""Chunks come back bit by bit, one metric without the others, and what is damaged is found."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from damage import assert_damage_is_found
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradprof.events.block import BadBlock
from gradprof.events.pooled import (
    POOLED_HIST_DTYPE,
    EncodedPooled,
    EncodedPooledHist,
    Pooled,
    encode_pooled,
    encode_pooled_hist,
    pooled_hist_groups,
)
from gradprof.events.streams import pack

values = st.floats(width=32) | st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan])
integers = st.integers(-(2**63), 2**63 - 1)
counts = st.sampled_from([0, 0, 0, 1, 2**30, 2**31, 2**62]) | st.integers(0, 2**63 - 1)
floats = st.floats() | st.sampled_from([0.0, np.inf, np.nan, 5e-324])


@st.composite
def chunks(draw: Any) -> Pooled:
    columns, sites = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    shape = (columns, sites)
    return Pooled(
        level=draw(st.sampled_from([8, 64])),
        first_steps=draw(hnp.arrays(np.int64, columns, elements=integers)),
        last_steps=draw(hnp.arrays(np.int64, columns, elements=integers)),
        n_rows=draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 64))),
        metrics={
            name: draw(hnp.arrays(np.float32, shape, elements=values, fill=values))
            for name in ("log10_l2", "non_finite", "größe")
        },
    )


@given(chunks())
def test_every_bit_comes_back(pooled: Pooled) -> None:
    decoded = EncodedPooled(encode_pooled(pooled))
    assert (decoded.level, decoded.n_columns, decoded.n_sites) == (pooled.level, *pooled.n_rows.shape)
    np.testing.assert_array_equal(decoded.first_steps, pooled.first_steps)
    np.testing.assert_array_equal(decoded.last_steps, pooled.last_steps)
    np.testing.assert_array_equal(decoded.n_rows(), pooled.n_rows)
    for name, written in pooled.metrics.items():
        got = decoded.metric(name)
        assert (got.dtype, got.shape) == (np.float32, written.shape)
        assert got.tobytes() == written.tobytes()


@given(st.data())
def test_merged_histograms_come_back(data: st.DataObject) -> None:
    shape = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 3))
    hist = data.draw(hnp.arrays(np.int64, (*shape, 128), elements=counts, fill=counts))
    fields = np.zeros(shape, dtype=POOLED_HIST_DTYPE)
    for name in fields.dtype.names or ():
        kind = fields.dtype[name]
        fields[name] = data.draw(hnp.arrays(kind, shape, elements=integers if kind == np.int64 else floats))
    decoded = EncodedPooledHist(encode_pooled_hist(hist, fields))
    assert decoded.shape == shape
    np.testing.assert_array_equal(decoded.hist(), hist)
    assert decoded.fields().tobytes() == fields.tobytes()
    for name in fields.dtype.names or ():
        np.testing.assert_array_equal(decoded.field(name), fields[name])


def chunk() -> Pooled:
    rng = np.random.default_rng(0)
    steps = np.arange(8)
    metrics = {name: rng.standard_normal((8, 3)).astype(np.float32) for name in ("a", "b")}
    return Pooled(64, 64 * steps, 64 * steps + 63, np.full((8, 3), 64), metrics)


def test_one_metric_can_be_read_without_the_others() -> None:
    """By its own stream: a chunk whose other streams say nothing is enough."""
    data = encode_pooled(chunk())
    decoded = EncodedPooled(data)
    streams = {name: decoded._packed._streams[name] for name in ("steps", "metric/b")}
    alone = EncodedPooled(pack(b"GPP2", {"level": 64, "columns": 8, "sites": 3}, streams))
    np.testing.assert_array_equal(alone.metric("b"), chunk().metrics["b"])
    with pytest.raises(BadBlock, match="no stream 'metric/a'"):
        alone.metric("a")


def test_damaged_and_truncated_chunks() -> None:
    beside = np.zeros((8, 3), dtype=POOLED_HIST_DTYPE)
    hist = encode_pooled_hist(np.ones((8, 3, 128), dtype=np.int64), beside)
    for data, decode in ((encode_pooled(chunk()), EncodedPooled), (hist, EncodedPooledHist)):
        assert_damage_is_found(data, decode)


@pytest.mark.parametrize("decode", [EncodedPooled, EncodedPooledHist])
def test_other_blocks_are_named(decode: Any) -> None:
    with pytest.raises(BadBlock, match="got b'GPR2'"):
        decode(b"GPR2" + struct.pack("<II", 0, 0))


def test_groups_have_at_most_32_sites() -> None:
    assert [pooled_hist_groups(n) for n in (1, 32, 33, 200, 1000)] == [1, 1, 2, 7, 32]
