"""The run that a request names, opened."""

from __future__ import annotations

import dataclasses

from gradprof.read.opening import open_recording
from gradprof.read.recording import Recording

from .provider import Asker, ProviderSource, Store
from .query import BadRequest, Query, shown

_BYTES_OF_A_TAG = 500


def requested_run(store: Store, asker: Asker, query: Query) -> Recording:
    """The run that a request names.

    Raises:
        BadRequest: there is no such run.
        UnreadableRun: it cannot be read.
    """
    return open_run(store, asker, query.text("run"))


def open_run(store: Store, asker: Asker, run: str) -> Recording:
    """A run as it is listed now; raises as `requested_run` does."""
    source = ProviderSource(store, asker, run)
    listing = source.listing()
    if not listing:
        raise BadRequest(f"there is no run {shown(run)} of gradprof's; {_some(store.runs(asker))}")
    known: Recording | None = source.remembered("opened")
    if known is None or known.listing is not listing:
        known = open_recording(source)
        source.remember("opened", known, _BYTES_OF_A_TAG * len(listing))
    return dataclasses.replace(known, source=source)


def _some(runs: list[str], at_most: int = 5) -> str:
    """What could have been asked for."""
    if not runs:
        return "there is none: expected an event file of gradprof.watch() in TensorBoard's log directory"
    return f"expected one of {', '.join(map(repr, runs[:at_most]))}{', …' if len(runs) > at_most else ''}"
