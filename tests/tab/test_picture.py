"""Steps to columns: level, bounds, flags and colour limits against the obvious."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradprof.read.recording import LEVELS
from gradprof.tab import picture
from gradprof.tab.query import BadRequest

columns = st.integers(1, 4096)


@given(st.integers(1, 10**7), columns, st.tuples(*[st.integers(0, 10**6)] * 3))
def test_a_picture_is_as_fine_as_it_can_show_and_as_can_be_paid(
    n: int, columns: int, budget: tuple[int, int, int]
) -> None:
    affordable = dict(zip(LEVELS, budget, strict=True))
    payable = [level for level in LEVELS if math.ceil(n / level) <= affordable[level]]
    enough = [level for level in payable if math.ceil(n / level) >= columns]
    level = picture.choose_level(n, columns, affordable)
    assert level == (max(enough) if enough else min(payable, default=None))


@pytest.mark.parametrize(
    ("n", "columns", "level"), [(100_000, 1200, 64), (10_000, 1200, 8), (1200, 1200, 1), (1, 4096, 1)]
)
def test_levels_of_usual_pictures(n: int, columns: int, level: int) -> None:
    assert picture.choose_level(n, columns, {1: 1250, 8: 5000, 64: 20_000}) == level


@pytest.mark.parametrize(
    ("n_sites", "level"), [(0, 1), (10, 1), (11, 8), (160, 8), (161, 64), (2500, 64), (2501, None)]
)
def test_all_sites_must_be_paid_for(n_sites: int, level: int | None) -> None:
    affordable = {1: 10_000, 8: 20_000, 64: 40_000}
    if level is None:
        with pytest.raises(BadRequest, match=r"1000 steps of 2501 sites.*choose at most 960 steps"):
            picture.level_for(1000, n_sites, 500, affordable)
    else:
        assert picture.level_for(1000, n_sites, 500, affordable) == level


@given(st.integers(0, 5000), columns)
def test_columns_cover_every_base_column_once_and_evenly(n_base: int, columns: int) -> None:
    bounds = picture.column_bounds(n_base, columns)
    assert len(bounds) - 1 == min(n_base, columns)
    assert bounds[0] == 0
    assert bounds[-1] == n_base
    widths = np.diff(bounds)
    assert widths.size == 0 or (widths.min() >= 1 and widths.max() - widths.min() <= 1)


@given(st.data())
def test_a_window_grows_to_whole_base_columns(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 10_000))
    start = data.draw(st.integers(0, n))
    stop = data.draw(st.integers(start, n))
    level = data.draw(st.sampled_from(LEVELS))
    first, last = picture.align(start, stop, level, n)
    assert first <= start <= stop <= last <= n
    assert first % level == 0
    assert start - first < level
    assert last == n or (last % level == 0 and last - stop < level)


def test_flags_say_what_is_not_finite_and_what_is_missing() -> None:
    n_rows = np.array([[4, 4], [0, 3]])
    non_finite = np.array([[0, 2], [np.nan, 1]], dtype=np.float32)
    flags = picture.cell_flags(n_rows, np.array([4, 4]), non_finite)
    assert flags.dtype == np.uint8
    assert flags.tolist() == [[0, 1], [2 | 4, 1 | 4]]


def test_colour_limits_pass_over_what_is_rare_and_what_is_not_finite() -> None:
    values = np.concatenate([np.linspace(-4, 0, 100_001), [1e9, np.nan, np.inf, -np.inf]]).astype(np.float32)
    low, high = picture.colour_limits(values)
    assert low == pytest.approx(-3.96, abs=1e-3)
    assert high == pytest.approx(-0.004, abs=1e-3)


@pytest.mark.parametrize(("values", "limits"), [([], (0, 1)), ([np.nan, -np.inf], (0, 1)), ([3, 3], (3, 4))])
def test_colour_limits_always_span_something(values: list[float], limits: tuple[float, float]) -> None:
    assert picture.colour_limits(np.array(values, dtype=np.float32)) == limits
