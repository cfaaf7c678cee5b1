"""The row of narrow values (float32 and below) in CPU memory, chunk by chunk.

The specification in `torch_backend` costs about 20 passes over a chunk. Here a chunk of ordinary values
costs nine cheap ones over scratch that stays in cache, because the host may look at a result before it
decides what to do next: NaN, inf and zeros are looked for only where the extrema show that they are
there.

Magnitudes are handled as the integers that their bits spell: for non-negative floats the order is the
same, the top 16 of 31 bits are the prefix that decides the bin, and NaN and inf are the integers from
0x7F800000 up.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from .bins import INF_PREFIX, N_BINS, N_PREFIXES, ONE_BIN, PREFIX_BIN, fold_prefix_counts

CHUNK = 1 << 18
"""Elements per chunk: 3 MB of scratch. Measured per element of 2**24, two threads of an EPYC: 2.0 ns for
2**15, 1.6 for 2**16, 1.25 for 2**17, 0.95 for 2**18 and 2**19; without scratch of its own 1.8 to 4."""

_ABS_MASK = 0x7FFFFFFF
_INF_BITS = INF_PREFIX << 16
_MIN_NORMAL_BITS = 1 << 23
_DENORMAL_UNIT = 2.0**-149

_FOLD_FROM = 1 << 14
"""From this many elements, counting prefixes and folding them is cheaper than a look-up for each."""

_ROW = 128
_SAFE = (1e-12, 1e15)

_PREFIX_BIN = torch.from_numpy(PREFIX_BIN.astype("i4"))


class CpuReducer:
    """Scratch for reductions, reused by every call; one thread at a time."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._threshold_bits = _bits_at_or_above(threshold)
        self._bits = torch.empty(0, dtype=torch.int32, device="cpu")
        self._wide = torch.empty(0, dtype=torch.float64, device="cpu")

    def reduce_into(self, row: np.void, chunks: Iterable[Tensor]) -> None:
        """Merge the flat, non-empty float32 `chunks` of one tensor into `row`, all but its `n_obs`."""
        hist = np.zeros(N_BINS, dtype=np.int64)
        prefix_counts: Tensor | None = None
        for chunk in chunks:
            bits = self._magnitude_bits(chunk)
            row["numel"] += chunk.numel()
            smallest, largest = _extrema(bits)
            if largest >= _INF_BITS:
                chunk, bits = _split_off_non_finite(row, chunk, bits)
                if chunk.numel() == 0:
                    continue
                smallest, largest = _extrema(bits)
            n_zero = 0
            if smallest == 0:
                n_zero = bits.numel() - int(torch.count_nonzero(bits))
                smallest = self._smallest_nonzero(bits)
            row["n_zero"] += n_zero
            row["abs_max"] = max(row["abs_max"], _float_of(largest))
            if largest:
                row["abs_min"] = min(row["abs_min"], _float_of(smallest))
            self._add_sums(row, chunk, bits, smallest, _float_of(largest))
            if self._threshold != 1.0:
                row["n_above"] += int((bits >= self._threshold_bits).sum())
            prefixes = bits.bitwise_right_shift_(16)
            if chunk.numel() < _FOLD_FROM:
                bins = _PREFIX_BIN.index_select(0, prefixes)
                hist += torch.bincount(bins, minlength=N_BINS).numpy()
                hist[0] -= n_zero
            else:
                counts = torch.bincount(prefixes, minlength=N_PREFIXES)
                counts[0] -= n_zero
                prefix_counts = counts if prefix_counts is None else prefix_counts.add_(counts)
        if prefix_counts is not None:
            hist += fold_prefix_counts(prefix_counts.numpy())
        row["hist"] += hist
        if self._threshold == 1.0:
            row["n_above"] += hist[ONE_BIN:].sum()

    def _magnitude_bits(self, chunk: Tensor) -> Tensor:
        n = chunk.numel()
        if self._bits.numel() < n:
            self._bits = torch.empty(n, dtype=torch.int32, device="cpu")
            self._wide = torch.empty(n, dtype=torch.float64, device="cpu")
        return torch.bitwise_and(chunk.view(torch.int32), _ABS_MASK, out=self._bits[:n])

    def _smallest_nonzero(self, bits: Tensor) -> int:
        """Zero wraps to the largest integer, every other magnitude to itself less one."""
        less_one = self._wide.view(torch.int32)[: bits.numel()]
        torch.sub(bits, 1, out=less_one)
        return int(less_one.bitwise_and_(_ABS_MASK).min()) + 1

    def _add_sums(
        self, row: np.void, chunk: Tensor, bits: Tensor, smallest_bits: int, largest: float
    ) -> None:
        """Add to `sum`, `abs_sum` and `sq`, with a relative error of at most 1e-6 each.

        Short float32 rows, added in float64, where squares neither overflow nor underflow to any
        effect (whether or not the process flushes denormals): 128 contiguous terms are at most 13
        roundings deep in torch's vectorised sum, hence within 8e-7. Everything else in float64.
        """
        n = chunk.numel()
        if n % _ROW == 0 and _SAFE[0] <= largest <= _SAFE[1]:
            squares = torch.mul(chunk, chunk, out=self._wide.view(torch.float32)[:n])
            row["sum"] += _sum_of_rows(chunk)
            row["abs_sum"] += _sum_of_rows(bits.view(torch.float32))
            row["sq"] += _sum_of_rows(squares)
        else:
            exact = chunk if smallest_bits >= _MIN_NORMAL_BITS else widened(chunk, bits)
            wide = self._wide[:n].copy_(exact)
            row["sum"] += float(wide.sum())
            row["sq"] += float(torch.dot(wide, wide))
            row["abs_sum"] += float(wide.abs_().sum())


def widened(x: Tensor, magnitude_bits: Tensor) -> Tensor:
    """float32 `x` as float64, exactly: a thread that flushes denormals would convert them to zero, so
    theirs are made of the integers that their bits spell."""
    denormal = torch.copysign(magnitude_bits.to(torch.float64) * _DENORMAL_UNIT, x)
    return torch.where(magnitude_bits < _MIN_NORMAL_BITS, denormal, x.to(torch.float64))


def _sum_of_rows(flat: Tensor) -> float:
    return float(flat.view(-1, _ROW).sum(1).sum(dtype=torch.float64))


def _extrema(bits: Tensor) -> tuple[int, int]:
    low, high = torch.aminmax(bits)
    return int(low), int(high)


def _split_off_non_finite(row: np.void, chunk: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
    """Count NaN and inf; what remains."""
    n_inf = int((bits == _INF_BITS).sum())
    finite = bits < _INF_BITS
    chunk, bits = chunk[finite], bits[finite]
    row["n_inf"] += n_inf
    row["n_nan"] += finite.numel() - bits.numel() - n_inf
    return chunk, bits


def _bits_at_or_above(threshold: float) -> int:
    """The bits of the smallest float32 >= threshold; those of inf if there is none that is finite."""
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
        above = np.nextafter(nearest, np.float32(np.inf))
    # As Python floats, because numpy would round the threshold to float32 before it compares.
    smallest = above if float(nearest) < float(threshold) else nearest
    return int(smallest.view(np.int32))


def _float_of(bits: int) -> float:
    if bits < _MIN_NORMAL_BITS:  # a thread that flushes denormals would convert it to zero
        return bits * _DENORMAL_UNIT
    return float(np.int32(bits).view(np.float32))
