"""The long runs that benchmarks read: whole, plausible, with the spike where it was asked for."""

from __future__ import annotations

from pathlib import Path

import long_run
import numpy as np
import pytest
from long_run import Spike, write_long_run

from gradprof.kernels.bins import bin_of
from gradprof.read.run import Run, load
from runs import python


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    directory = tmp_path_factory.mktemp("long")
    write_long_run(directory, 130, 9, Spike(site=4, step=77))
    return load(directory)


def test_every_step_and_site(run: Run) -> None:
    assert run.steps.tolist() == list(range(130))
    assert len(set(run.sites)) == 9
    assert {label.partition("/")[0] for label in run.sites} == {"param", "output"}
    assert len(run.scalars["loss"].values) == 130


def test_counts_add_up(run: Run) -> None:
    values = run.table("numel") - run.table("n_zero")
    for i, label in enumerate(run.sites):
        hist = run.hist(label)
        assert (hist >= 0).all()
        np.testing.assert_array_equal(hist.sum(axis=1), values[:, i])
        for field, at in (("abs_max", -1), ("abs_min", 0)):
            bins = [np.flatnonzero(counts)[at] for counts in hist]
            np.testing.assert_array_equal(bin_of(run.table(field)[:, i]), bins)


def test_the_spike_and_nothing_like_it(run: Run) -> None:
    abs_max, l2 = run.table("abs_max"), run.table("l2")
    assert abs_max[77, 4] == 1e6
    assert l2[77, 4] == pytest.approx(1e6)
    assert np.delete(abs_max.reshape(-1), 77 * 9 + 4).max() < 1e4
    assert run.table("n_above")[77, 4] >= 1


def test_magnitudes_stay_where_they_are(tmp_path: Path) -> None:
    """However long: without bounds, 20,000 steps would have drifted four decades down."""
    write_long_run(tmp_path / "run", 20_000, 2)
    found = load(tmp_path / "run")
    l2 = found.table("l2")
    assert abs(np.log10(np.median(l2[-500:], axis=0) / np.median(l2[:500], axis=0))).max() < 5


def test_nothing_repeats(run: Run) -> None:
    assert len(np.unique(run.table("l2"))) == 130 * 9


def test_as_a_command_without_torch(tmp_path: Path) -> None:
    code = """
import runpy, sys
script, directory = sys.argv[1:]
sys.argv = [script, directory, "--steps", "3", "--sites", "2", "--spike", "1", "2"]
runpy.run_path(script, run_name="__main__")
assert "torch" not in sys.modules
"""
    result = python(code, long_run.__file__, str(tmp_path / "run"))
    assert result.returncode == 0, result.stderr
    assert load(tmp_path / "run").table("abs_max")[2, 1] == 1e6
