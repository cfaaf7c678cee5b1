"""Reductions on a CPU by loops that numba compiles: the same rows as `torch_backend`, many times cheaper.

    reducer = NumbaReducer(threshold=1.0)
    reducer.prepare({torch.float32}, scaled=False)      # compiles, or finds it on disk
    reducer.reduce_into(rows, index, tensor)
    reducer.replace_many(rows, indices, tensors)        # all in one call

float32 and bfloat16 tensors without gaps are read where they lie, by torch's own threads, with the
interpreter lock released. Everything else is left to `TorchReducer`, which is the specification.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from .layouts import check_dtype, explicit_values, in_memory_order
from .numba_loops import BFLOAT16, BIN_OF_HALF, FLOAT32
from .numba_parts import JOB, TENSOR, n_parts_of, part_of, reduce_parts
from .row import ROW_WORDS
from .thread_team import call_alone, call_on_team
from .torch_backend import TorchReducer, add_implied_zeros, empty_row
from .torch_cpu import bits_at_or_above

_REDUCE_PARTS = cast(int, reduce_parts.address)
_CODES = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16}
_CPU = torch.device("cpu")
_ROW_BYTES = ROW_WORDS * 8
_JOB = struct.Struct(f"{len(JOB)}q")
_TENSOR = struct.Struct(f"{len(TENSOR)}q")
_INT = struct.Struct("i")


class NumbaReducer:
    """Reductions with one set of options; one thread at a time. See `TorchReducer`."""

    def __init__(self, *, threshold: float = 1.0, locate: bool = False) -> None:
        self._threshold = threshold
        self._locate = locate
        self._specification = TorchReducer(threshold=threshold, locate=locate)
        self._empty = empty_row(_CPU)
        self._bins = torch.from_numpy(BIN_OF_HALF)
        self._threshold_bits = -1 if threshold == 1.0 else bits_at_or_above(threshold)
        # Their addresses are part of every job.
        self._job = np.zeros(len(JOB), dtype=np.int64)
        self._job_address = self._job.ctypes.data
        self._lines = np.zeros((0, len(TENSOR)), dtype=np.int64)
        self._lines_address = 0
        self._partials = np.zeros((0, ROW_WORDS), dtype=np.int64)
        self._partials_address = 0
        self._make_room(n_tensors=64, n_parts=256)

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        """Wake the loops: they were compiled, which takes seconds, or loaded from where numba keeps them on
        disk, when this module was imported."""
        table = empty_row(_CPU).clone().reshape(1, -1)
        self._reduce(table, [0], [torch.ones(1, dtype=torch.float32, device=_CPU)], None, replace=True)

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        """Merge the row of `tensor` into `rows[index]`; see `TorchReducer.reduce_into`."""
        readable = self._readable(tensor)
        if readable is not None:
            self._reduce(rows, (index,), (readable,), inv_scale, replace=False)
            return
        check_dtype(tensor)
        values, n_implicit, positions = explicit_values(tensor.detach())
        readable = None if positions is not None and self._locate else self._readable(values)
        if readable is None:
            self._specification.reduce_into(rows, index, tensor, inv_scale)
            return
        self._reduce(rows, (index,), (readable,), inv_scale, replace=False)
        if n_implicit:
            add_implied_zeros(rows.numpy()[index], n_implicit, self._threshold)

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        """Set `rows[i]` to the row of each tensor, whatever it held before."""
        readable = [self._readable(tensor) for tensor in tensors]
        pairs = [(i, values) for i, values in zip(indices, readable, strict=True) if values is not None]
        self._reduce(rows, [i for i, _ in pairs], [values for _, values in pairs], inv_scale, replace=True)
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

    def _reduce(
        self,
        rows: Tensor,
        indices: Sequence[int],
        tensors: Sequence[Tensor],
        inv_scale: Tensor | None,
        *,
        replace: bool,
    ) -> None:
        self._make_room(n_tensors=len(tensors))
        n_parts = 0
        table = rows.data_ptr()
        for i, (index, tensor) in enumerate(zip(indices, tensors, strict=True)):
            numel = tensor.numel()
            part = part_of(numel)
            _TENSOR.pack_into(
                self._lines.data,
                i * _TENSOR.size,
                tensor.data_ptr(),
                numel,
                _CODES[tensor.dtype],
                table + index * _ROW_BYTES,
                part,
                n_parts,
            )
            n_parts += n_parts_of(numel, part)
        self._make_room(n_parts=n_parts)
        _JOB.pack_into(
            self._job.data,
            0,
            0,
            0,
            n_parts,
            len(tensors),
            self._lines_address,
            self._partials_address,
            self._empty.data_ptr(),
            self._bins.data_ptr(),
            self._threshold_bits,
            0 if inv_scale is None else _bits_of(inv_scale),
            inv_scale is not None,
            self._locate,
            replace,
        )
        call = call_alone if n_parts == 1 else call_on_team
        call(_REDUCE_PARTS, self._job_address)

    def _make_room(self, n_tensors: int = 0, n_parts: int = 0) -> None:
        if len(self._lines) < n_tensors:
            self._lines = np.zeros((n_tensors, len(TENSOR)), dtype=np.int64)
            self._lines_address = self._lines.ctypes.data
        if len(self._partials) < n_parts:
            self._partials = np.zeros((n_parts, ROW_WORDS), dtype=np.int64)
            self._partials_address = self._partials.ctypes.data


def _bits_of(inv_scale: Tensor) -> int:
    """The bits of a number as a float32; inf if it is larger."""
    bits: int = _INT.unpack(np.float32(inv_scale.item()).tobytes())[0]
    return bits
