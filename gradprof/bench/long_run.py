"""A long run of a large network, written in about a minute: millions of plausible rows, made without torch.

python -m gradprof.bench.long_run runs/long --steps 100000 --sites 200 --spike 150 50000
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gradprof.events.header import make_header
from gradprof.kernels.bins import BIN_EDGES, N_BINS, ONE_BIN, bin_of
from gradprof.kernels.row import ROW_DTYPE
from gradprof.record.sites import Site
from gradprof.record.step import StepRecord
from gradprof.write.run_writer import RunWriter

FloatArray = npt.NDArray[np.float64]

_STEPS_AT_ONCE = 50
"""Made, written and flushed together, as in a training of 10 steps a second."""
_STEP_SECONDS = 0.1

_LOG_SCALES = np.arange(-9.0, 2.0, 1 / 64)
_N_NOISES = 4096


@dataclass(frozen=True)
class Spike:
    """One value of `abs_max`, in one site at one step."""

    site: int
    step: int
    abs_max: float = 1e6


def write_long_run(
    directory: str | Path, n_steps: int, n_sites: int, spike: Spike | None = None, seed: int = 0
) -> None:
    """Write a whole run, the steps 0 to `n_steps` - 1 with a loss, into a directory of its own.

    Raises:
        OSError, ValueError: as `RunWriter` does.
    """
    sites = [
        Site("output", f"blocks.{i // 8}.{_PARTS[i // 2 % 4]}")
        if i % 2
        else Site("param", f"blocks.{i // 8}.{_PARTS[i // 2 % 4]}.weight")
        for i in range(n_sites)
    ]
    header = make_header(sites, shapes={}, devices=["cpu"], model="LongRun", options={"threshold": 1.0})
    header["options"]["observe"] = ["param", "output"]
    writer, start = RunWriter(directory, header), header["created"]
    for step, rows in _LongTraining(n_sites, seed).steps(n_steps):
        if spike is not None and spike.step == step:
            _add_spike(rows[spike.site], spike.abs_max)
        loss = {"loss": 2.5 / (1 + step / 2000) + 0.1}
        writer.write(StepRecord(step, start + _STEP_SECONDS * step, rows, seconds=1e-3, scalars=loss))
        if step % _STEPS_AT_ONCE == _STEPS_AT_ONCE - 1:
            writer.flush()
    writer.close()


_PARTS = ("attention", "projection", "expand", "contract")


def _add_spike(row: np.void, abs_max: float) -> None:
    """One more value in the row."""
    row["numel"] += 1
    row["n_above"] += 1
    row["hist"][bin_of(np.array([abs_max]))[0]] += 1
    row["abs_max"] = abs_max
    for name, power in (("sum", 1), ("abs_sum", 1), ("sq", 2)):
        row[name] += abs_max**power


class _LongTraining:
    """Rows whose log10 magnitudes are normal about a scale of each site, which drifts and trembles."""

    def __init__(self, n_sites: int, seed: int) -> None:
        self._rng = rng = np.random.default_rng(seed)
        self._numel = (10 ** rng.uniform(3, 6, n_sites)).astype(np.int64)
        self._n_zero = np.where(np.arange(n_sites) % 2 == 1, self._numel // 3, 0)
        self._log_scale = rng.uniform(-5, -2, n_sites)
        self._shares = _shares()
        self._noises = rng.standard_normal((_N_NOISES, N_BINS), dtype=np.float32)

    def steps(self, n_steps: int) -> Iterator[tuple[int, np.ndarray]]:
        """Each step's number and rows, structured array `[sites]`."""
        for start in range(0, n_steps, _STEPS_AT_ONCE):
            rows = self._rows(min(_STEPS_AT_ONCE, n_steps - start))
            yield from zip(range(start, start + len(rows)), rows, strict=True)

    def _rows(self, n_steps: int) -> np.ndarray:
        rng, shape = self._rng, (n_steps, len(self._numel))
        drift = np.cumsum(0.01 * rng.standard_normal(shape), axis=0)
        log_scale = np.clip(self._log_scale + drift + 0.05 * rng.standard_normal(shape), -8, 1)
        self._log_scale = np.clip(self._log_scale + drift[-1], -5, -2)
        rows = np.zeros(shape, dtype=ROW_DTYPE)
        rows["n_obs"], rows["argmax"], rows["numel"], rows["n_zero"] = 1, -1, self._numel, self._n_zero
        rows["hist"] = hist = self._hist(log_scale)
        rows["n_above"] = hist[..., ONE_BIN:].sum(axis=-1)
        rows["abs_max"] = self._inside(N_BINS - 1 - (hist[..., ::-1] > 0).argmax(axis=-1))
        rows["abs_min"] = np.minimum(self._inside((hist > 0).argmax(axis=-1)), rows["abs_max"])
        scale = 10**log_scale
        rows["sum"] = scale * np.sqrt(self._numel) * rng.standard_normal(shape)
        rows["abs_sum"] = scale * self._numel * rng.uniform(0.9, 1.1, shape)
        rows["sq"] = np.square(2 * scale) * self._numel * rng.uniform(0.9, 1.1, shape)
        return rows

    def _hist(self, log_scale: FloatArray) -> npt.NDArray[np.int64]:
        """Counts of all values but the zeros, int64 `[steps, sites, 128]`, with noise."""
        n_values = self._numel - self._n_zero
        expected = self._shares[np.searchsorted(_LOG_SCALES, log_scale)]
        expected *= n_values[:, None].astype(np.float32)
        noise = self._noises[self._rng.integers(_N_NOISES, size=log_scale.shape)]
        noise *= 0.5 * np.sqrt(expected)
        hist = np.maximum(np.rint(expected + noise), 0).astype(np.int64)
        fullest = hist.argmax(axis=-1)[..., None]
        rest = n_values[:, None] - hist.sum(axis=-1, keepdims=True)
        np.put_along_axis(hist, fullest, np.take_along_axis(hist, fullest, -1) + rest, -1)
        return hist

    def _inside(self, bins: npt.NDArray[np.int64]) -> FloatArray:
        """A random float32 magnitude of each bin."""
        low, high = BIN_EDGES[bins], BIN_EDGES[bins + 1]
        magnitudes = low + self._rng.uniform(0.01, 0.99, bins.shape) * (high - low)
        return magnitudes.astype(np.float32).astype(np.float64)


def _shares() -> npt.NDArray[np.float32]:
    """Of the values of a site, the share in each bin, for each of `_LOG_SCALES`: float32 `[scales, 128]`."""
    values = np.random.default_rng(0).standard_normal((2, 200_000))
    logs = np.sort(np.log10(np.abs(values[0])) + 0.3 * values[1])
    edges = np.log10(BIN_EDGES) - _LOG_SCALES[:, None]
    below = np.searchsorted(logs, edges) / logs.size
    below[:, 0], below[:, -1] = 0, 1
    return np.diff(below, axis=1).astype(np.float32)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--spike", type=int, nargs=2, metavar=("SITE", "STEP"), help="one abs_max of 1e6")
    given = parser.parse_args()
    spike = None if given.spike is None else Spike(*given.spike)
    write_long_run(given.directory, given.steps, given.sites, spike)


if __name__ == "__main__":
    _main()
