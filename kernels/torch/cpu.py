"""The row of narrow values (float32 and below) in CPU memory, chunk by chunk.

The specification in `torch/reducer` costs about 20 passes over a chunk. Here a chunk of ordinary values
costs nine cheap ones over scratch that stays in cache, because the host may look at a result before it
decides what to do next: NaN, inf and zeros are looked for only where the extrema show that they are
there.

Magnitudes are handled as the integers that their bits spell (`float32_bits`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradprof.kernels.bins import N_BINS, ONE_BIN, fold_prefix_counts
from gradprof.kernels.float32_bits import (
    ABS_MASK,
    DENORMAL_UNIT,
    INF_BITS,
    MIN_NORMAL_BITS,
    bits_at_or_above,
    float_of,
)

from .small import merge_small

CHUNK = 1 << 18
"""Elements per chunk: 2 to 3 MB of scratch. In a training, 2**18 to 2**21 cost the same, 2**17 5 % and
2**16 12 % of a step more; without scratch of its own a pass cost twice as much."""

SMALL = 1 << 13
"""Up to this many elements numpy is faster: its calls cost a third of torch's, which have threads."""

_ZERO_LANES = 64
"""Zeros are counted over this many prefixes, all of bin 0: increments of one counter wait for each other,
and the gradient below a ReLU is half zeros."""

_ROW = 128
_SAFE = (1e-12, 1e15)


class CpuReducer:
    """Scratch for reductions, reused by every call; one thread at a time."""

    def __init__(self, threshold: float) -> None:
        self._threshold_bits = None if threshold == 1.0 else bits_at_or_above(threshold)
        self._bits = torch.empty(0, dtype=torch.int32, device="cpu")
        self._wrapped = torch.empty(0, dtype=torch.int32, device="cpu")
        self._row_sums = torch.empty((3, 0), dtype=torch.float32, device="cpu")

    def reduce_into(self, rows: np.ndarray, index: int, chunks: Iterable[Tensor]) -> None:
        """Merge the flat, non-empty float32 `chunks` of a tensor into `rows[index]`, all but its `n_obs`."""
        row = rows[index]
        for chunk in chunks:
            if chunk.numel() <= SMALL:
                merge_small(rows, [index], [chunk.numpy()], self._threshold_bits)
                continue
            row["numel"] += chunk.numel()
            hist = self._reduce_large(row, chunk)
            row["hist"] += hist
            if self._threshold_bits is None:
                row["n_above"] += hist[ONE_BIN:].sum()

    def reduce_small(self, rows: np.ndarray, tensors: Iterable[tuple[int, Tensor]]) -> None:
        """The same for tensors of at most `SMALL` elements, each with its row's index, no two the same."""
        indices: list[int] = []
        batch: list[npt.NDArray[np.float32]] = []
        n_values = 0
        for index, tensor in tensors:
            if n_values + tensor.numel() > CHUNK:
                merge_small(rows, indices, batch, self._threshold_bits)
                indices, batch, n_values = [], [], 0
            indices.append(index)
            batch.append(tensor.numpy())
            n_values += tensor.numel()
        if batch:
            merge_small(rows, indices, batch, self._threshold_bits)

    def _reduce_large(self, row: np.void, chunk: Tensor) -> npt.NDArray[np.int64]:
        """Merge all but `numel` and the histogram, which is returned, int64 `[128]`."""
        bits = self._magnitude_bits(chunk)
        smallest, largest = _extrema(bits)
        if largest >= INF_BITS:
            chunk, bits = _split_off_non_finite(row, chunk, bits)
            if chunk.numel() == 0:
                return np.zeros(N_BINS, dtype=np.int64)
            smallest, largest = _extrema(bits)
        has_zeros = smallest == 0
        if has_zeros:
            smallest = self._smallest_nonzero(bits)
        if largest:
            self._merge_extrema(row, smallest, largest)
            self._add_sums(row, chunk, bits, smallest, float_of(largest))
        if self._threshold_bits is not None:
            row["n_above"] += int((bits >= self._threshold_bits).sum())
        if not has_zeros:
            return fold_prefix_counts(torch.bincount(bits.bitwise_right_shift_(16)).numpy())
        return self._count_with_zeros(row, bits, smallest)

    def _count_with_zeros(self, row: np.void, bits: Tensor, smallest: int) -> npt.NDArray[np.int64]:
        n_zero = -1
        if smallest >> 16 < _ZERO_LANES:  # some other values share the lanes
            n_zero = bits.numel() - int(torch.count_nonzero(bits))
        prefixes = bits.bitwise_right_shift_(16)
        torch.maximum(prefixes, _lanes()[: bits.numel()], out=prefixes)
        counts = torch.bincount(prefixes).numpy()
        if n_zero < 0:
            n_zero = int(counts[:_ZERO_LANES].sum())
        row["n_zero"] += n_zero
        hist = fold_prefix_counts(counts)
        hist[0] -= n_zero
        return hist

    @staticmethod
    def _merge_extrema(row: np.void, smallest: int, largest: int) -> None:
        row["abs_min"] = min(row["abs_min"], float_of(smallest))
        row["abs_max"] = max(row["abs_max"], float_of(largest))

    def _magnitude_bits(self, chunk: Tensor) -> Tensor:
        n = chunk.numel()
        if self._bits.numel() < n:
            self._bits = torch.empty(n, dtype=torch.int32, device="cpu")
            self._wrapped = torch.empty(n, dtype=torch.int32, device="cpu")
            self._row_sums = torch.empty((3, n // _ROW), dtype=torch.float32, device="cpu")
        return torch.bitwise_and(chunk.view(torch.int32), ABS_MASK, out=self._bits[:n])

    def _smallest_nonzero(self, bits: Tensor) -> int:
        """2**31 if there is none. Adding 2**31 - 1 leaves zero the largest int32, and takes every other
        magnitude, wrapping around, to 2**31 + 1 less."""
        wrapped = torch.add(bits, ABS_MASK, out=self._wrapped[: bits.numel()])
        return int(wrapped.min()) + (1 << 31) + 1

    def _add_sums(
        self, row: np.void, chunk: Tensor, bits: Tensor, smallest_bits: int, largest: float
    ) -> None:
        """Add to `sum`, `abs_sum` and `sq`; the norm and the means are within 1e-6.

        Short float32 rows, added in float64, where squares neither overflow nor underflow to any
        effect (whether or not the process flushes denormals): 128 contiguous terms are at most 13
        roundings deep in torch's vectorised sum, hence within 8e-7, and the norm of a row is as
        close. Everything else in float64.
        """
        n_rows, rest = divmod(chunk.numel(), _ROW)
        if rest == 0 and _SAFE[0] <= largest <= _SAFE[1]:
            sums = self._row_sums[:, :n_rows]
            by_row = chunk.view(n_rows, _ROW)
            torch.sum(by_row, 1, out=sums[0])
            torch.sum(bits.view(torch.float32).view(n_rows, _ROW), 1, out=sums[1])
            torch.linalg.vector_norm(by_row, dim=1, out=sums[2])
            wide = sums.to(torch.float64)
            total, abs_total, _ = wide.sum(1).tolist()
            row["sum"] += total
            row["abs_sum"] += abs_total
            row["sq"] += float(torch.dot(wide[2], wide[2]))
        else:
            exact = chunk if smallest_bits >= MIN_NORMAL_BITS else widened(chunk, bits)
            wide = exact.to(torch.float64)
            row["sum"] += float(wide.sum())
            row["sq"] += float(torch.dot(wide, wide))
            row["abs_sum"] += float(wide.abs().sum())


@lru_cache(maxsize=1)
def _lanes() -> Tensor:
    """0, 1, …, 63, 0, 1, …, int32 `[CHUNK]`."""
    return torch.arange(CHUNK, dtype=torch.int32, device="cpu") % _ZERO_LANES


def widened(x: Tensor, magnitude_bits: Tensor) -> Tensor:
    """float32 `x` as float64, exactly: a thread that flushes denormals would convert them to zero, so
    theirs are made of the integers that their bits spell."""
    denormal = torch.copysign(magnitude_bits.to(torch.float64) * DENORMAL_UNIT, x)
    return torch.where(magnitude_bits < MIN_NORMAL_BITS, denormal, x.to(torch.float64))


def _extrema(bits: Tensor) -> tuple[int, int]:
    low, high = torch.aminmax(bits)
    return int(low), int(high)


def _split_off_non_finite(row: np.void, chunk: Tensor, bits: Tensor) -> tuple[Tensor, Tensor]:
    """Count NaN and inf; what remains."""
    n_inf = int((bits == INF_BITS).sum())
    finite = bits < INF_BITS
    chunk, bits = chunk[finite], bits[finite]
    row["n_inf"] += n_inf
    row["n_nan"] += finite.numel() - bits.numel() - n_inf
    return chunk, bits
