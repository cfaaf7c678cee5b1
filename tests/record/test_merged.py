"""Quantiles of merged columns are those of `TensorStats` on merged rows."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradprof import TensorStats
from gradprof.kernels.row import ROW_DTYPE, empty_rows, merge_rows
from gradprof.tab.merged import Merged
from runs import rows_of

values = st.lists(
    st.one_of(
        st.sampled_from([0.0, math.nan, math.inf, -1.0, 1e-30, 1e30]),
        st.floats(-1e10, 1e10, width=32, allow_subnormal=False),
    ),
    max_size=12,
)


def merged_of(rows: np.ndarray) -> Merged:
    return Merged(
        hist=rows["hist"],
        numel=rows["numel"],
        n_zero=rows["n_zero"],
        non_finite=rows["n_nan"] + rows["n_inf"],
        abs_max=np.where(rows["hist"].any(axis=1) | (rows["n_zero"] > 0), rows["abs_max"], np.nan),
        abs_min=np.where(np.isinf(rows["abs_min"]), np.nan, rows["abs_min"]),
    )


def one_by_one(rows: np.ndarray) -> np.ndarray:
    row = empty_rows(1)
    for other in rows:
        merge_rows(row, other.reshape(1))
    return row


@given(st.lists(values, min_size=1, max_size=8), st.floats(0, 1), st.data())
def test_as_one_tensor_at_a_time(gradients: list[list[float]], q: float, data: st.DataObject) -> None:
    rows = rows_of(gradients)
    cuts = data.draw(st.sets(st.integers(1, len(rows) - 1))) if len(rows) > 1 else set()
    bounds = np.array([0, *sorted(cuts), len(rows)])
    pooled = merged_of(rows).pooled(bounds)
    expected = np.array([one_by_one(rows[a:b])[0] for a, b in pairwise(bounds)], ROW_DTYPE)
    np.testing.assert_array_equal(pooled.hist, expected["hist"])
    np.testing.assert_array_equal(pooled.numel, expected["numel"])
    stats = [TensorStats.from_row(row) for row in expected]
    np.testing.assert_array_equal(pooled.abs_max, [s.abs_max for s in stats])
    np.testing.assert_array_equal(pooled.abs_min, [s.abs_min for s in stats])
    np.testing.assert_array_equal(pooled.quantile(q), [s.quantile(q) for s in stats])


def test_no_columns() -> None:
    nothing = merged_of(empty_rows(0)).pooled(np.zeros(1, dtype=np.int64))
    assert nothing.quantile(0.5).shape == (0,)
