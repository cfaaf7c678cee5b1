"""`site`: the distribution of log10|g| of one site over the steps, as histograms, quantiles and extrema.

Arrays: `first_ordinal`, `last_ordinal`, `first_step`, `last_step` float64 `[columns]`; `hist` float32
`[columns, 128]`, the counts of all steps of a column; log10 of `p01`, `median`, `p99`, `abs_max`, `abs_min`
float32 `[columns]`, −inf for a quantile that is 0, NaN where there is none; `numel`, `n_zero`, `non_finite`
float64 `[columns]`. The header has the 129 `bin_edges_log10`, the run's `threshold`, and what `heatmap` has.
"""

from __future__ import annotations

import numpy as np

from gradprof.read.columns import Distribution, base_columns
from gradprof.record.columns import Columns
from gradprof.record.figures import quantile
from gradprof.tab.opening import requested_run
from gradprof.tab.picture import align, column_bounds, level_for, places
from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import Query
from gradprof.tab.replies import Arrays, numbers

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
    base = base_columns(recording, level, start, stop, Distribution(site))
    picture = base.pooled(column_bounds(len(base), columns))
    header = {
        "run": query.text("run"),
        "site": site,
        "label": recording.sites[site]["label"],
        "from": start,
        "to": stop,
        "n": recording.n,
        "level": level,
        "truncated": len(picture) < min(columns, stop - start),
        "threshold": recording.threshold,
        "bin_edges_log10": numbers(np.log10(recording.bin_edges)),
    }
    return Arrays(header, {**places(picture), **_arrays(picture)})


def _arrays(picture: Columns) -> dict[str, np.ndarray]:
    magnitudes = {
        "p01": quantile(picture, 0.01),
        "median": quantile(picture, 0.5),
        "p99": quantile(picture, 0.99),
        "abs_max": picture["abs_max"],
        "abs_min": picture["abs_min"],
    }
    counts = {name: picture[name] for name in ("numel", "n_zero")}
    counts["non_finite"] = picture["n_nan"] + picture["n_inf"]
    with np.errstate(divide="ignore"):
        logs = {name: np.log10(values).astype(np.float32) for name, values in magnitudes.items()}
    return {
        "hist": picture["hist"].astype(np.float32),
        **logs,
        **{name: values.astype(np.float64) for name, values in counts.items()},
    }
