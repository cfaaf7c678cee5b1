"""`run`: what one run is: its sites in model order, its metrics and options.

`scalars`, and shapes that were not known when the run began, are those of its first and last block.
"""

from __future__ import annotations

from typing import Any

from gradprof.record.metrics import METRICS
from gradprof.tab.opening import requested_run
from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import Query


def answer(store: Store, asker: Asker, query: Query) -> dict[str, Any]:
    """One run."""
    recording = requested_run(store, asker, query)
    header = recording.header
    return {
        "run": query.text("run"),
        "model": header["model"],
        "version": recording.version,
        "n": recording.n,
        "first_step": recording.first_step,
        "last_step": recording.last_step,
        "threshold": recording.threshold,
        "observe": header["options"].get("observe"),
        "kinds": [{"name": kind["name"], "title": kind["title"]} for kind in header["kinds"]],
        "sites": [{**site, "shape": recording.shapes.get(site["label"])} for site in recording.sites],
        "metrics": [{"name": metric.name, "title": metric.title} for metric in METRICS.values()],
        "scalars": recording.scalars,
        "options": header["options"],
        "about": {name: header.get(name) for name in ("gradprof", "created", "devices", "libraries")},
    }
