"""`runs`: every run of gradprof's, one that cannot be read with the reason."""

from __future__ import annotations

from typing import Any

from tensorboard.util import tb_logging

from gradprof.read.recording import Recording
from gradprof.read.source import UnreadableRun
from gradprof.tab.opening import open_run
from gradprof.tab.provider import Asker, Store
from gradprof.tab.query import BadRequest, Query

logger = tb_logging.get_logger()

_UNKNOWN = dict.fromkeys(("steps", "first_step", "last_step", "sites", "model"))


def answer(store: Store, asker: Asker, query: Query) -> dict[str, Any]:
    """All runs in TensorBoard's log directory."""
    return {"runs": [_entry(store, asker, run) for run in store.runs(asker)]}


def _entry(store: Store, asker: Asker, run: str) -> dict[str, Any]:
    try:
        return {"run": run, **_size(open_run(store, asker, run)), "error": None}
    except (UnreadableRun, BadRequest) as error:  # BadRequest: it was deleted a moment ago
        reason = str(error)
    except Exception as error:  # whatever ails one run, the others are to be listed
        logger.exception("gradprof could not read the run %r", run)
        reason = f"gradprof failed to read it ({type(error).__name__}: {error}); see TensorBoard's log"
    return {"run": run, **_UNKNOWN, "kinds": [], "error": reason}


def _size(recording: Recording) -> dict[str, Any]:
    return {
        "steps": recording.n,
        "first_step": recording.first_step,
        "last_step": recording.last_step,
        "sites": recording.n_sites,
        "kinds": list(dict.fromkeys(site["kind"] for site in recording.sites)),
        "model": recording.header["model"],
    }
