"""What each site did over a run, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradprof.diagnosis.totals import SiteTotals, site_totals
from gradprof.record.totals import no_totals, sites_by_kind, totals_of
from runs import ASSORTED, ASSORTED_STEPS, Values, rows_of

NAN, INF = math.nan, math.inf

# order, site, steps_seen, numel; abs_max and its step; l2 last; zero and above share;
# n_above and its first step; n_non_finite and its first step
EXPECTED = [
    SiteTotals(0, "param/layer.weight", 4, 8, 2.0, 5, 1.0, 2 / 8, 2 / 8, 2, 5, 1, 8),
    SiteTotals(1, "param/layer.never", 0, 0, NAN, None, NAN, NAN, NAN, 0, None, 0, None),
    SiteTotals(2, "param/layer.dead", 2, 6, 0.0, 3, 0.0, 1.0, 0.0, 0, None, 0, None),
    SiteTotals(3, "output/layer", 3, 6, 1e-3, 8, 1e-5, 1 / 6, 0.0, 0, None, 2, 3),
    SiteTotals(4, "output/broken", 1, 1, NAN, None, NAN, 0.0, 0.0, 0, None, 1, 8),
]


def sites_of(gradients: dict[str, list[Values]], steps: list[int]) -> list[SiteTotals]:
    labels = list(gradients)
    rows = np.stack([rows_of(step) for step in zip(*gradients.values(), strict=True)])
    return site_totals(labels, totals_of(np.array(steps), rows, sites_by_kind(labels)))


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda site: site.site)
def test_by_hand(expected: SiteTotals) -> None:
    got = sites_of(ASSORTED, ASSORTED_STEPS)[expected.order]
    for name, value in vars(expected).items():
        if isinstance(value, float):
            np.testing.assert_allclose(getattr(got, name), value, rtol=1e-12, err_msg=name)
        else:
            assert getattr(got, name) == value, name
    assert got.kind == expected.site.split("/")[0]


def test_a_blow_up_at_the_end_is_not_a_norm_of_zero() -> None:
    (site,) = sites_of({"param/a": [[2.0], [4.0], None, [NAN], [NAN]]}, [0, 1, 2, 3, 4])
    assert math.isnan(site.l2_last)


def test_the_first_of_equal_maxima_is_named() -> None:
    (site,) = sites_of({"param/a": [[1.0], [3.0], [-3.0]]}, steps=[4, 6, 7])
    assert site.abs_max_step == 6


def test_of_no_steps() -> None:
    labels = ["param/a", "output/b"]
    for site in site_totals(labels, no_totals(sites_by_kind(labels), 2)):
        assert (site.steps_seen, site.numel, site.n_above, site.n_non_finite) == (0, 0, 0, 0)
        assert site.abs_max_step is site.first_above_step is site.first_non_finite_step is None
        assert math.isnan(site.abs_max)
        assert math.isnan(site.zero_share)
