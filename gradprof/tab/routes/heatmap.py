"""`heatmap`: one metric of all sites, pooled so that no bad step is lost between two columns.

Arrays: `first_ordinal`, `last_ordinal`, `first_step`, `last_step` float64 `[columns]`; `values` float32 and
`flags` uint8 (see `picture`) `[sites, columns]`. In the header `from` and `to` are those of whole base
columns, `level` is how many steps one has, `truncated` says that the picture is coarser than was asked for,
to bound the work, and `range` gives limits for colours, from the whole run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradprof.read.columns import PRESENCE, Metrics, base_columns
from gradprof.read.recording import Recording
from gradprof.read.source import UnreadableRun
from gradprof.record.columns import Columns
from gradprof.record.metrics import METRICS
from gradprof.record.sites import KINDS
from gradprof.tab.opening import requested_run
from gradprof.tab.picture import align, cell_flags, colour_limits, column_bounds, level_for, places
from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import Query
from gradprof.tab.replies import Arrays

AFFORDABLE = {1: 5 << 17, 8: 1 << 22, 64: 1 << 24}
"""Values of one metric that may be read for one picture, at each level: rows must be decoded as a whole."""
AFFORDABLE_CELLS = 1 << 23
_LIMIT_COLUMNS = 64
_LIMITS_BYTES = 200
_KINDS = ("all", *KINDS)


def answer(store: Store, asker: Asker, query: Query) -> Arrays:
    """The heat map of a window."""
    recording = requested_run(store, asker, query)
    metric = query.choice("metric", METRICS)
    kind = query.choice("kind", _KINDS, default="all")
    start, stop = query.window(recording.n)
    asked = query.columns()
    sites = recording.sites_of(kind)
    columns = min(asked, max(1, AFFORDABLE_CELLS // max(1, len(sites))))
    level = level_for(stop - start, recording.n_sites, columns, AFFORDABLE)
    start, stop = align(start, stop, level, recording.n)
    base = base_columns(recording, level, start, stop, Metrics({metric, PRESENCE}, sites))
    picture = base.pooled(column_bounds(len(base), columns))
    try:
        low, high = _limits(recording, metric, kind, sites)
    except UnreadableRun:  # damaged elsewhere: what can be seen is to be seen
        low, high = colour_limits(picture[metric])
    header = {
        "run": query.text("run"),
        "metric": metric,
        "from": start,
        "to": stop,
        "n": recording.n,
        "sites": sites,
        "level": level,
        "truncated": len(picture) < min(asked, stop - start),
        "range": {"low": low, "high": high},
    }
    return Arrays(header, _arrays(picture, metric))


def _limits(recording: Recording, metric: str, kind: str, sites: Sequence[int]) -> tuple[float, float]:
    """From the whole run; worked out once."""
    key = "colour limits", recording.version, metric, kind
    limits: tuple[float, float] | None = recording.source.remembered(key)
    if limits is None:
        level = level_for(recording.n, recording.n_sites, _LIMIT_COLUMNS, AFFORDABLE)
        columns = base_columns(recording, level, 0, recording.n, Metrics({metric}, sites))
        limits = colour_limits(columns[metric])
        recording.source.remember(key, limits, _LIMITS_BYTES)
    return limits


def _arrays(picture: Columns, metric: str) -> dict[str, np.ndarray]:
    n_steps = picture["last_ordinal"] - picture["first_ordinal"] + 1
    flags = cell_flags(picture["n_rows"], n_steps, picture[PRESENCE])
    return {**places(picture), "values": picture[metric].T, "flags": flags.T}
