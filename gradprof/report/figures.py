"""What the report shows of each site: its totals, and what only the rows of all steps can say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradprof.diagnosis.totals import SiteTotals, site_totals
from gradprof.read.run import Run

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SiteFigures:
    """One site over a run."""

    totals: SiteTotals
    l2_median: float
    """Of the steps with a finite value."""
    log10_l2: FloatArray
    """log10 of the norm at every step; NaN where it is 0 or missing."""


def site_figures(run: Run) -> list[SiteFigures]:
    """The figures of every site, in model order. A median cannot be pooled: it takes every row."""
    tables = run.tables(("abs_max", "l2"))
    # A step of NaN alone has no norm, not one of 0.
    norms = np.where(np.isnan(tables["abs_max"]), np.nan, tables["l2"])
    totals = site_totals(run.sites, run.totals)
    return [_figures_of(of_site, l2) for of_site, l2 in zip(totals, norms.T, strict=True)]


def _figures_of(totals: SiteTotals, l2: FloatArray) -> SiteFigures:
    known = l2[~np.isnan(l2)]
    with np.errstate(divide="ignore"):
        log10_l2 = np.log10(l2)
    log10_l2[~np.isfinite(log10_l2)] = np.nan
    return SiteFigures(totals, float(np.median(known)) if known.size else float("nan"), log10_l2)
