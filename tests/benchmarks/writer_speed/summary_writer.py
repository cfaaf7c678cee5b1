"""The peer: the points of the stock dashboards through torch's `SummaryWriter`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradprof.events import tags
from gradprof.kernels.bins import BIN_EDGES
from gradprof.record.figures import derive
from gradprof.write.stock.pace import SUMMARY_TAGS


@dataclass(frozen=True)
class _Values:
    """One step as `SummaryWriter` takes it: plain lists, one entry per site."""

    log10_abs_max: list[float]
    log10_l2: list[float]
    log10_abs_min: list[float]
    counts: list[list[int]]
    occupied: list[slice]
    """From the first to the last bin that holds anything."""
    n: list[int]
    sum: list[float]
    sum_squares: list[float]

    @classmethod
    def of(cls, rows: np.ndarray) -> _Values:
        """`rows` is a structured array `[sites]` without empty or non-finite gradients."""
        hist = rows["hist"]
        log_edges = np.log10(BIN_EDGES)
        centres = (log_edges[:-1] + log_edges[1:]) / 2
        bins = [np.flatnonzero(counts) for counts in hist]
        return cls(
            log10_abs_max=np.log10(derive(rows, "abs_max")).tolist(),
            log10_l2=np.log10(derive(rows, "l2")).tolist(),
            log10_abs_min=np.log10(rows["abs_min"]).tolist(),
            counts=hist.tolist(),
            occupied=[slice(int(found[0]), int(found[-1]) + 1) for found in bins],
            n=hist.sum(axis=1).tolist(),
            sum=(hist @ centres).tolist(),
            sum_squares=(hist @ centres**2).tolist(),
        )


class SummaryWriterPeer:
    """Writes runs of these steps in rotation, from values made ready beforehand.

    Every site gets two scalars and a histogram of log10|g| by `add_histogram_raw`, the cheapest that
    `SummaryWriter` offers, since the gradients themselves are not on the host.
    """

    def __init__(self, labels: Sequence[str], steps: np.ndarray) -> None:
        self.scalar_tags = [*tags.site_tags(tags.ABS_MAX, labels), *tags.site_tags(tags.L2, labels)]
        self._hist_tags = tags.site_tags(tags.HIST, labels)
        self._summary_tags = [f"{tags.SUMMARY}/{tag}" for tag in SUMMARY_TAGS]
        self._values = [_Values.of(rows) for rows in steps]
        self._right_edges: list[float] = np.log10(BIN_EDGES[1:]).tolist()

    def phases(self, directory: Path, n_steps: int, trim: bool = False) -> Iterator[None]:
        """A whole run between two yields; `trim` leaves out the empty bins at both ends."""
        yield
        self._write(directory, n_steps, trim)
        yield

    def _write(self, directory: Path, n_steps: int, trim: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(directory))
        for step in range(n_steps):
            values = self._values[step % len(self._values)]
            scalars = values.log10_abs_max + values.log10_l2
            for tag, value in zip(self.scalar_tags, scalars, strict=True):
                writer.add_scalar(tag, value, step)
            for i, tag in enumerate(self._hist_tags):
                bins = values.occupied[i] if trim else slice(None)
                writer.add_histogram_raw(
                    tag,
                    min=values.log10_abs_min[i],
                    max=values.log10_abs_max[i],
                    num=values.n[i],
                    sum=values.sum[i],
                    sum_squares=values.sum_squares[i],
                    bucket_limits=self._right_edges[bins],
                    bucket_counts=values.counts[i][bins],
                    global_step=step,
                )
            for tag in self._summary_tags:
                writer.add_scalar(tag, values.log10_l2[0], step)
        writer.close()
