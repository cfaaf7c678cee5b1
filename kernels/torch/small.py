"""Rows of small float32 tensors in CPU memory, many at once.

A pass of numpy over a few hundred values costs a microsecond, whatever they are, and one of torch three
times that. A network has dozens of such parameters (biases, scales): laid end to end, they share the
passes, and `reduceat` gives each its own result.

Magnitudes are handled as the integers that their bits spell (`float32_bits`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradprof.kernels.bins import N_BINS, ONE_BIN, PREFIX_BIN
from gradprof.kernels.float32_bits import ABS_MASK, INF_BITS, floats_of


def merge_small(
    rows: np.ndarray,
    indices: Sequence[int],
    tensors: Sequence[npt.NDArray[np.float32]],
    threshold_bits: int | None,
) -> None:
    """Merge the row of each tensor into its row of the table, all but `n_obs`.

    Args:
        rows: structured array `[sites]`, see `row.ROW_DTYPE`.
        indices: which rows, no two of them the same.
        tensors: flat, none of them empty.
        threshold_bits: bits of the least float32 to count as above; None for 1.0, which is an edge.
    """
    lengths = np.array([len(tensor) for tensor in tensors])
    starts = np.cumsum(lengths) - lengths
    signed_bits = np.concatenate(tensors).view(np.int32)
    bits = signed_bits & ABS_MASK
    # A slice costs a fifth of a list of indices, and tensors that are not parameters come one by one.
    at: Any = slice(indices[0], indices[0] + 1) if len(indices) == 1 else np.asarray(indices)

    def count(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.add.reduceat(mask, starts, dtype=np.int64)

    if threshold_bits is not None:
        rows["n_above"][at] += count((bits >= threshold_bits) & (bits < INF_BITS))
    n_not_finite: Any = 0
    if bits.max() >= INF_BITS:  # counted, and from here on taken for zeros
        n_nan, n_inf = count(bits > INF_BITS), count(bits == INF_BITS)
        rows["n_nan"][at] += n_nan
        rows["n_inf"][at] += n_inf
        n_not_finite = n_nan + n_inf
        bits[bits >= INF_BITS] = 0
    n_zero = count(bits == 0)

    # Adding 2**31 - 1 leaves zero the largest int32, and takes others, wrapping around, to 2**31 + 1 less.
    smallest = np.minimum.reduceat(bits + np.int32(ABS_MASK), starts) - np.int32(ABS_MASK)
    largest = np.maximum.reduceat(bits, starts)
    low, high = floats_of(np.stack([smallest, largest]))
    magnitudes = floats_of(bits)
    bins = PREFIX_BIN[bits >> 16]
    if len(indices) > 1:
        bins = bins + np.repeat(np.arange(len(indices)) * N_BINS, lengths)
    hist = np.bincount(bins, minlength=len(indices) * N_BINS).reshape(-1, N_BINS)
    hist[:, 0] -= n_zero

    rows["numel"][at] += lengths
    rows["n_zero"][at] += n_zero - n_not_finite
    rows["sum"][at] += np.add.reduceat(np.where(signed_bits < 0, -magnitudes, magnitudes), starts)
    rows["abs_sum"][at] += np.add.reduceat(magnitudes, starts)
    rows["sq"][at] += np.add.reduceat(magnitudes * magnitudes, starts)
    rows["abs_max"][at] = np.maximum(rows["abs_max"][at], high)
    rows["abs_min"][at] = np.minimum(rows["abs_min"][at], np.where(high > 0, low, np.inf))
    rows["hist"][at] += hist
    if threshold_bits is None:
        rows["n_above"][at] += hist[:, ONE_BIN:].sum(1)
