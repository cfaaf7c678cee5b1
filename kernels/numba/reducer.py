"""Reductions on a CPU by loops that numba compiles: the same rows as `torch/reducer`, many times cheaper.

    reducer = NumbaReducer(threshold=1.0)
    reducer.prepare({torch.float32}, scaled=False)      # compiles, or finds it on disk
    reducer.reduce_into(rows, index, tensor)
    reducer.replace_many(rows, indices, tensors)        # all in one call

float32 and bfloat16 tensors without gaps are read where they lie, by torch's own threads, with the
interpreter lock released. Everything else is left to `TorchReducer`, which is the specification.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import Tensor

from gradprof.kernels.float32_bits import bits_at_or_above
from gradprof.kernels.layouts import check_dtype, explicit_values, in_memory_order
from gradprof.kernels.row import ROW_WORDS
from gradprof.kernels.torch.reducer import TorchReducer, add_implied_zeros, empty_row

from .histogram import BIN_OF_HALF, N_COUNTERS
from .loops import BFLOAT16, FLOAT32
from .parts import JOB, TENSOR, n_parts_of, part_of, reduce_parts
from .team import call_on_team, team_size

_REDUCE_PARTS = cast(int, reduce_parts.address)
_CODES = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16}
_CPU = torch.device("cpu")
_ROW_BYTES = ROW_WORDS * 8
_CALL = struct.Struct(f"{JOB['tensors']}q")
"""What changes in a job from call to call; the rest follows."""
_REST = struct.Struct(f"{len(JOB) - JOB['tensors']}q")
_TENSOR = struct.Struct(f"{len(TENSOR)}q")
_INT = struct.Struct("i")


class NumbaReducer:
    """Reductions with one set of options; one thread at a time. See `TorchReducer`."""

    def __init__(self, *, threshold: float = 1.0, locate: bool = False) -> None:
        self._threshold = threshold
        self._locate = locate
        self._specification = TorchReducer(threshold=threshold, locate=locate)
        self._empty = empty_row(_CPU)
        self._bin_of_half = torch.from_numpy(BIN_OF_HALF)
        self._threshold_bits = -1 if threshold == 1.0 else bits_at_or_above(threshold)
        self._n_lines = self._n_partials = self._n_counters = 0
        self._job = np.zeros(len(JOB), dtype=np.int64)
        self._job_memory, self._job_address = self._job.data, self._job.ctypes.data
        self._make_room(n_tensors=64, n_parts=256, n_threads=1)

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        """Wake the loops: they were compiled, which takes seconds, or loaded from where numba keeps them on
        disk, when this module was imported."""
        table = empty_row(_CPU).clone().reshape(1, -1)
        self._merge_one(table, 0, torch.ones(1, dtype=torch.float32, device=_CPU), None)

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        """Merge the row of `tensor` into `rows[index]`; see `TorchReducer.reduce_into`."""
        readable = self._readable(tensor)
        if readable is not None:
            self._merge_one(rows, index, readable, inv_scale)
            return
        check_dtype(tensor)
        values, n_implicit, positions = explicit_values(tensor.detach())
        readable = None if positions is not None and self._locate else self._readable(values)
        if readable is None:
            self._specification.reduce_into(rows, index, tensor, inv_scale)
            return
        self._merge_one(rows, index, readable, inv_scale)
        if n_implicit:
            add_implied_zeros(rows.numpy()[index], n_implicit, self._threshold)

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        """Set `rows[i]` to the row of each tensor, whatever it held before."""
        readable = [self._readable(tensor) for tensor in tensors]
        pairs = [(i, values) for i, values in zip(indices, readable, strict=True) if values is not None]
        if len(pairs) > self._n_lines:
            self._make_room(n_tensors=len(pairs))
        table, n_parts = rows.data_ptr(), 0
        for line, (index, dense) in enumerate(pairs):
            n_parts += self._put(line, dense, table + index * _ROW_BYTES, n_parts)
        self._reduce(len(pairs), n_parts, inv_scale, replace=True)
        for index, tensor, values in zip(indices, tensors, readable, strict=True):
            if values is None:
                rows[index] = empty_row(_CPU)
                self.reduce_into(rows, index, tensor, inv_scale)

    def _readable(self, tensor: Tensor) -> Tensor | None:
        """The tensor such that memory holds its values in the order wanted; None: not for these loops."""
        if tensor.dtype not in _CODES or tensor.layout is not torch.strided or tensor.is_nested:
            return None
        if not tensor.is_cpu or tensor.is_neg() or not (tensor.data_ptr() or tensor.numel() == 0):
            return None
        if tensor.is_contiguous():
            return tensor
        ordered = in_memory_order(tensor.detach())
        return None if self._locate or not ordered.is_contiguous() else ordered

    def _merge_one(self, rows: Tensor, index: int, values: Tensor, inv_scale: Tensor | None) -> None:
        n_parts = self._put(0, values, rows.data_ptr() + index * _ROW_BYTES, 0)
        self._reduce(1, n_parts, inv_scale, replace=False)

    def _put(self, line: int, values: Tensor, row: int, first_part: int) -> int:
        """Fill a line of the table of tensors; how many parts its tensor has."""
        numel = values.numel()
        part, n_parts = _cut(numel)
        code = _CODES[values.dtype]
        at = line * _TENSOR.size
        _TENSOR.pack_into(self._lines_memory, at, values.data_ptr(), numel, code, row, part, first_part)
        return n_parts

    def _reduce(self, n_tensors: int, n_parts: int, inv_scale: Tensor | None, *, replace: bool) -> None:
        n_threads = 1 if n_parts <= 1 else team_size()
        if n_parts > self._n_partials or n_threads > self._n_counters:
            self._make_room(n_parts=n_parts, n_threads=n_threads)
        scaled = inv_scale is not None
        factor = 0 if inv_scale is None else _bits_of(inv_scale)
        _CALL.pack_into(self._job_memory, 0, 0, 0, 0, n_threads, n_parts, n_tensors, replace, scaled, factor)
        call_on_team(_REDUCE_PARTS, self._job_address, n_threads)

    def _make_room(self, n_tensors: int = 0, n_parts: int = 0, n_threads: int = 0) -> None:
        """Make what a job works with at least so large, and write to the job where it is."""
        if self._n_lines < n_tensors:
            self._n_lines = n_tensors
            self._lines = np.zeros((n_tensors, len(TENSOR)), dtype=np.int64)
            self._lines_memory = self._lines.data
        if self._n_partials < n_parts:
            self._n_partials = n_parts
            self._partials = np.zeros((n_parts, ROW_WORDS), dtype=np.int64)
        if self._n_counters < n_threads:
            self._n_counters = n_threads
            self._counters = np.zeros((n_threads, N_COUNTERS), dtype=np.uint32)
        _REST.pack_into(
            self._job_memory,
            _CALL.size,
            self._lines.ctypes.data,
            self._partials.ctypes.data,
            self._counters.ctypes.data,
            self._empty.data_ptr(),
            self._bin_of_half.data_ptr(),
            self._threshold_bits,
            self._locate,
        )


@lru_cache(1024)
def _cut(numel: int) -> tuple[int, int]:
    """Values of a part of a tensor, and how many parts it has."""
    part = part_of(numel)
    return part, n_parts_of(numel, part)


def _bits_of(inv_scale: Tensor) -> int:
    """The bits of a number as a float32; inf if it is larger."""
    bits: int = _INT.unpack(np.float32(inv_scale.item()).tobytes())[0]
    return bits
