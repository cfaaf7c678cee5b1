"""What stands pooled in the event file is what a reader would pool from the rows."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradprof.events import tags
from gradprof.events.pooled import EncodedPooled, EncodedPooledHist
from gradprof.kernels.row import empty_rows
from gradprof.record.figures import derive
from gradprof.record.metrics import METRICS, pool
from gradprof.record.observed import ObservedBuffer
from gradprof.record.step import StepRecord
from gradprof.write.chunks import Chunk, Pooling
from gradprof.write.run_writer import RunWriter
from runs import Training, contents, header_of, observed_of, write_run

N_SITES = 5


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


def assert_is_pooled(chunk: Chunk, rows: np.ndarray, steps: np.ndarray) -> None:
    """`rows` and `steps` are of the whole run."""
    within = slice(512 * chunk.number, 512 * (chunk.number + 1))
    for level in (8, 64):
        pooled, bounds = chunk.pooled(level), range(0, 513, level)
        for name, metric in METRICS.items():
            expected = pool(metric.of(rows)[within], metric.pool, bounds)
            np.testing.assert_array_equal(pooled.metrics[name], expected, err_msg=name)
        columns = steps[within].reshape(-1, level)
        np.testing.assert_array_equal(pooled.first_steps, columns[:, 0])
        np.testing.assert_array_equal(pooled.last_steps, columns[:, -1])
        seen = rows["n_obs"][within].reshape(-1, level, rows.shape[1]) > 0
        np.testing.assert_array_equal(pooled.n_rows, seen.sum(axis=1))
    by_column = rows[within].reshape(-1, 64, rows.shape[1])
    np.testing.assert_array_equal(chunk.hist, by_column["hist"].sum(axis=1))
    for name in ("numel", "n_zero", "n_nan", "n_inf"):
        np.testing.assert_array_equal(chunk.beside_hist[name], by_column[name].sum(axis=1))
    for name, extremum in (("abs_max", np.fmax), ("abs_min", np.fmin)):
        expected = extremum.reduce(derive(by_column, name), axis=1)
        np.testing.assert_array_equal(chunk.beside_hist[name], expected)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 1100), max_size=12))
def test_pooled_is_pooled_from_rows_however_they_come(cuts: list[int]) -> None:
    rows, steps = hostile_rows(1100), np.arange(1100) ** 2
    pooling, buffer, chunks = Pooling(N_SITES), ObservedBuffer(1100, N_SITES), 0
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
        assert (chunk.level, chunk.n_columns, chunk.n_sites) == (tag[0], 512 // tag[0], 70)
        assert chunk.first_steps.tolist() == list(range(0, 3 * 512, 3 * tag[0]))
        for name, metric in METRICS.items():
            expected = pool(metric.of(rows)[:512], metric.pool, range(0, 513, chunk.level))
            np.testing.assert_array_equal(chunk.metric(name), expected)
    hists = contents(path, tags.PooledHistTag)
    assert list(hists) == [tags.PooledHistTag(64, 0, group, 3) for group in range(3)]
    for tag, data in hists.items():
        group = EncodedPooledHist(data)
        sites = tags.group_sites(tag[2], tag[3], 70)
        expected = rows["hist"][:512, sites].reshape(8, 64, -1, 128).sum(axis=1)
        np.testing.assert_array_equal(group.hist(), expected)


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


def test_what_is_held_does_not_grow_with_the_steps() -> None:
    pooling = Pooling(N_SITES)
    rows = Training(N_SITES).rows(64)
    sizes = set()
    for _ in range(30):
        list(pooling.extend(observed_of(rows)))
        held = [value for value in vars(pooling._chunk).values() if isinstance(value, np.ndarray)]
        held += pooling._chunk._metrics.values()
        sizes.add(sum(array.nbytes for array in held))
    (size,) = sizes
    per_site = (size - 8 * 512) / N_SITES
    assert per_site < 512 * 1152 / 40  # of what the rows would take
    assert math.isclose(per_site, 8 * (1024 + 48) + 64 * (8 + 7 * 4))


@pytest.mark.parametrize("n_steps", [0, 1, 511])
def test_a_chunk_that_is_not_complete_is_not_given(n_steps: int) -> None:
    pooling = Pooling(2)
    assert list(pooling.extend(observed_of(Training(2).rows(511)[:n_steps]))) == []
