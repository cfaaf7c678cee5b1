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
    EncodedPooled,
    EncodedPooledHist,
    encode_pooled,
    encode_pooled_hist,
    pooled_hist_groups,
)
from gradprof.events.streams import pack
from gradprof.kernels.row import empty_rows
from gradprof.record.columns import PLACE_RULES, Columns
from gradprof.record.figures import DISTRIBUTION_RULES, distribution
from gradprof.record.metrics import METRIC_RULES

values = st.floats(width=32) | st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan])
integers = st.integers(-(2**63), 2**63 - 1)
counts = st.sampled_from([0, 0, 0, 1, 2**30, 2**31, 2**62]) | st.integers(0, 2**63 - 1)
floats = st.floats() | st.sampled_from([0.0, np.inf, np.nan, 5e-324])


RULES = PLACE_RULES | METRIC_RULES


@st.composite
def chunks(draw: Any) -> Columns:
    columns, sites = draw(st.integers(0, 6)), draw(st.integers(0, 4))
    shape = (columns, sites)
    arrays = {
        "first_step": draw(hnp.arrays(np.int64, columns, elements=integers)),
        "last_step": draw(hnp.arrays(np.int64, columns, elements=integers)),
        "n_rows": draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 64))),
    }
    for name in ("log10_l2", "non_finite", "größe"):
        arrays[name] = draw(hnp.arrays(np.float32, shape, elements=values, fill=values))
    return Columns(arrays, RULES)


@given(st.sampled_from([8, 64]), chunks())
def test_every_bit_comes_back(level: int, written: Columns) -> None:
    encoded = EncodedPooled(encode_pooled(level, written))
    assert (encoded.level, encoded.shape) == (level, written["n_rows"].shape)
    decoded = encoded.columns(("log10_l2", "non_finite", "größe"))
    assert list(decoded.arrays) == list(written.arrays)
    for name, values in written.arrays.items():
        got = decoded[name]
        assert (got.dtype, got.shape) == (values.dtype, values.shape)
        assert got.tobytes() == values.tobytes()


@given(st.data())
def test_merged_histograms_come_back(data: st.DataObject) -> None:
    shape = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 3))
    hist = data.draw(hnp.arrays(np.int64, (*shape, 128), elements=counts, fill=counts))
    arrays = {"hist": hist}
    for name in ("numel", "n_zero", "n_nan", "n_inf"):
        arrays[name] = data.draw(hnp.arrays(np.int64, shape, elements=integers))
    for name in ("abs_max", "abs_min"):
        arrays[name] = data.draw(hnp.arrays(np.float64, shape, elements=floats))
    first = data.draw(st.integers(0, shape[1] - 1))
    group = slice(first, data.draw(st.integers(first + 1, shape[1])))
    decoded = EncodedPooledHist(encode_pooled_hist(Columns(arrays, DISTRIBUTION_RULES), group))
    assert decoded.shape == (shape[0], group.stop - group.start)
    for site in range(*group.indices(shape[1])):
        columns = decoded.columns(site - group.start)
        assert set(columns.arrays) == set(DISTRIBUTION_RULES)
        for name, values in columns.arrays.items():
            assert values.tobytes() == np.ascontiguousarray(arrays[name][:, site]).tobytes()


def chunk() -> Columns:
    rng = np.random.default_rng(0)
    steps = np.arange(8)
    arrays = {"first_step": 64 * steps, "last_step": 64 * steps + 63, "n_rows": np.full((8, 3), 64)}
    arrays |= {name: rng.standard_normal((8, 3)).astype(np.float32) for name in ("a", "b")}
    return Columns(arrays, RULES)


def test_some_sites_of_some_metrics() -> None:
    decoded = EncodedPooled(encode_pooled(64, chunk())).columns(["b"], [2, 0])
    assert list(decoded.arrays) == ["first_step", "last_step", "n_rows", "b"]
    np.testing.assert_array_equal(decoded["b"], chunk()["b"][:, [2, 0]])


def test_one_metric_can_be_read_without_the_others() -> None:
    """By its own stream: a chunk whose other streams say nothing is enough."""
    decoded = EncodedPooled(encode_pooled(64, chunk()))
    streams = {name: decoded._packed._streams[name] for name in ("steps", "n_rows", "metric/b")}
    alone = EncodedPooled(pack(b"GPP3", {"level": 64, "columns": 8, "sites": 3}, streams))
    np.testing.assert_array_equal(alone.columns(["b"])["b"], chunk()["b"])
    with pytest.raises(BadBlock, match="no stream 'metric/a'"):
        alone.columns(["a"])


def test_damaged_and_truncated_chunks() -> None:
    rows = empty_rows(24).reshape(8, 3)
    hist = encode_pooled_hist(distribution(rows, np.ones((8, 3, 128), dtype=np.int64)), slice(0, 3))
    for data, decode in ((encode_pooled(64, chunk()), EncodedPooled), (hist, EncodedPooledHist)):
        assert_damage_is_found(data, decode)


@pytest.mark.parametrize("decode", [EncodedPooled, EncodedPooledHist])
def test_other_blocks_are_named(decode: Any) -> None:
    with pytest.raises(BadBlock, match="got b'GPR3'"):
        decode(b"GPR3" + struct.pack("<II", 0, 0))


def test_groups_have_at_most_32_sites() -> None:
    assert [pooled_hist_groups(n) for n in (1, 32, 33, 200, 1000)] == [1, 1, 2, 7, 32]
