"""Metrics by hand, and running medians against their definition in plain loops."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradprof.kernels.row import FIELDS_DTYPE, empty_rows
from gradprof.record.metrics import HISTORY, METRICS, L2Change
from runs import Training, Values, rows_of

NAN, INF = math.nan, math.inf

# --- metrics ---------------------------------------------------------------------------------------

BY_HAND: dict[str, tuple[Values, list[float]]] = {
    "plain": ([3.0, -4.0, 0.0, 0.0], [math.log10(4), math.log10(5), math.log10(2.5), 0.5, 0.5, 0]),
    "small": ([1e-30] * 100, [-30, -29, -30, 0, 0, 0]),
    "zero": ([0.0, 0.0], [-INF, -INF, -INF, 0, 1, 0]),
    "some not finite": ([NAN, INF, -INF, 10.0], [1, 1, 1, 0.25, 0, 3]),
    "none finite": ([NAN, INF], [NAN, NAN, NAN, 0, 0, 2]),
    "empty": ([], [NAN, NAN, NAN, NAN, NAN, 0]),
    "missing": (None, [NAN] * 6),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_by_hand(case: str) -> None:
    gradient, expected = BY_HAND[case]
    rows = rows_of([gradient])
    got = [METRICS[name].of(rows) for name in METRICS if name != "l2_change"]
    assert all(values.dtype == np.float32 and values.shape == (1,) for values in got)
    np.testing.assert_allclose(np.concatenate(got), expected, rtol=1e-6, atol=1e-7)


def test_order_and_rules() -> None:
    assert list(METRICS) == [
        *("log10_abs_max", "log10_l2", "log10_rms", "share_above", "zero_share", "non_finite", "l2_change")
    ]
    assert all(metric.name == name and metric.title for name, metric in METRICS.items())
    assert {metric.pool for name, metric in METRICS.items() if name != "l2_change"} == {"max"}
    assert METRICS["l2_change"].pool == "largest_change"


@pytest.mark.parametrize("name", METRICS)
def test_rows_in_any_form_and_shape(name: str) -> None:
    rows = Training(6).rows(40)
    rows[7, 2] = empty_rows(1)[0]
    expected = METRICS[name].of(rows)
    fields = np.zeros(rows.shape, dtype=FIELDS_DTYPE)
    for field in FIELDS_DTYPE.names or ():
        fields[field] = rows[field]
    np.testing.assert_array_equal(METRICS[name].of(fields), expected)
    by_name = {field: np.ascontiguousarray(rows[field]) for field in FIELDS_DTYPE.names or ()}
    np.testing.assert_array_equal(METRICS[name].of(by_name), expected)
    np.testing.assert_array_equal(METRICS[name].of(rows.reshape(40, 3, 2)), expected.reshape(40, 3, 2))
    assert np.isnan(expected[7, 2])


# --- running medians -------------------------------------------------------------------------------

logs = st.floats(-40, 40, width=32) | st.sampled_from([NAN, NAN, -INF, INF, 0.0])


def naive_change(log10_l2: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    out = np.full(log10_l2.shape, NAN, dtype=np.float32)
    for step, site in np.ndindex(log10_l2.shape):
        before = [float(v) for v in log10_l2[max(0, step - 32) : step, site] if math.isfinite(v)]
        if len(before) >= 8:
            out[step, site] = float(log10_l2[step, site]) - float(np.median(before))
    return out


@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 80), st.integers(0, 3)), elements=logs, fill=logs))
def test_change_is_what_the_definition_says(log10_l2: npt.NDArray[np.float32]) -> None:
    changes = L2Change(log10_l2.shape[1]).extend(log10_l2)
    assert changes.dtype == np.float32
    np.testing.assert_array_equal(changes, naive_change(log10_l2))


@given(st.lists(st.integers(0, 400), max_size=6), st.integers(0, 2**32))
def test_pieces_give_what_the_whole_gives(cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    log10_l2 = rng.standard_normal((400, 3)).astype(np.float32)
    log10_l2[rng.random(log10_l2.shape) < 0.2] = NAN
    whole, in_pieces = L2Change(3).extend(log10_l2), L2Change(3)
    bounds = sorted({0, *cuts, 400})
    pieces = [in_pieces.extend(log10_l2[start:stop]) for start, stop in pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_a_change_of_a_decade() -> None:
    log10_l2 = np.full((50, 2), -3, dtype=np.float32)
    log10_l2[40, 1], log10_l2[45, 0] = -2, -INF
    changes = L2Change(2).extend(log10_l2)
    assert np.isnan(changes[:8]).all()
    assert changes[40].tolist() == [0, 1]
    assert changes[45].tolist() == [-INF, 0]
    assert (changes[8:40] == 0).all()


def test_the_metric_has_no_history_before_its_first_step() -> None:
    rows = Training(4).rows(HISTORY + 20)
    log10_l2 = METRICS["log10_l2"].of(rows)
    np.testing.assert_array_equal(METRICS["l2_change"].of(rows), naive_change(log10_l2))
    np.testing.assert_array_equal(METRICS["l2_change"].of(rows[:5]), np.full((5, 4), NAN))
