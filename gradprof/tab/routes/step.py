"""`step`: every site at one step, in model order, for profiles over depth.

`sites` are the indices of those that have a row; `metrics` has one value for each site of the run, null where
there is no row, and `scalars` what the caller logged, both by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradprof.read.columns import Metrics
from gradprof.read.recording import Recording
from gradprof.record.metrics import METRICS
from gradprof.tab.opening import requested_run
from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import MAX_INTEGER, BadRequest, Query
from gradprof.tab.replies import number, numbers


def answer(store: Store, asker: Asker, query: Query) -> dict[str, Any]:
    """All sites of one step."""
    recording = requested_run(store, asker, query)
    ordinal = _ordinal(recording, query)
    moment = recording.moment(ordinal)
    columns = Metrics(METRICS, range(recording.n_sites)).of_steps(recording, ordinal, ordinal + 1)
    return {
        "run": query.text("run"),
        "step": moment.step,
        "ordinal": ordinal,
        "wall_time": number(moment.wall_time),
        "sites": np.flatnonzero(columns["n_rows"][0]).tolist(),
        "metrics": {name: numbers(columns[name][0]) for name in METRICS},
        "scalars": {name: number(value) for name, value in moment.scalars.items()},
    }


def _ordinal(recording: Recording, query: Query) -> int:
    if recording.n == 0:
        raise BadRequest(f"{recording.source.name} has no observed step yet")
    if query.has("ordinal") == query.has("step"):
        raise BadRequest("expected either 'ordinal' or 'step'")
    if query.has("ordinal"):
        return query.integer("ordinal", 0, recording.n - 1)
    step = query.integer("step", -MAX_INTEGER, MAX_INTEGER)
    ordinal = recording.ordinal_of(step)
    if ordinal is None:
        raise BadRequest(
            f"step {step} was not observed: {recording.source.name} has {recording.n} steps "
            f"from {recording.step_at(0)} to {recording.step_at(recording.n - 1)}"
        )
    return ordinal
