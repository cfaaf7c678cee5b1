"""The figures of each site over a whole run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradprof.read.run import Run

_FIELDS = ("numel", "n_zero", "n_nan", "n_inf", "n_above", "abs_max", "l2")


@dataclass(frozen=True)
class SiteFigures:
    """One site over a run. Steps are step numbers, None where there is none; shares are of all values."""

    order: int
    site: str
    steps_seen: int
    """Steps in which a gradient came."""
    abs_max: float
    abs_max_step: int | None
    l2_median: float
    """Of the steps with a finite value."""
    l2_last: float
    """Of the last step in which a gradient came; NaN if nothing in it was finite."""
    zero_share: float
    above_share: float
    """Share of finite magnitudes >= the run's threshold."""
    n_above: int
    first_above_step: int | None
    n_non_finite: int
    first_non_finite_step: int | None
    log10_l2: npt.NDArray[np.float64]
    """log10 of the norm at every step; NaN where it is 0 or missing."""


def site_figures(run: Run) -> list[SiteFigures]:
    """The figures of every site, in model order."""
    tables = run.tables(_FIELDS)
    return [
        _figures_of(run, i, {name: table[:, i] for name, table in tables.items()})
        for i in range(len(run.sites))
    ]


def _figures_of(run: Run, i: int, columns: dict[str, npt.NDArray[np.float64]]) -> SiteFigures:
    seen = ~np.isnan(columns["numel"])
    numel = float(columns["numel"][seen].sum())
    non_finite = columns["n_nan"] + columns["n_inf"]
    abs_max = columns["abs_max"]
    finite = ~np.isnan(abs_max)
    l2 = np.where(finite, columns["l2"], np.nan)  # a step of NaN alone has no norm, not one of 0
    with np.errstate(divide="ignore"):
        log10_l2 = np.log10(l2)
    log10_l2[~np.isfinite(log10_l2)] = np.nan
    return SiteFigures(
        order=i,
        site=run.sites[i],
        steps_seen=int(seen.sum()),
        abs_max=float(np.nanmax(abs_max)) if finite.any() else float("nan"),
        abs_max_step=int(run.steps[np.nanargmax(abs_max)]) if finite.any() else None,
        l2_median=float(np.median(l2[finite])) if finite.any() else float("nan"),
        l2_last=float(l2[seen][-1]) if seen.any() else float("nan"),
        zero_share=float(columns["n_zero"][seen].sum()) / numel if numel else float("nan"),
        above_share=float(columns["n_above"][seen].sum()) / numel if numel else float("nan"),
        n_above=int(columns["n_above"][seen].sum()),
        first_above_step=_first(run, columns["n_above"]),
        n_non_finite=int(non_finite[seen].sum()),
        first_non_finite_step=_first(run, non_finite),
        log10_l2=log10_l2,
    )


def _first(run: Run, counts: npt.NDArray[np.float64]) -> int | None:
    positive = np.flatnonzero(np.nan_to_num(counts) > 0)
    return int(run.steps[positive[0]]) if positive.size else None
