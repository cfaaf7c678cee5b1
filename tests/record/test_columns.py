"""Columns of steps: each rule by its definition in plain loops, and pooling in any order and any pieces."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradprof import TensorStats
from gradprof.kernels.row import ROW_DTYPE, empty_rows, merge_rows
from gradprof.record import columns as columns_module
from gradprof.record.columns import AtMax, Columns, Pooling, Rule, joined, level_bounds
from gradprof.record.figures import NO_DISTRIBUTION, distribution, quantile
from runs import rows_of

NAN, INF = math.nan, math.inf

# --- each rule by its definition -------------------------------------------------------------------

RULES: dict[str, Rule] = {
    "sum": "sum",
    "sum_of_floats": "sum",
    "n_true": "sum",
    "max": "max",
    "min": "min",
    "any": "any",
    "first": "first",
    "last": "last",
    "change": "largest_change",
    "at": AtMax("max"),
}


def known(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


BY_HAND: dict[str, Callable[[list[Any]], Any]] = {
    "sum": sum,
    "sum_of_floats": sum,
    "n_true": sum,
    "max": lambda values: max(known(values), default=NAN),
    "min": lambda values: min(known(values), default=NAN),
    "any": any,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "change": lambda values: max(known(values), key=lambda v: (abs(v), v), default=NAN),
}


def by_hand(columns: Columns, bounds: list[int]) -> dict[str, list[Any]]:
    """Of columns of one value: each array pooled."""
    pooled: dict[str, list[Any]] = {name: [] for name in columns.arrays}
    for a, b in pairwise(bounds):
        for name, values in columns.arrays.items():
            steps = values[a:b].reshape(b - a).tolist()
            if name == "at":
                of = columns["max"][a:b].reshape(b - a).tolist()
                best = [i for i, value in enumerate(of) if value == max(known(of), default=NAN)]
                pooled[name].append(steps[best[0]] if best else NAN)
            else:
                pooled[name].append(BY_HAND[name](steps))
    return pooled


floats = st.floats(width=32) | st.sampled_from([NAN, NAN, INF, -INF, 0.0, 1.0, -1.0])
whole = st.integers(-(2**40), 2**40)


@st.composite
def many_columns(draw: st.DrawFn, width: tuple[int, ...] = (2,), least: int = 1) -> Columns:
    """Columns of every rule; sums of floats are of whole numbers, which are exact in any order."""
    n = draw(st.integers(least, 20))

    def array(dtype: Any, elements: Any) -> np.ndarray:
        return draw(hnp.arrays(dtype, (n, *width), elements=elements, fill=elements))

    arrays = {
        "sum": array(np.int32, st.integers(-(2**31), 2**31 - 1)),
        "sum_of_floats": array(np.float64, whole.map(float)),
        "n_true": array(np.bool_, st.booleans()),
        "max": array(np.float64, floats),
        "min": array(np.float32, floats),
        "any": array(np.bool_, st.booleans()),
        "first": array(np.int64, whole),
        "last": array(np.int64, whole),
        "change": array(np.float32, floats),
        "at": array(np.float64, whole.map(float)),
    }
    arrays["at"] = np.where(np.isnan(arrays["max"]), NAN, arrays["at"])
    return Columns(arrays, RULES)


@st.composite
def bounds_within(draw: st.DrawFn, n: int, whole: bool = False) -> list[int]:
    if whole:
        return [0, *sorted(draw(st.sets(st.integers(1, n - 1)))), n] if n > 1 else [0, n]
    return sorted(draw(st.sets(st.integers(0, n), min_size=1)))


def assert_same(got: Columns, expected: Columns) -> None:
    assert set(got.arrays) == set(expected.arrays)
    for name, values in expected.arrays.items():
        np.testing.assert_array_equal(got[name], values, err_msg=name)


@given(st.data())
def test_each_rule_is_what_its_definition_says(data: st.DataObject) -> None:
    columns = data.draw(many_columns(width=()))
    bounds = data.draw(bounds_within(len(columns)))
    pooled = columns.pooled(bounds)
    assert len(pooled) == len(bounds) - 1
    for name, values in by_hand(columns, bounds).items():
        np.testing.assert_array_equal(pooled[name], values, err_msg=name)


@pytest.mark.parametrize("large", [0, 1 << 40], ids=["one by one", "all at once"])
@given(data=st.data())
def test_large_and_small_columns_pool_alike(large: int, data: st.DataObject) -> None:
    columns = data.draw(many_columns())
    bounds = data.draw(bounds_within(len(columns)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns_module, "_LARGE", large)
        pooled = columns.pooled(bounds)
    for site in range(2):
        one = Columns({name: values[:, site] for name, values in columns.arrays.items()}, RULES)
        for name, values in by_hand(one, bounds).items():
            np.testing.assert_array_equal(pooled[name][:, site], values, err_msg=name)


def test_sums_of_narrow_counts_do_not_overflow() -> None:
    counts = Columns({"sum": np.full((8, 3), 2**30, dtype=np.int32)}, RULES)
    assert counts.pooled([0, 8])["sum"].tolist() == [[2**33] * 3]
    pooling = Pooling()
    for i in range(8):
        pooling.extend(counts.within(slice(i, i + 1)), [])
    rest = pooling.rest()
    assert rest is not None
    assert rest["sum"].tolist() == [[2**33] * 3]


@pytest.mark.parametrize("bounds", [[], [-1, 2], [0, 5], [0, 2, 2], [3, 1]])
def test_bounds_outside_or_backwards(bounds: list[int]) -> None:
    with pytest.raises(ValueError, match="expected increasing ones within 4 columns"):
        Columns({"max": np.zeros((4, 1))}, RULES).pooled(bounds)


# --- in any order, in any pieces -------------------------------------------------------------------


@given(st.data())
def test_pooled_twice_is_pooled_once(data: st.DataObject) -> None:
    columns = data.draw(many_columns())
    fine = data.draw(bounds_within(len(columns), whole=True))
    coarse = data.draw(bounds_within(len(fine) - 1))
    assert_same(columns.pooled(fine).pooled(coarse), columns.pooled([fine[at] for at in coarse]))


@given(st.data())
def test_joined_then_pooled_is_pooled_then_joined(data: st.DataObject) -> None:
    a, b = data.draw(many_columns()), data.draw(many_columns())
    of_a, of_b = (data.draw(bounds_within(len(part), whole=True)) for part in (a, b))
    bounds = [*of_a, *(len(a) + at for at in of_b[1:])]
    assert_same(joined([a, b]).pooled(bounds), joined([a.pooled(of_a), b.pooled(of_b)]))


@given(st.data())
def test_within_and_joined_are_inverse(data: st.DataObject) -> None:
    columns = data.draw(many_columns())
    at = data.draw(st.integers(0, len(columns)))
    assert_same(joined([columns.within(slice(at)), columns.within(slice(at, None))]), columns)


@given(st.data())
def test_pooled_as_they_come_is_pooled_at_once(data: st.DataObject) -> None:
    """In memory that is used again for the next piece."""
    columns = data.draw(many_columns())
    n = len(columns)
    bounds = data.draw(bounds_within(n, whole=True))
    cuts = data.draw(bounds_within(n, whole=True))
    n_closed = data.draw(st.integers(len(bounds) - 2, len(bounds) - 1))  # the last column may stay open
    ends = [at - 1 for at in bounds[1 : n_closed + 1]]
    pooling, parts = Pooling(), []
    for a, b in pairwise(cuts):
        piece = columns.within(slice(a, b)).copy()
        parts.append(pooling.extend(piece, [end - a for end in ends if a <= end < b]).copy())
        for values in piece.arrays.values():
            values[...] = 0
    if rest := pooling.rest():
        parts.append(rest)
    assert_same(joined(parts), columns.pooled(bounds))
    assert pooling.rest() is None


def test_nothing_to_pool() -> None:
    nothing = Columns({"max": np.zeros((0, 2)), "sum": np.zeros((0, 2), dtype=np.int64)}, RULES)
    assert len(nothing.pooled([0])) == len(Pooling().extend(nothing, [])) == 0
    assert len(Columns({"max": np.zeros((3, 2))}, RULES).pooled([1])) == 0


def test_bounds_of_a_level() -> None:
    assert level_bounds(0, 8).tolist() == [0]
    assert level_bounds(16, 8).tolist() == [0, 8, 16]
    assert level_bounds(17, 8).tolist() == [0, 8, 16, 17]
    assert level_bounds(3, 1).tolist() == [0, 1, 2, 3]


# --- distributions ---------------------------------------------------------------------------------

values = st.lists(
    st.one_of(
        st.sampled_from([0.0, NAN, INF, -1.0, 1e-30, 1e30]),
        st.floats(-1e10, 1e10, width=32, allow_subnormal=False),
    ),
    max_size=12,
)


def one_by_one(rows: np.ndarray) -> np.ndarray:
    row = empty_rows(1)
    for other in rows:
        merge_rows(row, other.reshape(1))
    return row


@given(st.lists(values, min_size=1, max_size=8), st.floats(0, 1), st.data())
def test_distributions_are_those_of_merged_rows(
    gradients: list[list[float]], q: float, data: st.DataObject
) -> None:
    rows = rows_of(gradients)
    bounds = data.draw(bounds_within(len(rows), whole=True))
    pooled = distribution(rows, rows["hist"]).pooled(bounds)
    expected = np.array([one_by_one(rows[a:b])[0] for a, b in pairwise(bounds)], ROW_DTYPE)
    np.testing.assert_array_equal(pooled["hist"], expected["hist"])
    np.testing.assert_array_equal(pooled["numel"], expected["numel"])
    stats = [TensorStats.from_row(row) for row in expected]
    np.testing.assert_array_equal(pooled["abs_max"], [s.abs_max for s in stats])
    np.testing.assert_array_equal(pooled["abs_min"], [s.abs_min for s in stats])
    np.testing.assert_array_equal(quantile(pooled, q), [s.quantile(q) for s in stats])


def quantile_by_hand(magnitudes: npt.NDArray[np.float64], q: float) -> float:
    return float(np.sort(magnitudes)[round(q * (len(magnitudes) - 1))])


@given(st.lists(st.floats(1e-20, 1e7), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_are_exact_to_a_bin(magnitudes: list[float], q: float) -> None:
    sizes = np.float32(magnitudes).astype(np.float64)
    rows = rows_of([sizes])
    (got,) = quantile(distribution(rows, rows["hist"]), q)
    assert got == pytest.approx(quantile_by_hand(sizes, q), rel=10**0.26 - 1)


def test_no_distribution() -> None:
    assert quantile(NO_DISTRIBUTION.pooled([0]), 0.5).shape == (0,)
