"""`tests/benchmarks/writer.py`: its arithmetic, and that what is written wrongly has no speed."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from writer_speed import measure, spin
from writer_speed.measure import Extent, measure_writer
from writer_speed.spin import SpinLoop, paced_writer

import gradprof
from gradprof.bench.results import Bound
from gradprof.record.step import StepRecord
from gradprof.terminal.bar import Rounds

SHORT = Extent(sites=4, first=3, later=(5, 8), spin_seconds=0.1, steps_per_second=100)

pytestmark = pytest.mark.usefixtures("one_thread", "own_temporary_directory")


def test_run_that_does_not_come_back_has_no_speed() -> None:
    class Wrong(gradprof.Run):
        def table(self, field: str) -> np.ndarray:
            return super().table(field) * (1 + 1e-15)

    def load(path: Path) -> gradprof.Run:
        run = gradprof.load(path)
        return Wrong(run.path)

    result = measure_writer(Rounds(), 1, SHORT, load)
    assert [check.passed for check in result.checks] == [False, True]
    assert result.figures == []


def test_peer_that_writes_other_values_has_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils.tensorboard import SummaryWriter

    add_scalar = SummaryWriter.add_scalar
    monkeypatch.setattr(SummaryWriter, "add_scalar", lambda self, t, v, s: add_scalar(self, t, v + 0.001, s))
    result = measure_writer(Rounds(), 1, SHORT)
    assert [check.passed for check in result.checks] == [True, False]
    assert result.figures == []


def test_writer() -> None:
    result = measure_writer(Rounds(), 2, SHORT)
    assert result.correct, result.checks
    by_unit = {
        unit: [figure for figure in result.figures if figure.unit == unit]
        for unit in ("x", "ms", "bytes per site and step", "ratio")
    }
    assert sum(map(len, by_unit.values())) == len(result.figures)
    assert all(len(figure.values) == 2 for figure in result.figures)
    first, later, trimmed = by_unit["x"]
    ours, peer, ours_later, peer_trimmed = by_unit["ms"]
    assert first.values == pytest.approx(np.divide(peer.values, ours.values))
    assert later.values == pytest.approx(np.divide(peer.values, ours_later.values))
    assert trimmed.values == pytest.approx(np.divide(peer_trimmed.values, ours.values))
    time_left, turns = by_unit["ratio"]
    assert [figure.bound for figure in (ours, ours_later, time_left)] == [
        *(Bound("at most", 0.5), Bound("at most", 0.5), Bound("at least", 0.98))
    ]
    assert sum(figure.bound is not None for figure in result.figures) == 4
    assert first.bound == Bound("at least", 30)
    assert all(left > 0 for left in (*turns.values, *time_left.values))


def test_what_a_spin_loop_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes each time that the clock is read; beside something it turns half of the time."""
    busy = 1.0
    clock = itertools.count()

    @contextmanager
    def greedy() -> Iterator[None]:
        nonlocal busy
        busy = 0.5
        yield
        busy = 1.0

    now = 0.0

    def perf_counter() -> float:
        nonlocal now
        now = next(clock)
        return now

    monkeypatch.setattr(
        spin, "time", SimpleNamespace(perf_counter=perf_counter, thread_time=lambda: busy * now)
    )
    alone, beside = SpinLoop(8), SpinLoop(8, greedy)
    # Read at 0, then at 1 to 8, of which all but the last find time left, then at 9.
    assert alone() == pytest.approx(9 / 7)
    assert beside() == pytest.approx(9 / 7)
    assert alone.waits == pytest.approx([9 / 9])
    assert beside.waits == pytest.approx([9 / 4.5])
    time_left, turns = measure._spin_figures(
        {"alone": [2.0, 3.0], "beside": [4.0, 3.0]}, {"alone": alone.waits, "beside": beside.waits}
    )
    assert turns.values == [0.5, 1.0]
    assert time_left.values == pytest.approx([0.5])


def test_a_paced_writer_writes_a_run_at_its_pace() -> None:
    seen: list[int] = []
    ours = measure._Synthetic(3)

    def record(step: int) -> StepRecord:
        seen.append(step)
        return ours.record(step)

    with paced_writer(ours.writer, record, steps_per_second=50):
        time.sleep(0.5)
    assert seen == list(range(len(seen)))
    assert 1 <= len(seen) <= 26


def test_a_writer_that_fails_beside_the_loop_is_heard_of() -> None:
    def record(_step: int) -> StepRecord:
        raise OSError("no space left")

    ours = measure._Synthetic(3)
    with pytest.raises(OSError, match="no space left"), paced_writer(ours.writer, record, 100):
        time.sleep(0.1)


def test_bytes_are_those_on_disk(tmp_path: Path) -> None:
    ours = measure._Synthetic(3)
    contender = measure._Contender(partial(ours.first, n_steps=4), range(4), 3)
    contender()
    for _ in ours.first(tmp_path / "run", 4):
        pass
    (file,) = (tmp_path / "run").iterdir()
    assert contender.bytes[0] == pytest.approx(file.stat().st_size / 12, rel=0.01)


def test_ctrl_c_before_the_first_round_gives_no_figures() -> None:
    with Rounds() as rounds:
        signal.raise_signal(signal.SIGINT)
        assert measure_writer(rounds, 2, SHORT).figures == []


def test_as_a_script_its_table_is_plain_and_fits() -> None:
    script = Path(__file__).with_name("writer.py")
    environment = {key: text for key, text in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS")}
    done = subprocess.run(
        [sys.executable, str(script), "--quick"],
        capture_output=True,
        text=True,
        env={**environment, "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert done.stderr == ""
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert re.search(r"cheaper, first 10 steps +[\d.,]+ x .*>= 30 (met|missed)", done.stdout)
