"""The figures for programs: JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from typing import Any, TextIO

from gradprof.read.run import Run

from .answer import answer_about, worded
from .figures import SiteFigures

_NAMES = (
    *("order", "site", "steps_seen", "abs_max", "abs_max_step", "l2_median", "l2_last", "zero_share"),
    *("above_share", "n_above", "first_above_step", "n_non_finite", "first_non_finite_step"),
)


def write_json(run: Run, figures: Sequence[SiteFigures], out: TextIO) -> None:
    """One document; what does not exist is null."""
    document = {
        "run": str(run.path.parent),
        "steps": len(run.steps),
        "threshold": run.threshold,
        "truncated": run.truncated,
        "seconds_in_profiler": _none_for_nan(float(run.seconds.sum())),
        "seconds_waited_for_writer": _none_for_nan(float(run.waits.sum())),
        "answer": worded(answer_about(run, [site.totals for site in figures])).splitlines(),
        "sites": [
            {**_plain(site), "log10_l2": [_none_for_nan(value) for value in site.log10_l2.tolist()]}
            for site in figures
        ],
    }
    json.dump(document, out, indent=1, allow_nan=False)
    out.write("\n")


def write_csv(figures: Sequence[SiteFigures], out: TextIO) -> None:
    """One line per site; what does not exist is empty."""
    writer = csv.DictWriter(out, _NAMES, lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_plain, figures))


def _plain(site: SiteFigures) -> dict[str, Any]:
    of = {**vars(site.totals), "l2_median": site.l2_median}
    return {name: _none_for_nan(of[name]) for name in _NAMES}


def _none_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
