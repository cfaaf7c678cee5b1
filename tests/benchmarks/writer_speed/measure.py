"""What writing a step costs: `RunWriter` against torch's `SummaryWriter`, in CPU time of all threads.

Both write the same points: log10 of the largest magnitude and of the norm of every site, a histogram of
log10|g| of every site, and the scalars of the whole step. `SummaryWriter` gets its values ready-made; what
`RunWriter` derives from the rows, and the full record that only it writes, are in `RunWriter`'s time.

And what of the interpreter it leaves to others: a loop in Python beside it, which turns as fast as it can.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event

from gradprof.bench.pairs import alternate, ratios
from gradprof.bench.results import Bound, Check, Figure, Result
from gradprof.events.framing import read_records
from gradprof.read.run import Run, load
from gradprof.record.figures import derive
from gradprof.record.step import StepRecord
from gradprof.terminal.bar import Rounds
from gradprof.write.run_writer import FLUSH_SECONDS, RunWriter
from runs import Training, header_of

from .spin import SpinLoop, paced_writer
from .summary_writer import SummaryWriterPeer

BOUND = Bound("at least", 30.0)
BOUND_MS = Bound("at most", 0.5)
BOUND_SPIN = Bound("at least", 0.98)
BOUND_SETUP = "200 sites"

_N_DISTINCT = 8
_N_COMPARED = 3

Load = Callable[[Path], Run]


@dataclass(frozen=True)
class Extent:
    """How much is written."""

    sites: int = 200
    first: int = 100
    """Steps of a run in which every point is written."""
    later: tuple[int, int] = (1000, 1500)
    """Steps of a run in which points are thinned: from, to."""
    spin_seconds: float = 1.1 * FLUSH_SECONDS
    """How long the loop turns: a flush, and with it the encoding of a block, comes to lie in it."""
    steps_per_second: float = 10.0
    """Written beside the loop."""


QUICK = Extent(sites=20, first=10, later=(20, 30), spin_seconds=0.3)


def measure_writer(rounds: Rounds, pairs: int, extent: Extent, load: Load = load) -> Result:
    """CPU time and bytes of one step, while every point is written and once points are thinned.

    Args:
        load: what reads a run back, `gradprof.load`.
    """
    ours = _Synthetic(extent.sites)
    peer = SummaryWriterPeer(ours.labels, ours.steps)
    result = Result(
        name="writer",
        setup=f"{extent.sites} sites; CPU time of one step, bytes of one site and step; the peer is "
        "SummaryWriter, trimmed: without empty bins; the spin loop is in Python, beside a RunWriter "
        f"that gets {extent.steps_per_second:g} steps a second",
        bound_setup=BOUND_SETUP,
        options={"pairs": pairs, **asdict(extent)},
        checks=_checks(ours, peer, extent.first, load),
    )
    if result.correct:
        contenders, loops = _contenders(ours, peer, extent), _loops(ours, extent)
        costs = alternate({**contenders, **loops}, rounds(pairs, "writer"))
        result.measured = [
            *_figures(costs, {key: contender.bytes for key, contender in contenders.items()}, extent),
            *_spin_figures(costs, {key: loop.waits for key, loop in loops.items()}),
        ]
    return result


def _contenders(ours: _Synthetic, peer: SummaryWriterPeer, extent: Extent) -> dict[str, _Contender]:
    first, later = range(extent.first), range(*extent.later)
    return {
        "RunWriter": _Contender(partial(ours.first, n_steps=len(first)), first, extent.sites),
        "later": _Contender(partial(ours.later, steps=later), later, extent.sites),
        "SummaryWriter": _Contender(partial(peer.phases, n_steps=len(first)), first, extent.sites),
        "trimmed": _Contender(partial(peer.phases, n_steps=len(first), trim=True), first, extent.sites),
    }


def _loops(ours: _Synthetic, extent: Extent) -> dict[str, SpinLoop]:
    beside = partial(paced_writer, ours.writer, ours.record, extent.steps_per_second)
    return {"alone": SpinLoop(extent.spin_seconds), "beside": SpinLoop(extent.spin_seconds, beside)}


def _figures(costs: dict[str, list[float]], sizes: dict[str, list[float]], extent: Extent) -> list[Figure]:
    def cost_of(key: str, name: str, bound: Bound | None = None) -> list[Figure]:
        return [
            Figure(f"  {name}", "ms", [1e3 * s for s in costs[key]], bound),
            Figure(f"  {name}", "bytes per site and step", sizes[key]),
        ]

    peer = costs["SummaryWriter"]
    first = f"first {extent.first} steps"
    return [
        Figure(f"cheaper, {first}", "x", ratios(peer, of=costs["RunWriter"]), BOUND),
        *cost_of("RunWriter", "RunWriter", BOUND_MS),
        *cost_of("SummaryWriter", "SummaryWriter"),
        Figure(f"cheaper, steps {extent.later[0]}-{extent.later[1]}", "x", ratios(peer, of=costs["later"])),
        *cost_of("later", "RunWriter", BOUND_MS),
        Figure("cheaper, trimmed peer", "x", ratios(costs["trimmed"], of=costs["RunWriter"])),
        *cost_of("trimmed", "SummaryWriter, trimmed"),
    ]


def _spin_figures(costs: dict[str, list[float]], waits: dict[str, list[float]]) -> list[Figure]:
    """What is left to the loop of the time, for want of the interpreter lock, and of its turns.

    Turns are also lost to what two cores share: with the writer in another process, where it shares no lock,
    they were as many.
    """
    time_left = ratios(waits["alone"], of=waits["beside"])
    return [
        Figure("spin loop, time beside / alone", "ratio", time_left, BOUND_SPIN),
        Figure("  its turns", "ratio", ratios(costs["alone"], of=costs["beside"])),
    ]


class _Contender:
    """Writes a run into a temporary directory; a call gives CPU seconds per step.

    Args:
        run: given a directory, prepares, works and tidies up, with a `yield` before and after the work.
    """

    def __init__(self, run: Callable[[Path], Iterator[None]], steps: range, n_sites: int) -> None:
        self.bytes: list[float] = []
        """Written per site and step, for each call."""
        self._run = run
        self._n_steps = len(steps)
        self._n_sites = n_sites

    def __call__(self) -> float:
        with tempfile.TemporaryDirectory(prefix="gradprof-bench-") as directory:
            path = Path(directory)
            phases = self._run(path)
            next(phases)
            size = _size(path)
            gc.collect()
            start = time.process_time()
            next(phases)
            cost = time.process_time() - start
            self.bytes.append((_size(path) - size) / self._n_steps / self._n_sites)
            next(phases, None)
        return cost / self._n_steps


class _Synthetic:
    """Runs of a few distinct steps in rotation, through `RunWriter`."""

    def __init__(self, n_sites: int) -> None:
        training = Training(n_sites)
        self.labels = training.labels
        self.steps = training.rows(_N_DISTINCT)

    def rows(self, step: int) -> np.ndarray:
        return self.steps[step % len(self.steps)]

    def record(self, step: int) -> StepRecord:
        return StepRecord(step, time.time(), self.rows(step), seconds=1e-3)

    def writer(self, directory: Path) -> RunWriter:
        return RunWriter(directory, header_of(self.labels))

    def first(self, directory: Path, n_steps: int) -> Iterator[None]:
        """A whole run, opening and closing included."""
        yield
        writer = self.writer(directory)
        self._write(writer, range(n_steps))
        writer.close()
        yield

    def later(self, directory: Path, steps: range) -> Iterator[None]:
        """These steps of a longer run, from flush to flush."""
        writer = self.writer(directory)
        self._write(writer, range(steps.start))
        writer.flush()
        yield
        self._write(writer, steps)
        writer.flush()
        yield
        writer.close()

    def _write(self, writer: RunWriter, steps: range) -> None:
        for step in steps:
            writer.write(self.record(step))


def _checks(ours: _Synthetic, peer: SummaryWriterPeer, n_steps: int, load: Load) -> list[Check]:
    """What is written comes back, and both writers publish the same values."""
    with tempfile.TemporaryDirectory(prefix="gradprof-bench-") as directory:
        path, peer_path = Path(directory) / "run", Path(directory) / "peer"
        for phases in (ours.first(path, n_steps), peer.phases(peer_path, min(_N_COMPARED, n_steps))):
            list(phases)
        return [_check_run(ours, load(path), n_steps), _check_values(peer, path, peer_path)]


def _check_run(ours: _Synthetic, run: Run, n_steps: int) -> Check:
    """Extrema and norms of all sites, histograms of some."""
    what = f"{n_steps} steps come back as written, bit by bit"
    if run.steps.tolist() != list(range(n_steps)) or run.sites != ours.labels:
        return Check(what, f"got {len(run.steps)} steps of {len(run.sites)} sites")
    written = np.stack([ours.rows(step) for step in range(n_steps)])
    for name in ("abs_max", "l2"):
        if not np.array_equal(run.table(name), derive(written, name)):
            return Check(what, f"the table of {name} differs")
    for i in (0, len(ours.labels) // 2, len(ours.labels) - 1):
        if not np.array_equal(run.hist(ours.labels[i]), written["hist"][:, i]):
            return Check(what, f"the histograms of {ours.labels[i]} differ")
    return Check(what)


def _check_values(peer: SummaryWriterPeer, path: Path, peer_path: Path) -> Check:
    what = "both writers publish the same log10 values"
    wanted = frozenset(peer.scalar_tags)
    expected, got = _scalars(peer_path, wanted), _scalars(path, wanted)
    differing = [point for point, value in expected.items() if got.get(point) != value]
    if differing or not expected:
        return Check(what, f"{len(differing)} of {len(expected)} differ: {differing[:1]}")
    return Check(what)


def _scalars(directory: Path, wanted: frozenset[str]) -> dict[tuple[str, int], float]:
    """The float32 values in an event file by tag and step."""
    (file,) = directory.glob("*tfevents*")
    return {
        (value.tag, event.step): value.simple_value
        for event in map(Event.FromString, read_records(file))
        for value in event.summary.value
        if value.tag in wanted
    }


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())
