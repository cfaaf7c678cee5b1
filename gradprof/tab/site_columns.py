"""One site's histograms and extrema as base columns: the event file's own, the rest from the rows."""

from __future__ import annotations

import numpy as np

from gradprof.events.pooled import POOLED_HIST_DTYPE
from gradprof.events.tags import HIST_LEVEL
from gradprof.kernels.bins import N_BINS
from gradprof.record.figures import derive

from .columns import ready_places
from .merged import Merged
from .places import Places, level_bounds
from .recording import Recording

_FIELDS = POOLED_HIST_DTYPE.names or ()
_NONE = Merged.of(np.empty((0, N_BINS), dtype=np.int64), np.empty(0, dtype=POOLED_HIST_DTYPE))
_NO_STEPS = np.empty(0, dtype=np.int64)


def site_columns(recording: Recording, site: int, level: int, start: int, stop: int) -> tuple[Places, Merged]:
    """The columns of `level` steps from ordinal `start` up to `stop`.

    `start` is a multiple of `level`, and so is `stop` if it is not the run's end.
    """
    if level == 1:
        return _of_rows(recording, site, start, stop)
    ready = min(max(recording.pooled_steps(level), start), stop)
    places, merged = _ready_columns(recording, site, start, ready)
    tail_places, tail = _of_rows(recording, site, ready, stop)
    bounds = level_bounds(stop - ready, level)
    return places.followed_by(tail_places.pooled(bounds)), Merged.joined([merged, tail.pooled(bounds)])


def _ready_columns(recording: Recording, site: int, start: int, stop: int) -> tuple[Places, Merged]:
    """Columns that the event file holds."""
    chunks = recording.chunks_holding(start, stop)
    merged = Merged.joined([_NONE, *(Merged.of(*part) for part in recording.pooled_hist(chunks, site))])
    parts = list(recording.pooled(HIST_LEVEL, chunks))
    places, within = ready_places(parts, HIST_LEVEL, start, stop)
    return places, merged.within(within)


def _of_rows(recording: Recording, site: int, start: int, stop: int) -> tuple[Places, Merged]:
    """A column for each step."""
    blocks = recording.blocks.holding(start, stop)
    steps, parts = [_NO_STEPS], [_NONE]
    for rows, hist in zip(recording.rows(blocks), recording.hist(blocks, site), strict=True):
        fields = rows.fields(_FIELDS)[:, site]
        beside = np.empty(len(fields), dtype=POOLED_HIST_DTYPE)
        for name in _FIELDS:
            beside[name] = derive(fields, name)
        steps.append(rows.steps)
        parts.append(Merged.of(hist, beside))
    within = recording.blocks.within(start, stop)
    numbers = np.concatenate(steps)[within]
    return Places(np.arange(start, stop + 1), numbers, numbers), Merged.joined(parts).within(within)
