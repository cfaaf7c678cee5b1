"""The 128 bins of |gradient|: four per decade, from 1e-24 to 1e8, open at both ends.

A value's bin is decided by the top 16 bits of its float32 magnitude, that is by its truncation to
bfloat16, the *prefix*. With m the midpoint of that prefix (the prefix bits, then 0x8000),

    bin = clip(floor(4 * log10(m)) + 96, 0, 127)

so the rule has 2**15 cases, every edge is itself a bfloat16 number (within 0.4 % of 10**(k/4)), and
1.0 is exactly the edge below bin 96. No midpoint lies within 4.6e-5 bins of an edge (checked over all
prefixes in `tests/kernels/test_bins.py`), hence float32 arithmetic decides every case correctly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

N_BINS = 128
BINS_PER_DECADE = 4
ONE_BIN = 96
"""The bin whose lower edge is exactly 1.0."""

N_PREFIXES = 1 << 15
INF_PREFIX = 0x7F80
"""Prefixes from here on belong to inf and NaN, which have no bin."""


def _prefix_midpoints() -> npt.NDArray[np.float64]:
    """From exponent and mantissa: a process that flushes denormals could not convert their bits."""
    exponent, mantissa = np.divmod(np.arange(INF_PREFIX), 128)
    significand = mantissa + 0.5 + np.where(exponent > 0, 128, 0)
    return np.ldexp(significand, np.maximum(exponent, 1) - 134)


def _unclipped_bins() -> npt.NDArray[np.int64]:
    return np.floor(BINS_PER_DECADE * np.log10(_prefix_midpoints())).astype(np.int64) + ONE_BIN


def _bin_edges() -> npt.NDArray[np.float64]:
    first_prefix = np.searchsorted(_unclipped_bins(), np.arange(N_BINS + 1))
    edges = (first_prefix.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    edges.flags.writeable = False
    return edges


def _prefix_bin() -> npt.NDArray[np.int16]:
    table = np.full(N_PREFIXES, N_BINS - 1, dtype=np.int16)
    table[:INF_PREFIX] = np.clip(_unclipped_bins(), 0, N_BINS - 1)
    table.flags.writeable = False
    return table


BIN_EDGES = _bin_edges()
"""float64 `[129]`: bin b holds magnitudes in [BIN_EDGES[b], BIN_EDGES[b + 1]), but bin 0 reaches down
to (and excludes) zero and bin 127 up to the largest finite value."""

PREFIX_BIN = _prefix_bin()
"""int16 `[32768]`: the bin of each prefix. Entries of inf and NaN are there for indexing only."""

_FIRST_PREFIX = np.searchsorted(PREFIX_BIN[:INF_PREFIX], np.arange(N_BINS))


def fold_prefix_counts(prefix_counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Counts per prefix, int64 `[n]` for the first n > 0 prefixes, to counts per bin, int64 `[128]`."""
    counts = prefix_counts[:INF_PREFIX]
    n_bins = int(PREFIX_BIN[len(counts) - 1]) + 1
    folded = np.zeros(N_BINS, dtype=np.int64)
    folded[:n_bins] = np.add.reduceat(counts, _FIRST_PREFIX[:n_bins])
    return folded


def bin_of(magnitudes: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
    """The bin of each finite non-zero magnitude, any shape; float64 is rounded to float32 first."""
    limit = np.finfo(np.float32).max
    rounded = np.ascontiguousarray(np.clip(magnitudes, 0, limit), dtype=np.float32)
    return PREFIX_BIN[rounded.view(np.uint32) >> 16].astype(np.int64)
