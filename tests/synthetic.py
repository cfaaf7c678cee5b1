"""Runs without torch: rows from plain values, by definition, and long trainings at little cost."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from gradprof.events import tags
from gradprof.events.framing import read_records
from gradprof.events.header import make_header
from gradprof.kernels.bins import BIN_EDGES, N_BINS
from gradprof.kernels.row import BIG, DOWN, ROW_DTYPE, SMALL, UP, empty_rows
from gradprof.record.observed import Observed, ObservedBuffer
from gradprof.record.sites import Site
from gradprof.record.step import StepRecord
from gradprof.write.run_writer import RunWriter

Values = npt.ArrayLike | None
"""The gradient of one site in one step; None where none came."""


def rows_of(gradients: Iterable[Values], threshold: float = 1.0) -> np.ndarray:
    """Structured array `[sites]`: what a reduction of each of these float32 (or wider) gradients gives."""
    gradients = list(gradients)
    rows = empty_rows(len(gradients))
    for row, values in zip(rows, gradients, strict=True):
        if values is not None:
            _reduce(row, np.asarray(values, dtype=np.float64).reshape(-1), threshold)
    return rows


def _reduce(row: np.void, values: npt.NDArray[np.float64], threshold: float) -> None:
    finite = values[np.isfinite(values)]
    size = np.abs(finite)
    big, small = size >= BIG, size < SMALL
    row["n_obs"] = 1
    row["numel"] = values.size
    row["n_zero"] = (size == 0).sum()
    row["n_nan"] = np.isnan(values).sum()
    row["n_inf"] = np.isinf(values).sum()
    row["n_above"] = (size >= threshold).sum()
    row["abs_max"] = size.max(initial=0.0)
    row["abs_min"] = size[size > 0].min(initial=math.inf)
    row["sum"], row["abs_sum"] = math.fsum(finite[~big]), math.fsum(size[~big])
    row["sum_big"], row["abs_sum_big"] = math.fsum(finite[big] * DOWN), math.fsum(size[big] * DOWN)
    row["sq"] = math.fsum(np.square(size[~big & ~small]))
    row["sq_big"] = math.fsum(np.square(size[big] * DOWN))
    row["sq_small"] = math.fsum(np.square(size[small] * UP))
    row["hist"] = hist_of(size[size > 0])


def hist_of(magnitudes: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Counts of float32 magnitudes by the declared edges, the first and last bin open, int64 `[128]`."""
    bins = np.searchsorted(BIN_EDGES, magnitudes, side="right") - 1
    return np.bincount(np.clip(bins, 0, N_BINS - 1), minlength=N_BINS).astype(np.int64)


def header_of(
    labels: Sequence[str],
    threshold: float = 1.0,
    shapes: Mapping[str, Sequence[int]] | None = None,
    model: str = "Synthetic",
) -> dict[str, Any]:
    """The header of a run of these sites."""
    sites = [Site(*label.split("/", 1)) for label in labels]
    options = {"observe": ["param", "output"], "threshold": threshold}
    return make_header(sites, shapes=shapes or {}, devices=["cpu"], model=model, options=options)


def record_of(
    step: int, gradients: Iterable[Values] | None, threshold: float = 1.0, **fields: Any
) -> StepRecord:
    """A finished step; `gradients=None` for one that was not observed."""
    rows = None if gradients is None else rows_of(gradients, threshold)
    return StepRecord(step, **{"wall_time": 1.7e9 + step, **fields}, rows=rows)


def write_run(directory: Path, labels: Sequence[str], records: Iterable[StepRecord], **header: Any) -> Path:
    """Write a whole run; its event file."""
    writer = RunWriter(directory, header_of(labels, **header))
    for record in records:
        writer.write(record)
    writer.close()
    return event_file(directory)


def write_gradients(
    directory: Path,
    gradients: Mapping[str, Sequence[Values]],
    steps: Sequence[int] | None = None,
    threshold: float = 1.0,
) -> Path:
    """Write a run from the gradients of each site, by label, step by step; its event file."""
    by_step = list(zip(*gradients.values(), strict=True))
    numbers = range(len(by_step)) if steps is None else steps
    records = [record_of(step, row, threshold) for step, row in zip(numbers, by_step, strict=True)]
    return write_run(directory, list(gradients), records, threshold=threshold)


def event_file(directory: Path) -> Path:
    """The one event file of gradprof's in a directory."""
    (file,) = directory.glob("*tfevents*.gradprof")
    return file


def many(n: int, n_sites: int = 2) -> Iterator[StepRecord]:
    """Steps of which the value of site i is step + i + 1."""
    for step in range(n):
        yield record_of(step, [[step + i + 1] for i in range(n_sites)])


def events_of(path: Path) -> list[Event]:
    return [Event.FromString(data) for data in read_records(path)]


def block_ends(path: Path) -> list[int]:
    """The step that each block's event stands at."""
    return [event.step for tag, event in own_events(path) if isinstance(tag, tags.RowsTag)]


def own_events(path: Path) -> list[tuple[tags.OwnTag, Event]]:
    """The events of blocks and chunks, each with what its tag says."""
    found = [(tags.parse(value.tag), event) for event in events_of(path) for value in event.summary.value]
    return [(tag, event) for tag, event in found if tag is not None]


def contents(path: Path, kind: type[tags.OwnTag]) -> dict[tags.OwnTag, bytes]:
    """What the tags of one kind hold, in the order of the file."""
    return {
        tag: event.summary.value[0].tensor.tensor_content
        for tag, event in own_events(path)
        if isinstance(tag, kind)
    }


def observed_of(
    rows: np.ndarray,
    steps: Sequence[int] | None = None,
    seconds: float = 0.0,
    wait: float = 0.0,
    buffer: ObservedBuffer | None = None,
) -> Observed:
    """Observed steps of these rows, structured array `[steps, sites]`, by way of `buffer` if it is given."""
    buffer = buffer or ObservedBuffer(max(1, len(rows)), rows.shape[1])
    for i, row in enumerate(rows):
        step = i if steps is None else steps[i]
        buffer.add(StepRecord(step, 1.7e9 + step, row, seconds, wait))
    return buffer.take()


def foreign_events(directory: Path) -> None:
    """An event file that gradprof did not write."""
    writer = EventFileWriter(str(directory))
    writer.add_event(Event(step=1))
    writer.close()


def python(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, which can import this module too; warnings are errors in it."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *args],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path},
    )


class Training:
    """Rows of a training that goes on: magnitudes spread over about five decades, drifting and noisy.

    Compressed, its rows take about what those of a resnet18 do (57 bytes): extrema are float32 numbers,
    sums have random mantissas, and every count of every bin changes in every step.
    """

    def __init__(self, n_sites: int, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self.labels = [
            f"param/block{i:03d}.weight" if i % 2 == 0 else f"output/block{i - 1:03d}" for i in range(n_sites)
        ]
        self._numel = np.int64(10 ** self._rng.uniform(1.5, 6, n_sites))
        self._zero_share = np.where(np.arange(n_sites) % 2 == 0, 0.0, 0.4)
        self._log_scale = self._rng.uniform(-6, -1, n_sites)
        # The distribution of log10|g| for normal g whose scale itself varies within a tensor.
        spread = np.random.default_rng(1)
        logs = np.log10(np.abs(spread.standard_normal(200_000))) + 0.4 * spread.standard_normal(200_000)
        self._grid = np.linspace(-8, 3, 2201)
        self._cumulated = np.searchsorted(np.sort(logs), self._grid) / len(logs)

    def rows(self, n_steps: int) -> np.ndarray:
        """The next steps, structured array `[steps, sites]`."""
        rng, shape = self._rng, (n_steps, len(self.labels))
        walk = np.cumsum(0.01 * rng.standard_normal(shape) - 2e-4, axis=0)
        log_scale = self._log_scale + walk + 0.05 * rng.standard_normal(shape)
        self._log_scale = self._log_scale + walk[-1]

        rows = np.zeros(shape, dtype=ROW_DTYPE)
        rows["n_obs"], rows["argmax"], rows["numel"] = 1, -1, self._numel
        rows["n_zero"] = rng.binomial(self._numel, self._zero_share, shape)
        edges = np.log10(BIN_EDGES) - log_scale[..., None]
        shares = np.diff(np.interp(edges, self._grid, self._cumulated), axis=-1)
        shares /= shares.sum(axis=-1, keepdims=True)
        hist = rng.multinomial(self._numel - rows["n_zero"], shares)
        rows["hist"] = hist
        rows["n_above"] = hist[..., 96:].sum(axis=-1)

        top = N_BINS - 1 - (hist[..., ::-1] > 0).argmax(axis=-1)
        bottom = (hist > 0).argmax(axis=-1)
        rows["abs_max"] = self._inside(top)
        rows["abs_min"] = np.minimum(self._inside(bottom), rows["abs_max"])
        scale = 10**log_scale
        rows["sum"] = scale * np.sqrt(rows["numel"]) * rng.standard_normal(shape)
        rows["abs_sum"] = scale * rows["numel"] * rng.uniform(0.9, 1.1, shape)
        rows["sq"] = np.square(scale) * rows["numel"] * rng.uniform(0.9, 1.1, shape)
        return rows

    def _inside(self, bins: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """A random float32 magnitude of each bin."""
        share = self._rng.uniform(0.01, 0.99, bins.shape)
        low, high = BIN_EDGES[bins], BIN_EDGES[bins + 1]
        return (low + share * (high - low)).astype(np.float32).astype(np.float64)
