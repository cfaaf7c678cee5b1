"""Steps pooled into columns, so that a whole long run can be seen without reading every row of it.

A chunk covers `tags.CHUNK_STEPS` observed steps, and is written once they are complete: its metrics by
columns of 8 and of 64 steps (`EncodedPooled`), its merged histograms by columns of 64 (`EncodedPooledHist`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from gradprof.record.columns import PLACE_RULES, Columns
from gradprof.record.figures import DISTRIBUTION_RULES
from gradprof.record.metrics import METRIC_RULES

from .block import read_hist, write_hist
from .streams import Packed, StreamWriter, pack
from .tags import CHUNK_STEPS, MOST_SITES

POOLED_MAGIC = b"GPP3"
POOLED_HIST_MAGIC = b"GPM3"

_GROUP_SITES = 32
_INTEGERS = ("numel", "n_zero", "n_nan", "n_inf")
_FLOATS = ("abs_max", "abs_min")

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]


def encode_pooled(level: int, columns: Columns) -> bytes:
    """A chunk by columns of `level` steps as bytes, each metric a stream of its own.

    Args:
        columns: int64 `first_step` and `last_step` `[columns]`; int64 `n_rows` and, by name, float32 metrics
            `[columns, sites]`.
    """
    n_columns, n_sites = columns["n_rows"].shape
    steps, n_rows = StreamWriter(), StreamWriter()
    steps.integers(np.stack((columns["first_step"], columns["last_step"]), axis=1))
    n_rows.integers(columns["n_rows"])
    streams = {"steps": steps.finish(), "n_rows": n_rows.finish()}
    for name, values in columns.arrays.items():
        if values.dtype == np.float32:
            stream = StreamWriter()
            stream.floats(values)
            streams[f"metric/{name}"] = stream.finish()
    return pack(POOLED_MAGIC, {"level": level, "columns": n_columns, "sites": n_sites}, streams)


class EncodedPooled:
    """A chunk still compressed.

    Attributes:
        level: observed steps of a column.
        shape: (columns, sites).

    Raises:
        BadBlock: the bytes are not such a chunk of this format version.
    """

    def __init__(self, data: bytes) -> None:
        self._packed = Packed(data, POOLED_MAGIC)
        self.level = self._packed.count("level", CHUNK_STEPS)
        self.shape = _shape(self._packed)

    def columns(self, metrics: Iterable[str], sites: slice | Sequence[int] = slice(None)) -> Columns:
        """As given to `encode_pooled`, of chosen metrics and sites.

        Raises:
            BadBlock: there is no such metric, or a stream is not whole.
        """
        n_columns, n_values = self.shape[0], math.prod(self.shape)
        steps = self._packed.reader("steps", 1, 16 * n_columns).integers((n_columns, 2))
        arrays: dict[str, np.ndarray] = {
            "first_step": steps[:, 0],
            "last_step": steps[:, 1],
            "n_rows": self._packed.reader("n_rows", 1, 8 * n_values).integers(self.shape)[:, sites],
        }
        for name in metrics:
            stream = self._packed.reader(f"metric/{name}", 1, 4 * n_values)
            arrays[name] = stream.floats(self.shape, np.float32)[:, sites]
        return Columns(arrays, PLACE_RULES | METRIC_RULES)


def pooled_hist_groups(n_sites: int) -> int:
    """Into how many groups of sites the merged histograms of a chunk are divided: at most 32 sites each."""
    return max(1, -(-n_sites // _GROUP_SITES))


def encode_pooled_hist(columns: Columns, sites: slice) -> bytes:
    """The `record.figures.distribution` of a group of sites, `[columns, all sites]`."""
    stream, beside = StreamWriter(), StreamWriter()
    hist = columns["hist"][:, sites]
    write_hist(stream, hist)
    for name in _INTEGERS:
        beside.integers(columns[name][:, sites])
    for name in _FLOATS:
        beside.floats(columns[name][:, sites])
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
        self.shape = _shape(self._packed)

    def columns(self, site: int) -> Columns:
        """The distribution of one site of the group, `[columns]`."""
        n_arrays = len(_INTEGERS) + len(_FLOATS)
        reader = self._packed.reader("fields", n_arrays, 8 * n_arrays * math.prod(self.shape))
        arrays = {"hist": read_hist(self._packed, self.shape)}
        for name in _INTEGERS:
            arrays[name] = reader.integers(self.shape)
        for name in _FLOATS:
            arrays[name] = reader.floats(self.shape)
        # Copies: a view would keep the other sites' too.
        return Columns({name: values[:, site].copy() for name, values in arrays.items()}, DISTRIBUTION_RULES)


def _shape(packed: Packed) -> tuple[int, int]:
    return packed.count("columns", CHUNK_STEPS), packed.count("sites", MOST_SITES)
