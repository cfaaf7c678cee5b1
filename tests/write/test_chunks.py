"""What stands pooled in the event file is what a reader would pool from the rows."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradprof.events import tags
from gradprof.events.pooled import EncodedPooled, EncodedPooledHist
from gradprof.events.totals import EncodedTotals
from gradprof.kernels.row import empty_rows
from gradprof.record.columns import Columns
from gradprof.record.figures import derive
from gradprof.record.metrics import METRIC_RULES, METRICS
from gradprof.record.observed import ObservedBuffer
from gradprof.record.step import StepRecord
from gradprof.record.totals import TOTAL_RULES, sites_by_kind, totals_of
from gradprof.write.chunks import Chunk, Chunks
from gradprof.write.run_writer import RunWriter
from runs import Training, contents, header_of, observed_of, write_run

N_SITES = 5
LABELS = Training(N_SITES).labels


def hostile_rows(n_steps: int, n_sites: int = N_SITES) -> np.ndarray:
    """Rows with a spike, missing rows, a site that never comes, non-finite values and nothing but zeros."""
    rng = np.random.default_rng(1)
    rows = Training(n_sites).rows(n_steps)
    rows["abs_max"][300 % n_steps, 1] = 1e6
    rows[rng.random(rows.shape) < 0.05] = empty_rows(1)
    rows[::3, 2] = empty_rows(1)
    rows[:, 3] = empty_rows(1)
    only_nan = rng.random(rows.shape) < 0.02
    rows["n_nan"][only_nan] = rows["numel"][only_nan]
    return rows


def pooled_by_hand(rows: np.ndarray, name: str, level: int) -> np.ndarray:
    """A metric of all of a run, by columns of `level` steps."""
    values = METRICS[name].of(rows)
    return Columns({name: values}, METRIC_RULES).pooled(range(0, len(rows) + 1, level))[name]


def assert_is_pooled(chunk: Chunk, rows: np.ndarray, steps: np.ndarray) -> None:
    """`rows` and `steps` are of the whole run."""
    within = slice(512 * chunk.number, 512 * (chunk.number + 1))
    for level in (8, 64):
        pooled = chunk.pooled(level)
        for name in METRICS:
            expected = pooled_by_hand(rows, name, level)[within.start // level : within.stop // level]
            np.testing.assert_array_equal(pooled[name], expected, err_msg=name)
        columns = steps[within].reshape(-1, level)
        np.testing.assert_array_equal(pooled["first_step"], columns[:, 0])
        np.testing.assert_array_equal(pooled["last_step"], columns[:, -1])
        seen = rows["n_obs"][within].reshape(-1, level, rows.shape[1]) > 0
        np.testing.assert_array_equal(pooled["n_rows"], seen.sum(axis=1))
    until = slice(within.stop)
    totals = totals_of(steps[until], rows[until], sites_by_kind(LABELS))
    for name in TOTAL_RULES:
        np.testing.assert_array_equal(chunk.totals[name], totals[name], err_msg=name)
    by_column = rows[within].reshape(-1, 64, rows.shape[1])
    for name in ("hist", "numel", "n_zero", "n_nan", "n_inf"):
        np.testing.assert_array_equal(chunk.hist[name], by_column[name].sum(axis=1))
    for name, extremum in (("abs_max", np.fmax), ("abs_min", np.fmin)):
        expected = extremum.reduce(derive(by_column, name), axis=1)
        np.testing.assert_array_equal(chunk.hist[name], expected)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 1100), max_size=12))
def test_pooled_is_pooled_from_rows_however_they_come(cuts: list[int]) -> None:
    rows, steps = hostile_rows(1100), np.arange(1100) ** 2
    pooling, buffer, chunks = Chunks(LABELS), ObservedBuffer(1100, N_SITES), 0
    for start, stop in pairwise(sorted({0, *cuts, 1100})):
        observed = observed_of(rows[start:stop], steps[start:stop].tolist(), buffer=buffer)
        for chunk in pooling.extend(observed):
            assert chunk.number == chunks
            assert_is_pooled(chunk, rows, steps)
            chunks += 1
        assert chunks == stop // 512
    assert chunks == 2


def test_the_file_has_every_whole_chunk_and_nothing_of_the_rest(tmp_path: Path) -> None:
    """70 sites, that there are several groups; flushed at odd steps, with steps not observed between."""
    rows = hostile_rows(600, 70)
    writer = RunWriter(tmp_path, header_of(Training(70).labels))
    for i, row in enumerate(rows):
        writer.write(StepRecord(3 * i, 1.7e9 + i, row))
        writer.write(StepRecord(3 * i + 1, 1.7e9 + i, scalars={"loss": 1.0}))
        if i % 37 == 0:
            writer.flush()
    writer.close()
    (path,) = tmp_path.iterdir()
    pooled = contents(path, tags.PooledTag)
    assert list(pooled) == [tags.PooledTag(8, 0), tags.PooledTag(64, 0)]
    for tag, data in pooled.items():
        chunk = EncodedPooled(data)
        assert (chunk.level, chunk.shape) == (tag[0], (512 // tag[0], 70))
        columns = chunk.columns(METRICS)
        assert columns["first_step"].tolist() == list(range(0, 3 * 512, 3 * tag[0]))
        for name in METRICS:
            np.testing.assert_array_equal(columns[name], pooled_by_hand(rows[:512], name, chunk.level))
    totals = contents(path, tags.TotalsTag)
    assert list(totals) == [tags.TotalsTag(0)]
    (columns,) = (EncodedTotals(data).columns() for data in totals.values())
    assert columns["n_steps"].tolist() == [512]
    np.testing.assert_array_equal(columns["numel"][0], rows["numel"][:512].sum(axis=0))
    hists = contents(path, tags.PooledHistTag)
    assert list(hists) == [tags.PooledHistTag(64, 0, group, 3) for group in range(3)]
    for tag, data in hists.items():
        group = EncodedPooledHist(data)
        sites = tags.group_sites(tag[2], tag[3], 70)
        expected = rows["hist"][:512, sites].reshape(8, 64, -1, 128).sum(axis=1)
        for site in (0, group.shape[1] - 1):
            np.testing.assert_array_equal(group.columns(site)["hist"], expected[:, site])


def test_chunks_follow_the_rows_they_are_of(tmp_path: Path) -> None:
    rows = Training(3).rows(1024)
    records = (StepRecord(i, 1.7e9 + i, row) for i, row in enumerate(rows))
    path = write_run(tmp_path, Training(3).labels, records)
    in_order = [
        (tag.ordinal + 64 if isinstance(tag, tags.RowsTag) else 512 * (tag.chunk + 1), tag)
        for tag in contents(path, tags.RowsTag | tags.PooledTag)
    ]
    assert [covered for covered, _ in in_order] == sorted(covered for covered, _ in in_order)
    assert sum(isinstance(tag, tags.PooledTag) for _, tag in in_order) == 4


@pytest.mark.parametrize("n_at_once", [1, 7, 64])
def test_what_is_held_does_not_grow_with_the_steps(n_at_once: int) -> None:
    """Nor with the number of pieces that they come in."""
    chunks, buffer, rows = Chunks(LABELS), ObservedBuffer(64, N_SITES), Training(N_SITES).rows(64)
    sizes = []
    for _ in range(3 * 512 // n_at_once):
        list(chunks.extend(observed_of(rows[:n_at_once], buffer=buffer)))
        sizes.append(held_by(chunks))
    per_site = max(sizes) / N_SITES
    third = len(sizes) // 3
    assert max(sizes[2 * third :]) <= max(sizes[third : 2 * third])
    assert per_site < 512 * 1152 / 20  # of what the rows would take


def held_by(chunks: Chunks) -> int:
    """Bytes of the arrays, and of what they are views of."""
    bases = {}
    grown = [[*part._parts, part._pooling._begun] for part in (chunks._metrics, chunks._hist)]
    for parts in (*grown, chunks._totals):
        for part in parts:
            for array in () if part is None else part.arrays.values():
                base = array if array.base is None else array.base
                bases[id(base)] = base.nbytes
    return sum(bases.values())


@pytest.mark.parametrize("n_steps", [0, 1, 511])
def test_a_chunk_that_is_not_complete_is_not_given(n_steps: int) -> None:
    pooling = Chunks(LABELS[:2])
    assert list(pooling.extend(observed_of(Training(2).rows(511)[:n_steps]))) == []
