"""The specification of a reduction, in plain torch: any device, dtype, shape and strides.

    TorchReducer(threshold=1.0).reduce_into(rows, index, tensor)    # merge its row into rows[index]

The tensor is read in chunks, so that no temporary is larger than a chunk, and nothing here makes the
host wait for the device. Each chunk is a handful of masked torch operations; CPU chunks of narrow types
take the shortcut of `cpu`, which gives the same counts, extrema and histogram, and the same sums
to well within the contract.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from gradprof.kernels.bins import INF_PREFIX, PREFIX_BIN
from gradprof.kernels.layouts import (
    as_real,
    check_dtype,
    chunks,
    explicit_values,
    in_memory_order,
    is_narrow,
    positions,
    to_dense_index,
)
from gradprof.kernels.row import BIG, COUNTS, DOWN, ROW_DTYPE, ROW_WORDS, SMALL, SUMS, UP, WORD, empty_rows

from .cpu import CHUNK as CPU_CHUNK
from .cpu import SMALL as CPU_SMALL
from .cpu import CpuReducer, widened

DEVICE_CHUNK = 1 << 24
"""Elements per chunk elsewhere: large enough to fill a GPU, about 0.6 GB of temporaries at the worst."""


def empty_table(n_rows: int, device: torch.device | str) -> Tensor:
    """A table of rows that have seen nothing: int64 `[n_rows, 144]` on `device`."""
    rows = torch.from_numpy(empty_rows(n_rows).view("<i8").reshape(n_rows, ROW_WORDS))
    return rows.to(device)


@lru_cache
def empty_row(device: torch.device) -> Tensor:
    """The row that has seen nothing, int64 `[144]`; not to be written to.

    Kept on the device, because a copy from ordinary host memory makes the host wait.
    """
    return empty_table(1, device)[0]


class TorchReducer:
    """Reductions with one set of options; one thread at a time.

    Args:
        threshold: `n_above` counts finite magnitudes >= threshold, compared as exact real numbers.
        locate: also find the smallest flat index at which `abs_max` stands.
    """

    def __init__(self, *, threshold: float = 1.0, locate: bool = False) -> None:
        self._threshold = threshold
        self._locate = locate
        self._cpu = CpuReducer(threshold)

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        """Merge the row of `tensor` into `rows[index]`.

        Args:
            rows: int64 `[sites, 144]` on the tensor's device, laid out as `row.ROW_DTYPE`.
            index: which row.
            tensor: any floating or complex dtype, shape, strides; complex by magnitude, sparse by its
                coalesced values and implicit zeros.
            inv_scale: 0-dim factor, applied to every value first, in float32 (in float64 if wider).

        Sums accumulate in float64. NaN and inf are counted and left out of everything else.

        Raises:
            TypeError: the dtype is neither floating nor complex.
        """
        check_dtype(tensor)
        values, n_implicit, indices = explicit_values(tensor.detach())
        if values.device.type == "cpu" and is_narrow(values.dtype) and not self._locate:
            pieces = chunks(in_memory_order(values), CPU_CHUNK)
            self._cpu.reduce_into(_records(rows), index, (as_real(piece, inv_scale) for piece in pieces))
        else:
            partial = self._partial_row(values, inv_scale)
            if indices is not None and self._locate:
                to_dense_index(partial, indices, tensor)
            _merge(rows[index], partial)
        row_words = _words(rows)[index]
        row_words[WORD["n_obs"]] += 1
        if n_implicit:
            add_implied_zeros(row_words, n_implicit, self._threshold)

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        """Set `rows[i]` to the row of each tensor, whatever it held before."""
        empty = _words(empty_row(rows.device))
        words = _words(rows)
        for index in indices:
            words[index] = empty
        small: list[tuple[int, Tensor]] = []
        for index, tensor in zip(indices, tensors, strict=True):
            if self._is_small(tensor):
                flat = in_memory_order(tensor.detach()).reshape(-1)
                small.append((index, as_real(flat, inv_scale)))
                words[index, WORD["n_obs"]] += 1
            else:
                self.reduce_into(rows, index, tensor, inv_scale)
        if small:
            self._cpu.reduce_small(_records(rows), small)

    def _is_small(self, tensor: Tensor) -> bool:
        """Whether its row is cheaper together with others."""
        return (
            tensor.is_cpu
            and not self._locate
            and 0 < tensor.numel() <= CPU_SMALL
            and tensor.layout is torch.strided
            and not tensor.is_nested
            and tensor.is_floating_point()
            and is_narrow(tensor.dtype)
        )

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        """Nothing: torch's operations come compiled."""

    def _partial_row(self, values: Tensor, inv_scale: Tensor | None) -> Tensor:
        partial = empty_row(values.device).clone()
        offset = 0
        ordered = values if self._locate else in_memory_order(values)
        for chunk in chunks(ordered, CPU_CHUNK if values.device.type == "cpu" else DEVICE_CHUNK):
            reals = as_real(chunk, inv_scale)
            _merge(partial, _chunk_row(reals, self._threshold, offset if self._locate else None))
            offset += chunk.numel()
        return partial


# --- from a chunk to a row --------------------------------------------------------------------


_INF_BITS = 0x7FF << 52
"""inf as the integer that its float64 bits spell."""


def _magnitude_bits(x: Tensor) -> tuple[Tensor, int]:
    """Magnitudes as the integers that their bits spell, which have their order, and inf as such.

    Integers, because a thread that flushes denormals takes them for zeros when it compares floats.
    """
    if x.dtype == torch.float32:
        return x.view(torch.int32) & 0x7FFFFFFF, INF_PREFIX << 16
    return x.view(torch.int64) & 0x7FFFFFFFFFFFFFFF, _INF_BITS


@lru_cache
def _prefix_bin_on(device: torch.device) -> Tensor:
    return torch.from_numpy(PREFIX_BIN.astype("i8")).to(device)


def _chunk_row(x: Tensor, threshold: float, offset: int | None) -> Tensor:
    """The row of one flat chunk of float32 or float64, int64 `[144]`; `n_obs` stays 0.

    `offset` is the flat index of the chunk's first element where the position of the maximum is wanted.
    """
    bits, inf_bits = _magnitude_bits(x)
    finite = bits < inf_bits
    nonzero = finite & (bits > 0)
    signed = torch.where(finite, widened(x, bits) if x.dtype == torch.float32 else x, 0)
    m = signed.abs()
    m_bits = m.view(torch.int64)
    largest = m_bits.max()

    big, small = m >= BIG, m < SMALL
    floats = {
        "sum": torch.where(big, 0, signed).sum(),
        "abs_sum": torch.where(big, 0, m).sum(),
        "sq": torch.where(big | small, 0, m).square().sum(),
        "sum_big": torch.where(big, signed * DOWN, 0).sum(),
        "abs_sum_big": torch.where(big, m * DOWN, 0).sum(),
        "sq_big": torch.where(big, m * DOWN, 0).square().sum(),
        "sq_small": torch.where(small, m * UP, 0).square().sum(),
    }
    row = torch.zeros(ROW_WORDS, dtype=torch.int64, device=x.device)
    row[WORD["numel"]] = x.numel()
    row[WORD["n_zero"]] = (bits == 0).sum()
    row[WORD["n_nan"]] = (bits > inf_bits).sum()
    row[WORD["n_inf"]] = (bits == inf_bits).sum()
    row[WORD["n_above"]] = (finite & (m >= threshold)).sum()
    row[WORD["abs_max"]] = largest
    row[WORD["abs_min"]] = torch.where(nonzero, m_bits, _INF_BITS).min()
    row[WORD["argmax"]] = -1
    if offset is not None:
        candidates = torch.where(finite & (m_bits == largest), positions(x), x.numel())
        first = candidates.min()
        row[WORD["argmax"]] = torch.where(first < x.numel(), first + offset, -1)
    for name, value in floats.items():
        row[WORD[name]] = value.view(torch.int64)

    limit = torch.finfo(torch.float32).max
    prefix = m.clamp(max=limit).to(torch.float32).view(torch.int32) >> 16
    bins = _prefix_bin_on(x.device)[prefix]
    # Adding 0 or 1 rather than selecting keeps every shape static, hence the host out of it.
    row[WORD["hist"] :].scatter_add_(0, bins, nonzero.to(torch.int64))
    return row


def _words(rows: Tensor) -> Any:
    """The same memory as a numpy array where the host can see it: single words cost a tenth there."""
    return rows.numpy() if rows.device.type == "cpu" else rows


def _records(rows: Tensor) -> Any:
    """A table in host memory as a structured array `[sites]`."""
    return rows.numpy().view(ROW_DTYPE)[:, 0]


def add_implied_zeros(row: Any, n: int, threshold: float) -> None:
    """Count the zeros that a sparse tensor implies."""
    row[WORD["numel"]] += n
    row[WORD["n_zero"]] += n
    if threshold == 0:
        row[WORD["n_above"]] += n


def _merge(into: Tensor, row: Tensor) -> None:
    """`row.merge_rows` for one row on the device, in place."""
    floats, other = into.view(torch.float64), row.view(torch.float64)
    at, low, high = WORD["argmax"], WORD["abs_min"], WORD["abs_max"]
    # Magnitudes have the order of their bits, denormals included.
    take = (into[at] < 0) | (row[high] > into[high])
    into[at] = torch.where(take, row[at], into[at])
    into[high] = torch.maximum(into[high], row[high])
    into[low] = torch.minimum(into[low], row[low])
    into[: len(COUNTS)] += row[: len(COUNTS)]
    first, last = WORD[SUMS[0]], WORD[SUMS[-1]] + 1
    floats[first:last] += other[first:last]
    into[WORD["hist"] :] += row[WORD["hist"] :]
