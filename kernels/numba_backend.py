"""Reductions on a CPU by loops that numba compiles: the same rows as `torch_backend`, several times cheaper.

    reducer = NumbaReducer(threshold=1.0)
    reducer.prepare({torch.float32}, scaled=False)      # compiles, or finds it on disk
    reducer.reduce_into(rows, index, tensor)
    reducer.replace_many(rows, indices, tensors)        # all in one call

float32 and bfloat16 tensors without gaps are read where they lie, with the interpreter lock released.
Everything else is left to `TorchReducer`, which is the specification.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from .layouts import check_dtype, explicit_values, in_memory_order
from .numba_loops import BFLOAT16, BIN_OF_HALF, BLOCK, FLOAT32, N_COUNTERS, reduce_tensors
from .torch_backend import TorchReducer, add_implied_zeros, empty_row
from .torch_cpu import bits_at_or_above

_CODES = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16}
_CPU = torch.device("cpu")


class NumbaReducer:
    """Reductions with one set of options; one thread at a time. See `TorchReducer`."""

    def __init__(self, *, threshold: float = 1.0, locate: bool = False) -> None:
        self._threshold_bits = -1 if threshold == 1.0 else bits_at_or_above(threshold)
        self._threshold = threshold
        self._locate = locate
        self._specification = TorchReducer(threshold=threshold, locate=locate)
        self._empty = empty_row(_CPU).numpy()
        self._counters = np.empty(N_COUNTERS, dtype=np.uint32)
        self._scratch = np.empty(BLOCK, dtype=np.float32)

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        """Compile the loops, which takes seconds, or load them from where numba keeps them on disk."""
        table = empty_row(_CPU).clone().reshape(1, -1)
        self._reduce(table, [0], [torch.ones(1, dtype=torch.float32, device=_CPU)], None, replace=True)

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        """Merge the row of `tensor` into `rows[index]`; see `TorchReducer.reduce_into`."""
        check_dtype(tensor)
        values, n_implicit, positions = explicit_values(tensor.detach())
        readable = self._readable(values)
        if readable is None or (positions is not None and self._locate):
            self._specification.reduce_into(rows, index, tensor, inv_scale)
            return
        self._reduce(rows, [index], [readable], inv_scale, replace=False)
        if n_implicit:
            add_implied_zeros(rows.numpy()[index], n_implicit, self._threshold)

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        """Set `rows[i]` to the row of each tensor, whatever it held before."""
        readable = [self._readable(tensor.detach()) for tensor in tensors]
        pairs = [(i, values) for i, values in zip(indices, readable, strict=True) if values is not None]
        self._reduce(rows, [i for i, _ in pairs], [values for _, values in pairs], inv_scale, replace=True)
        for index, tensor, values in zip(indices, tensors, readable, strict=True):
            if values is None:
                rows[index] = empty_row(_CPU)
                self.reduce_into(rows, index, tensor, inv_scale)

    def _readable(self, tensor: Tensor) -> Tensor | None:
        """The tensor such that memory holds its values in the order wanted; None: not for these loops."""
        if tensor.dtype not in _CODES or tensor.layout != torch.strided or tensor.is_nested:
            return None
        if tensor.device != _CPU or (tensor.numel() and not tensor.data_ptr()):
            return None
        if not tensor.is_contiguous():
            if self._locate:
                return None
            tensor = in_memory_order(tensor)
            if not tensor.is_contiguous():
                return None
        return None if tensor.is_neg() else tensor

    def _reduce(
        self,
        rows: Tensor,
        indices: Sequence[int],
        tensors: Sequence[Tensor],
        inv_scale: Tensor | None,
        *,
        replace: bool,
    ) -> None:
        words = rows.numpy()
        reduce_tensors(
            np.array([tensor.data_ptr() for tensor in tensors], dtype=np.int64),
            np.array([tensor.numel() for tensor in tensors], dtype=np.int64),
            np.array([_CODES[tensor.dtype] for tensor in tensors], dtype=np.int64),
            np.array(indices, dtype=np.int64),
            words,
            words.view(np.float64),
            self._empty,
            replace,
            self._threshold_bits,
            np.float32(1.0 if inv_scale is None else float(inv_scale)),
            inv_scale is not None,
            self._locate,
            BIN_OF_HALF,
            self._counters,
            self._scratch,
        )
