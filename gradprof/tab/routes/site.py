"""`site`: the distribution of log10|g| of one site over the steps, as histograms, quantiles and extrema.

Arrays: `first_ordinal`, `last_ordinal`, `first_step`, `last_step` float64 `[columns]`; `hist` float32
`[columns, 128]`, the counts of all steps of a column; log10 of `p01`, `median`, `p99`, `abs_max`, `abs_min`
float32 `[columns]`, −inf for a quantile that is 0, NaN where there is none; `numel`, `n_zero`, `non_finite`
float64 `[columns]`. The header has the 129 `bin_edges_log10`, the run's `threshold`, and what `heatmap` has.
"""

from __future__ import annotations

import numpy as np

from gradprof.kernels.bins import BIN_EDGES
from gradprof.tab.merged import Merged
from gradprof.tab.opening import requested_run
from gradprof.tab.picture import align, column_bounds, level_for
from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import Query
from gradprof.tab.replies import Arrays, numbers
from gradprof.tab.site_columns import site_columns

AFFORDABLE = {1: 1 << 19, 64: 1 << 22}
"""Rows of all sites that may be touched for one picture, at each level: they are stored together."""


def answer(store: Store, asker: Asker, query: Query) -> Arrays:
    """One site within a window."""
    recording = requested_run(store, asker, query)
    site = query.integer("site", 0, recording.n_sites - 1)
    start, stop = query.window(recording.n)
    columns = query.columns()
    level = level_for(stop - start, recording.n_sites, columns, AFFORDABLE)
    start, stop = align(start, stop, level, recording.n)
    places, merged = site_columns(recording, site, level, start, stop)
    bounds = column_bounds(len(places), columns)
    places, merged = places.pooled(bounds), merged.pooled(bounds)
    header = {
        "run": recording.run,
        "site": site,
        "label": recording.sites[site]["label"],
        "from": start,
        "to": stop,
        "n": recording.n,
        "level": level,
        "truncated": len(places) < min(columns, stop - start),
        "threshold": recording.header["options"]["threshold"],
        "bin_edges_log10": numbers(np.log10(BIN_EDGES)),
    }
    return Arrays(header, {**places.arrays(), **_arrays(merged)})


def _arrays(merged: Merged) -> dict[str, np.ndarray]:
    magnitudes = {
        "p01": merged.quantile(0.01),
        "median": merged.quantile(0.5),
        "p99": merged.quantile(0.99),
        "abs_max": merged.abs_max,
        "abs_min": merged.abs_min,
    }
    counts = {"numel": merged.numel, "n_zero": merged.n_zero, "non_finite": merged.non_finite}
    with np.errstate(divide="ignore"):
        logs = {name: np.log10(values).astype(np.float32) for name, values in magnitudes.items()}
    return {
        "hist": merged.hist.astype(np.float32),
        **logs,
        **{name: values.astype(np.float64) for name, values in counts.items()},
    }
