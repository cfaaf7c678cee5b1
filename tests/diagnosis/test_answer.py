"""The facts of the whole-run answer; `tests/report` has them in words."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gradprof.diagnosis.answer import Answer, Found, answer
from gradprof.diagnosis.totals import SiteTotals

NAN = math.nan
CALM = SiteTotals(0, "param/a", 4, 8, 0.5, 2, 0.5, 0.0, 0.0, 0, None, 0, None)


def site(order: int, label: str, **changes: object) -> SiteTotals:
    return replace(CALM, order=order, site=label, **changes)  # type: ignore[arg-type]


def answer_of(*sites: SiteTotals, **steps_above: int) -> Answer:
    return answer(sites, {"param": 0, "output": 0, "input": 0, **steps_above}, 4, 1.0)


def test_of_a_calm_run() -> None:
    got = answer_of(site(0, "param/a"), site(1, "param/b", abs_max=0.25), site(2, "output/c", numel=3))
    assert (got.threshold, got.n_steps, got.non_finite) == (1.0, 4, None)
    param, output = got.kinds
    assert (param.kind, param.n_values, param.n_above, param.steps_above) == ("param", 16, 0, 0)
    assert param.first_above is None
    assert (param.abs_max, param.largest) == (0.5, Found(2, "param/a"))
    assert (output.kind, output.n_values) == ("output", 3)


def test_what_reached_the_threshold() -> None:
    (got,) = answer_of(
        site(0, "param/a", abs_max=3.0, abs_max_step=3, n_above=2, first_above_step=2),
        site(1, "param/b", abs_max=2.0, abs_max_step=1, n_above=5, first_above_step=1),
        param=3,
    ).kinds
    assert (got.n_above, got.steps_above) == (7, 3)
    assert got.first_above == Found(1, "param/b")
    assert (got.abs_max, got.largest) == (3.0, Found(3, "param/a"))


def test_kinds_without_a_gradient_are_left_out_and_without_a_finite_one_have_no_largest() -> None:
    never = site(0, "param/a", steps_seen=0, numel=0, abs_max=NAN, abs_max_step=None)
    broken = site(1, "output/b", abs_max=NAN, abs_max_step=None, n_non_finite=8, first_non_finite_step=0)
    got = answer_of(never, broken)
    (output,) = got.kinds
    assert (output.kind, output.largest) == ("output", None)
    assert math.isnan(output.abs_max)
    assert answer_of(never).kinds == []


BROKEN = {"n_non_finite": 2, "first_non_finite_step": 7}


@pytest.mark.parametrize("turn", [1, -1])
def test_the_first_nan_is_where_a_backward_pass_comes_first(turn: int) -> None:
    """Whatever order the sites are given in."""
    sites = [
        site(0, "param/a", **BROKEN),
        site(1, "param/b", **BROKEN),
        site(2, "output/a", **BROKEN),
        site(3, "output/b", **BROKEN),
        site(4, "output/c"),
        site(5, "input/b", **BROKEN),
    ]
    named = []
    while any(of.n_non_finite for of in sites):
        got = answer_of(*sites[::turn]).non_finite
        assert got is not None
        assert got.n_values == 2 * got.n_sites
        named.append(got.first.site)
        sites = [of for of in sites if of.site != got.first.site]
    assert named == ["output/b", "output/a", "input/b", "param/b", "param/a"]


def test_an_earlier_nan_comes_before() -> None:
    got = answer_of(
        site(0, "param/a", n_non_finite=1, first_non_finite_step=6), site(1, "output/b", **BROKEN)
    ).non_finite
    assert got is not None
    assert got.first == Found(6, "param/a")


@pytest.mark.parametrize("turn", [1, -1])
def test_of_equals_the_first_in_the_model_is_named(turn: int) -> None:
    above = {"abs_max": 3.0, "n_above": 1, "first_above_step": 2}
    sites = [site(0, "param/a", **above), site(1, "param/b", **above)]
    (got,) = answer_of(*sites[::turn]).kinds
    assert got.first_above == got.largest == Found(2, "param/a")


def test_counts_without_a_step_are_no_answer() -> None:
    """A stranger's rows may say so."""
    assert answer_of(site(0, "param/a", n_non_finite=-3)).non_finite is None
