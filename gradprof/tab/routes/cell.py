"""`cell`: what stands behind one cell of the heat map: the step that made its colour, in exact numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradprof.read.columns import PRESENCE, Metrics, base_columns
from gradprof.read.recording import LEVELS, Recording
from gradprof.record.figures import COUNT_FIELDS, FIELDS, derive
from gradprof.record.metrics import METRICS
from gradprof.tab.opening import requested_run
from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import BadRequest, Query
from gradprof.tab.replies import number


def answer(store: Store, asker: Asker, query: Query) -> dict[str, Any]:
    """The worst step of one site within a window."""
    recording = requested_run(store, asker, query)
    site = query.integer("site", 0, recording.n_sites - 1)
    metric = query.choice("metric", METRICS)
    start, stop = query.window(recording.n)
    if start == stop:
        raise BadRequest(f"the window from {start} to {stop} holds none of the run's {recording.n} steps")
    ordinal = worst_step(recording, site, metric, start, stop)
    moment = recording.moment(ordinal)
    row = moment.fields[site]
    columns = Metrics(METRICS, [site]).of_steps(recording, ordinal, ordinal + 1)
    return {
        "run": query.text("run"),
        "site": recording.sites[site]["label"],
        "step": moment.step,
        "ordinal": ordinal,
        "wall_time": number(moment.wall_time),
        "worst_of": stop - start,
        "missing": bool(row["n_obs"] == 0),
        "metrics": {name: number(columns[name][0, 0]) for name in METRICS},
        "stats": _stats(row),
        "scalars": {name: number(value) for name, value in moment.scalars.items()},
    }


def worst_step(recording: Recording, site: int, metric: str, start: int, stop: int) -> int:
    """The ordinal of the first step whose metric is largest (for changes: in magnitude).

    Where the metric is not defined in any of them, the first step with the most non-finite values; where
    there is no row at all, the first step.
    """
    for name in (metric, PRESENCE):
        badness, ordinal = _worst(recording, site, name, start, stop, LEVELS[::-1])
        if not np.isnan(badness):
            return ordinal
    return start


def _worst(
    recording: Recording, site: int, metric: str, start: int, stop: int, levels: tuple[int, ...]
) -> tuple[float, int]:
    """The largest value and the ordinal of its step: among the coarsest columns first, then in the best."""
    level, *finer = levels
    a, b = -(-start // level) * level, stop // level * level
    if a >= b:
        return _worst(recording, site, metric, start, stop, tuple(finer))
    values = base_columns(recording, level, a, b, Metrics({metric}, [site]))[metric][:, 0]
    badness = np.abs(values) if METRICS[metric].pool == "largest_change" else values
    # Not `nanargmax`, which takes a NaN for −inf.
    best = 0 if np.isnan(badness).all() else int(np.argmax(badness == np.fmax.reduce(badness)))
    found = [(float(badness[best]), a + best * level)]
    if finer:
        within = found[0][1]
        found = [_worst(recording, site, metric, within, within + level, tuple(finer))]
        for first, last in ((start, a), (b, stop)):
            if first < last:
                found.append(_worst(recording, site, metric, first, last, tuple(finer)))
    return max(found, key=lambda entry: (not np.isnan(entry[0]), entry[0], -entry[1]))


def _stats(row: np.ndarray) -> dict[str, Any]:
    if row["n_obs"] == 0:
        return dict.fromkeys(FIELDS)
    rows = row.reshape(1)
    return {
        name: int(derive(rows, name)[0]) if name in COUNT_FIELDS else number(float(derive(rows, name)[0]))
        for name in FIELDS
    }
