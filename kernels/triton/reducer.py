"""Reductions by Triton: the same rows as `torch/reducer`, each value read once, in one launch.

    reducer = TritonReducer(device, threshold=1.0)
    reducer.prepare({torch.float32}, scaled=False)      # compiles; nothing later does
    reducer.reduce_into(rows, index, tensor)            # one launch
    reducer.replace_many(rows, indices, tensors)        # one launch for all

Counts, extrema and histogram equal those of `TorchReducer` bit for bit, sums to well within the contract.
Memory is read in its own order; only tensors with gaps or repetitions, lazily negated ones, and dtypes
that the kernels do not know (complex, float8) are copied first. Nothing waits for the device, and nothing
is allocated once the same tensors have been seen on the same stream.

Not to be captured in a CUDA graph: tables and scratch belong to a stream, whose launches follow each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradprof.kernels.float32_bits import bits_at_or_above
from gradprof.kernels.layouts import as_real, check_dtype, explicit_values, in_memory_order
from gradprof.kernels.row import ROW_WORDS
from gradprof.kernels.torch.reducer import TorchReducer, add_implied_zeros, empty_row

from .compiler import Config, Launch, Variant, config_of, launcher
from .histogram import INTERPRETED
from .kernels import reduce_many, reduce_tensor
from .tables import Entry, Plan, Scratch

CODES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2, torch.float64: 3}
"""Of the dtypes that the kernels read, see `kernels.DTYPES`."""


class TritonReducer:
    """Reductions on one device with one set of options; one thread at a time.

    Args:
        device: a CUDA device (the current one, if it has no index), or the CPU in Triton's interpreter.
        threshold: `n_above` counts finite magnitudes >= threshold, compared as exact real numbers.
        locate: also find the smallest flat index at which `abs_max` stands.
        config: how the device is used, instead of what was chosen for it.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        threshold: float = 1.0,
        locate: bool = False,
        config: Config | None = None,
    ) -> None:
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        self.device = device
        self._config = config or config_of(device)
        self._threshold = threshold
        self._threshold_bits = (bits_at_or_above(threshold), int(np.float64(threshold).view(np.int64)))
        self._locate = locate
        self._specification = TorchReducer(threshold=threshold, locate=locate)
        self._launchers: dict[tuple[Any, int, bool], Launch] = {}
        self._scratch: dict[int, Scratch] = {}
        self._prepared = 0
        self._plans: dict[tuple[int, ...], Plan] = {}

    def prepare(self, dtypes: Collection[torch.dtype], scaled: bool) -> None:
        """Compile what single tensors of any dtype take, and many of `dtypes` in one launch."""
        if INTERPRETED:
            return
        for code in CODES.values():
            self._launcher(reduce_tensor, 1 << code, scaled)
        if dtypes:
            self._prepared = _dtype_set(map(_code, dtypes))
            self._launcher(reduce_many, self._prepared, scaled)

    def reduce_into(self, rows: Tensor, index: int, tensor: Tensor, inv_scale: Tensor | None = None) -> None:
        """Merge the row of `tensor` into `rows[index]`; see `TorchReducer.reduce_into`.

        Args:
            inv_scale: 0-dim float32 on the device.
        """
        check_dtype(tensor)
        if self._locate and not _is_strided(tensor):
            self._specification.reduce_into(rows, index, tensor, inv_scale)
            return
        values, n_implicit, _ = explicit_values(tensor.detach())
        values = self._readable(values)
        numel = values.numel()
        code = CODES[values.dtype]
        blocks = max(1, -(-numel // self._config.block))
        least = 1 if values.data_ptr() % 16 == 0 else 4  # blocks are read from 16-byte boundaries on
        chunk = max(-(-blocks // self._config.programs), least) * self._config.block
        n_chunks = max(1, -(-numel // chunk))
        scratch = self._scratch_of_stream()
        arguments = (
            values.data_ptr(),
            numel,
            chunk,
            rows.data_ptr() + 8 * ROW_WORDS * index,
            *scratch.addresses,
            *self._threshold_bits,
            0 if inv_scale is None else inv_scale.data_ptr(),
        )
        with _current(self.device):
            self._launcher(reduce_tensor, 1 << code, inv_scale is not None)(n_chunks, arguments)
        if n_implicit:
            add_implied_zeros(rows[index], n_implicit, self._threshold)

    def replace_many(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None = None
    ) -> None:
        """Set `rows[i]` to the row of each tensor, whatever it held before.

        One launch does all that are not sparse.
        """
        plan = self._plans.get((_stream(self.device), *indices))
        if plan is None or not plan.reads_in_place(tensors):
            tensors, plan = self._planned(rows, indices, tensors, inv_scale)
        if plan is None:
            return
        with _current(self.device):
            arguments = (
                *plan.arguments(list(map(Tensor.data_ptr, tensors)), rows),
                *self._threshold_bits,
                0 if inv_scale is None else inv_scale.data_ptr(),
            )
            # What was prepared reads these dtypes, too, if others were expected beside them.
            dtype_set = plan.dtype_set if plan.dtype_set & ~self._prepared else self._prepared
            self._launcher(reduce_many, dtype_set, inv_scale is not None)(plan.n_chunks, arguments)

    def _planned(
        self, rows: Tensor, indices: list[int], tensors: list[Tensor], inv_scale: Tensor | None
    ) -> tuple[list[Tensor], Plan | None]:
        """What to read for the strided ones of `tensors`, and how; the others are reduced here."""
        readable = []
        entries = []
        for index, tensor in zip(indices, tensors, strict=True):
            check_dtype(tensor)
            if _is_strided(tensor):
                readable.append(self._readable(tensor.detach()))
                entries.append(Entry(index, readable[-1].numel(), CODES[readable[-1].dtype]))
            else:
                rows[index] = empty_row(rows.device)
                self.reduce_into(rows, index, tensor, inv_scale)
        if not entries:
            return [], None
        in_place = len(readable) == len(tensors) and all(
            a.data_ptr() == b.data_ptr() for a, b in zip(readable, tensors, strict=True)
        )
        return readable, self._plan(tuple(entries), tensors if in_place else [])

    def _launcher(self, kernel: Any, dtype_set: int, scaled: bool) -> Launch:
        found = self._launchers.get((kernel, dtype_set, scaled))
        if found is None:
            variant = Variant(dtype_set, scaled, above=self._threshold != 1, locate=self._locate)
            found = launcher(kernel, self.device, variant, self._config)
            self._launchers[kernel, dtype_set, scaled] = found
        return found

    def _readable(self, values: Tensor) -> Tensor:
        """The same values without gaps, in a dtype that the kernels read; in logical order for `locate`."""
        if values.dtype not in CODES or values.is_neg():
            values = as_real(values, None)
        if not self._locate:
            values = in_memory_order(values)
        values = values.contiguous()
        if values.numel() and not values.data_ptr():
            raise TypeError(f"cannot reduce a {type(values).__name__}: it has no memory of its own")
        return values

    def _scratch_of_stream(self) -> Scratch:
        stream = _stream(self.device)
        if stream not in self._scratch:
            self._scratch[stream] = Scratch(1, self._config.programs, self.device)
        return self._scratch[stream]

    def _plan(self, entries: tuple[Entry, ...], in_place: list[Tensor]) -> Plan:
        """The tables of these tensors on the current stream."""
        key = (_stream(self.device), *(entry.row for entry in entries))
        plan = self._plans.pop(key, None)
        if plan is None or plan.entries != entries:
            dtype_set = _dtype_set(entry.code for entry in entries)
            plan = Plan(entries, dtype_set, self._config, self.device)
        if len(self._plans) == _MOST_PLANS:
            del self._plans[next(iter(self._plans))]
        self._plans[key] = plan
        plan.take_in_place(in_place)
        return plan


_MOST_PLANS = 8
"""Kept at a time: training that touches other parameters in every step would else fill the memory."""


def _is_strided(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_nested


def _code(dtype: torch.dtype) -> int:
    """Of the dtype as which tensors of `dtype` are read."""
    if dtype in CODES:
        return CODES[dtype]
    return CODES[torch.float64 if dtype.is_complex else torch.float32]


def _dtype_set(codes: Iterable[int]) -> int:
    return sum(1 << code for code in set(codes))


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Triton launches on the current device."""
    if device.type == "cpu" or torch.cuda.current_device() == device.index:
        return nullcontext()
    return torch.cuda.device(device)


def _stream(device: torch.device) -> int:
    return 0 if device.type == "cpu" else torch._C._cuda_getCurrentRawStream(device.index)
