"""Steps pooled into columns, so that a whole long run can be seen without reading every row of it.

A chunk covers `tags.CHUNK_STEPS` observed steps, and is written once they are complete: its metrics by
columns of 8 and of 64 steps (`EncodedPooled`), its merged histograms by columns of 64 (`EncodedPooledHist`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .block import read_hist, write_hist
from .streams import Packed, StreamWriter, pack

POOLED_MAGIC = b"GPP2"
POOLED_HIST_MAGIC = b"GPM2"

_GROUP_SITES = 32
_INTEGERS = ("numel", "n_zero", "n_nan", "n_inf")
_FLOATS = ("abs_max", "abs_min")
POOLED_HIST_DTYPE = np.dtype(
    [(name, np.int64) for name in _INTEGERS] + [(name, np.float64) for name in _FLOATS]
)
"""What stands beside a merged histogram: sums of counts, and the extrema, NaN where there is none."""

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


@dataclass
class Pooled:
    """The metrics of one chunk by columns of `level` observed steps.

    `first_steps` and `last_steps` are int64 `[columns]`. `n_rows`, int64 `[columns, sites]`, counts the steps
    of a column in which the site has a row. `metrics` has float32 `[columns, sites]` by name.
    """

    level: int
    first_steps: Int64Array
    last_steps: Int64Array
    n_rows: Int64Array
    metrics: Mapping[str, Float32Array]


def encode_pooled(pooled: Pooled) -> bytes:
    """A chunk as bytes, each metric a stream of its own."""
    n_columns, n_sites = pooled.n_rows.shape
    steps, n_rows = StreamWriter(), StreamWriter()
    steps.integers(np.stack((pooled.first_steps, pooled.last_steps), axis=1))
    n_rows.integers(pooled.n_rows)
    streams = {"steps": steps.finish(), "n_rows": n_rows.finish()}
    for name, values in pooled.metrics.items():
        stream = StreamWriter()
        stream.floats(values)
        streams[f"metric/{name}"] = stream.finish()
    return pack(POOLED_MAGIC, {"level": pooled.level, "columns": n_columns, "sites": n_sites}, streams)


class EncodedPooled:
    """A chunk still compressed.

    Attributes:
        level: observed steps of a column.
        n_columns, n_sites: its shape.
        first_steps, last_steps: of each column, int64 `[columns]`.

    Raises:
        BadBlock: the bytes are not such a chunk of this format version.
    """

    def __init__(self, data: bytes) -> None:
        self._packed = Packed(data, POOLED_MAGIC)
        self.level: int = self._packed.header["level"]
        self.n_columns: int = self._packed.header["columns"]
        self.n_sites: int = self._packed.header["sites"]
        steps = self._packed.reader("steps").integers((self.n_columns, 2))
        self.first_steps: Int64Array = steps[:, 0]
        self.last_steps: Int64Array = steps[:, 1]

    def n_rows(self) -> Int64Array:
        """Steps of the column in which the site has a row, int64 `[columns, sites]`; 0: missing."""
        return self._packed.reader("n_rows").integers((self.n_columns, self.n_sites))

    def metric(self, name: str) -> Float32Array:
        """float32 `[columns, sites]`.

        Raises:
            BadBlock: there is no such metric, or its stream is not whole.
        """
        return self._packed.reader(f"metric/{name}").floats((self.n_columns, self.n_sites), np.float32)


def pooled_hist_groups(n_sites: int) -> int:
    """Into how many groups of sites the merged histograms of a chunk are divided: at most 32 sites each."""
    return max(1, -(-n_sites // _GROUP_SITES))


def encode_pooled_hist(hist: Int64Array, fields: np.ndarray) -> bytes:
    """Merged histograms of a group of sites, int64 `[columns, sites, 128]`, and what stands beside them, a
    structured array `[columns, sites]` of `POOLED_HIST_DTYPE`."""
    stream, beside = StreamWriter(), StreamWriter()
    write_hist(stream, hist)
    for name in _INTEGERS:
        beside.integers(fields[name])
    for name in _FLOATS:
        beside.floats(fields[name])
    n_columns, n_sites, _ = hist.shape
    header = {"columns": n_columns, "sites": n_sites}
    return pack(POOLED_HIST_MAGIC, header, {"hist": stream.finish(), "fields": beside.finish()})


class EncodedPooledHist:
    """Merged histograms of a group of sites, still compressed.

    Attributes:
        shape: (columns, sites of the group).

    Raises:
        BadBlock: the bytes are not such a group of this format version.
    """

    def __init__(self, data: bytes) -> None:
        self._packed = Packed(data, POOLED_HIST_MAGIC)
        self.shape: tuple[int, int] = (self._packed.header["columns"], self._packed.header["sites"])

    def hist(self) -> Int64Array:
        """Counts, int64 `[columns, sites of the group, 128]`."""
        return read_hist(self._packed.reader("hist"), self.shape)

    def fields(self) -> np.ndarray:
        """Structured array `[columns, sites of the group]` of `POOLED_HIST_DTYPE`."""
        reader = self._packed.reader("fields")
        fields = np.empty(self.shape, dtype=POOLED_HIST_DTYPE)
        for name in _INTEGERS:
            fields[name] = reader.integers(self.shape)
        for name in _FLOATS:
            fields[name] = reader.floats(self.shape)
        return fields

    def field(self, name: str) -> np.ndarray:
        """One of `fields()`, `[columns, sites of the group]`: int64 sums `numel`, `n_zero`, `n_nan`, `n_inf`;
        float64 `abs_max`, `abs_min`, NaN where there is none."""
        values: np.ndarray = self.fields()[name]
        return values
