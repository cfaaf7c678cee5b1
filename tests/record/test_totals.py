"""Totals of a run are those of its parts, however it is divided."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradprof.kernels.row import empty_rows
from gradprof.record.figures import derive
from gradprof.record.totals import TOTAL_RULES, no_totals, sites_by_kind, summed, totals_of
from runs import Training, rows_of

LABELS = ["param/a", "output/b", "param/c", "input/d"]
BY_KIND = sites_by_kind(LABELS)
STEPS = np.arange(30) ** 2


def hostile_rows() -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = Training(4).rows(30)
    rows["n_above"][rng.random(rows.shape) < 0.7] = 0
    rows[rng.random(rows.shape) < 0.2] = empty_rows(1)
    rows[:, 3] = empty_rows(1)
    for at in rng.integers(0, (30, 3), (20, 2)):
        rows[tuple(at)] = rows_of([[math.nan, 1.0], [math.inf], [0.0, 0.0], []])[at[0] % 4]
    return rows


ROWS = hostile_rows()


@given(st.sets(st.integers(1, 29)))
def test_of_all_is_the_sum_of_parts(cuts: set[int]) -> None:
    whole = totals_of(STEPS, ROWS, BY_KIND)
    parts = [totals_of(STEPS[a:b], ROWS[a:b], BY_KIND) for a, b in pairwise([0, *sorted(cuts), 30])]
    for totals in (summed(parts), summed([no_totals(BY_KIND, 4), *parts])):
        assert list(totals.arrays) == list(TOTAL_RULES)
        for name, values in whole.arrays.items():
            assert totals[name].dtype == values.dtype
            np.testing.assert_array_equal(totals[name], values, err_msg=name)


def test_against_the_figures() -> None:
    totals = totals_of(STEPS, ROWS, BY_KIND)
    tables = {name: derive(ROWS, name) for name in ("abs_max", "l2", "n_above")}
    assert totals["n_steps"].tolist() == [30]
    assert totals["steps_seen"][0].tolist() == (ROWS["n_obs"] > 0).sum(axis=0).tolist()
    for kind, sites in {"param": [0, 2], "output": [1], "input": [3]}.items():
        reached = (tables["n_above"][:, sites] > 0).any(axis=1).sum()
        assert totals[f"steps_above/{kind}"].tolist() == [reached]
    for i in range(4):
        column = {name: table[:, i] for name, table in tables.items()}
        seen = np.flatnonzero(ROWS["n_obs"][:, i])
        np.testing.assert_equal(totals["abs_max"][0, i], np.fmax.reduce(column["abs_max"]))
        if not seen.size:
            assert math.isnan(totals["last_seen_step"][0, i])
            assert math.isnan(totals["abs_max_step"][0, i])
            continue
        assert totals["abs_max_step"][0, i] == STEPS[np.nanargmax(column["abs_max"])]
        assert totals["last_seen_step"][0, i] == STEPS[seen[-1]]
        finite = not math.isnan(column["abs_max"][seen[-1]])
        np.testing.assert_equal(totals["l2_last"][0, i], column["l2"][seen[-1]] if finite else math.nan)
        above, broken = column["n_above"] > 0, ROWS["n_nan"][:, i] + ROWS["n_inf"][:, i] > 0
        for name, happened in (("first_above_step", above), ("first_non_finite_step", broken)):
            first = STEPS[happened][0] if happened.any() else math.nan
            np.testing.assert_equal(totals[name][0, i], first)
