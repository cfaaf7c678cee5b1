"""The totals of a run are those of all its rows, of which no more than the last few are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradprof.events import tags
from gradprof.events.block import EncodedRows
from gradprof.events.totals import encode_totals
from gradprof.read.run import load
from gradprof.read.source import UnreadableRun
from gradprof.record.columns import Columns
from gradprof.record.step import StepRecord
from gradprof.record.totals import TOTAL_RULES, no_totals, sites_by_kind, totals_of
from gradprof.write.run_writer import RunWriter
from runs import Training, event_file, header_of, rewrite

LABELS = Training(3).labels
BY_KIND = sites_by_kind(LABELS)


def write(directory: Path, rows: np.ndarray, flushed_every: int) -> Path:
    writer = RunWriter(directory, header_of(LABELS))
    for i, row in enumerate(rows):
        writer.write(StepRecord(3 * i, 1.7e9 + i, row))
        if i % flushed_every == 0:
            writer.flush()
    writer.close()
    return event_file(directory)


def assert_totals(got: Columns, rows: np.ndarray) -> None:
    steps = 3 * np.arange(len(rows))
    expected = totals_of(steps, rows, BY_KIND) if len(rows) else no_totals(BY_KIND, len(LABELS))
    for name in TOTAL_RULES:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


@pytest.mark.parametrize("flushed_every", [1000, 37])
@pytest.mark.parametrize("n_steps", [0, 1, 511, 512, 513, 1100])
def test_of_runs_of_any_length(tmp_path: Path, n_steps: int, flushed_every: int) -> None:
    rows = Training(3).rows(1100)[:n_steps]
    assert_totals(load(write(tmp_path, rows, flushed_every)).totals, rows)


def test_no_more_than_the_tail_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Training(3).rows(1100)
    run = load(write(tmp_path, rows, 37))
    decoded = []
    fields = EncodedRows.fields
    monkeypatch.setattr(EncodedRows, "fields", lambda *args: decoded.append(args) or fields(*args))
    assert run.totals["n_steps"].tolist() == [1100]
    assert len(decoded) <= -(-(1100 - 1024) // 37) + 1


def test_without_the_last_of_them_the_rows_say_the_same(tmp_path: Path) -> None:
    rows = Training(3).rows(1100)
    path = write(tmp_path, rows, 64)
    rewrite(path, lambda tag, data: None if tag == str(tags.TotalsTag(1)) else data)
    assert_totals(load(path).totals, rows)
    rewrite(path, lambda tag, data: None if tag == str(tags.TotalsTag(0)) else data)
    assert_totals(load(path).totals, rows)


def test_damaged_ones_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, Training(3).rows(600), 64)
    rewrite(path, lambda tag, data: data[:-1] if tag == str(tags.TotalsTag(0)) else data)
    with pytest.raises(UnreadableRun, match="is damaged: gradprof/totals/0000000: the block of"):
        load(path).totals  # noqa: B018


def test_those_of_other_steps_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, Training(3).rows(600), 64)
    of_less = encode_totals(totals_of(np.arange(5), Training(3).rows(5), BY_KIND))
    rewrite(path, lambda tag, data: of_less if tag == str(tags.TotalsTag(0)) else data)
    with pytest.raises(UnreadableRun, match="is damaged: gradprof/totals/0000000 is of 5 steps, not 512"):
        load(path).totals  # noqa: B018
