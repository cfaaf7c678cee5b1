"""Runs of every kind, sound and not, for the tab to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gradprof.events import tags
from gradprof.events.framing import frame, read_records, summary_event, version_event
from gradprof.events.summary import bytes_value, json_value
from gradprof.kernels.row import empty_rows
from gradprof.record.step import StepRecord
from gradprof.write.run_writer import RunWriter
from runs import Training, event_file, foreign_events, header_of, many, record_of, write_run

LONG, SHORT, EMPTY = "long", "one step", "no step"
HOSTILE = "<img src=x onerror=alert(1)>/\"quoted\" 'ünï' %2e%2e & ?run=long"
HOSTILE_SITES = [
    "param/<script>alert(1)</script>",
    "output/</title>\"'`${1}",
    "param/a/b\\c/../ü漢😀",
    f"output/{'x' * 300}",
]
OLD, DAMAGED, CUT, HEADLESS = "version 2", "damaged", "cut off", "headless"
BROKEN_HEADER, EMPTY_HEADER = "broken header", "empty header"

N_STEPS, N_SITES = 1300, 12
SPIKE = 777, 5
"""An ordinal, and the site that has a gradient a million times as large there."""
STEP_OF = 3
"""Every third step is observed."""

STEPS: dict[str, int | None] = {
    LONG: N_STEPS,
    SHORT: 1,
    EMPTY: 0,
    HOSTILE: 20,
    DAMAGED: 640,
    OLD: None,
    BROKEN_HEADER: None,
    EMPTY_HEADER: None,
}


def write_all(root: Path) -> None:
    """All these runs, and some that are none."""
    write_long(root / LONG)
    write_run(root / SHORT, ["param/a", "output/b"], many(1))
    write_run(root / EMPTY, ["param/a"], [])
    write_run(root / HOSTILE, HOSTILE_SITES, many(20, len(HOSTILE_SITES)))
    write_damaged(root / DAMAGED)
    write_cut(root / CUT)
    write_events(root / OLD, json_value(tags.HEADER, '{"format_version": 2, "gradprof": "0.0.9"}'))
    write_events(root / BROKEN_HEADER, json_value(tags.HEADER, '{"format_version": 3'))
    write_events(root / EMPTY_HEADER, json_value(tags.HEADER, '{"format_version": 3, "sites": [{}]}'))
    write_events(root / HEADLESS, bytes_value(str(tags.RowsTag(0, 0)), b"GPR3"))
    foreign_events(root / "foreign")


def write_long(directory: Path) -> None:
    """Chunks and a tail; rows that are missing, now and then and for long; NaN, inf, zeros and a spike."""
    training = Training(N_SITES)
    writer = RunWriter(directory, header_of(training.labels))
    rows = training.rows(N_STEPS)
    rng = np.random.default_rng(0)
    rows[rng.random(rows.shape) < 0.02] = empty_rows(1)
    rows[100:800, 2] = empty_rows(1)
    rows["n_nan"][900, 3] = rows["numel"][900, 3]
    rows["n_nan"][:, 4] = rows["n_obs"][:, 4] * np.where(rng.random(N_STEPS) < 0.05, 7, 0)
    for name in ("abs_max", "sum", "abs_sum", "sq", "hist", "n_above", "n_zero"):
        rows[name][900, 3] = 0
    rows["abs_min"][900, 3] = np.inf
    rows["abs_max"][SPIKE] *= 1e6
    rows["sq"][SPIKE] *= 1e12
    for i, row in enumerate(rows):
        step, scalars = STEP_OF * i, {"loss": 1 / (1 + i), **({"late": 1.0 * i} if i == N_STEPS - 1 else {})}
        writer.write(StepRecord(step, 1.7e9 + step, row, scalars=scalars))
        writer.write(StepRecord(step + 1, 1.7e9 + step + 1, scalars={"loss": -1.0}))
        if i % 97 == 0:
            writer.flush()  # blocks of uneven length
    writer.close()


def write_damaged(directory: Path) -> None:
    """A run whose file is whole, but not what one block and one group of histograms in it say."""
    path = write_run(directory, ["param/a", "output/b"], many(640))
    bad = {str(tags.RowsTag(4, 4 * 64)).encode(), str(tags.HistTag(2, 2 * 64, 0, 1)).encode()}
    records = list(read_records(path))
    for i, record in enumerate(records):
        if any(tag in record for tag in bad):
            middle = len(record) // 2
            records[i] = record[:middle] + bytes([record[middle] ^ 1]) + record[middle + 1 :]
    path.write_bytes(b"".join(map(frame, records)))


def write_cut(directory: Path) -> None:
    """A run that was cut off inside a record."""
    path = write_run(directory, ["param/a", "output/b"], many(300))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def write_events(directory: Path, *summaries: bytes) -> None:
    """An event file of just these."""
    path = write_run(directory, ["param/a"], [record_of(0, [[1.0]])])
    events = [version_event(1.7e9), *(summary_event(1.7e9, 0, summary) for summary in summaries)]
    assert path == event_file(directory)
    path.write_bytes(b"".join(map(frame, events)))
