"""The figures for programs: JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TextIO

from gradprof.diagnosis.answer import describe
from gradprof.diagnosis.totals import SiteFigures
from gradprof.read.run import Run


def write_json(run: Run, figures: Sequence[SiteFigures], out: TextIO) -> None:
    """One document; what does not exist is null."""
    document = {
        "run": str(run.path.parent),
        "steps": len(run.steps),
        "threshold": run.threshold,
        "truncated": run.truncated,
        "seconds_in_profiler": float(run.seconds.sum()),
        "seconds_waited_for_writer": float(run.waits.sum()),
        "answer": describe(run, list(figures)).splitlines(),
        "sites": [_plain(site) for site in figures],
    }
    json.dump(document, out, indent=1, allow_nan=False)
    out.write("\n")


def write_csv(figures: Sequence[SiteFigures], out: TextIO) -> None:
    """One line per site; what does not exist is empty."""
    names = [f.name for f in fields(SiteFigures) if f.name != "log10_l2"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for site in figures:
        writer.writerow({name: _none_for_nan(getattr(site, name)) for name in names})


def _plain(site: SiteFigures) -> dict[str, Any]:
    plain = {f.name: _none_for_nan(getattr(site, f.name)) for f in fields(site) if f.name != "log10_l2"}
    plain["log10_l2"] = [_none_for_nan(value) for value in site.log10_l2.tolist()]
    return plain


def _none_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
