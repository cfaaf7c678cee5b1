"""What each site did over a whole run: up to the last chunk from the event file, the rest from the rows."""

from __future__ import annotations

from gradprof.events.tags import CHUNK_STEPS
from gradprof.record.columns import Columns
from gradprof.record.totals import no_totals, sites_by_kind, summed, totals_of

from .recording import Recording


def run_totals(recording: Recording) -> Columns:
    """The `record.totals` of all steps, as one column.

    Raises:
        UnreadableRun: something of it cannot be read.
    """
    known = recording.totals_of_chunks()
    start = len(recording.totals) * CHUNK_STEPS
    blocks = recording.blocks.holding(start, recording.n)
    by_kind = sites_by_kind([site["label"] for site in recording.sites])
    parts = [no_totals(by_kind, recording.n_sites) if known is None else known]
    for i, rows in zip(blocks, recording.rows(blocks), strict=True):
        skip = max(0, start - int(recording.blocks.starts[i]))
        parts.append(totals_of(rows.steps[skip:], recording.fields(rows)[skip:], by_kind))
    return summed(parts)
