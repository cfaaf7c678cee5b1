"""What the kernels find on the device beside the tensors: scratch, and the tables of many tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradprof.kernels.bins import N_BINS

from .compiler import Config
from .partial import N_WORDS

_WAVES = 4
"""Chunks for each program that a device runs at once: with fewer, the last ones leave it half idle."""

_LEAST_BLOCKS, _MOST_BLOCKS = 4, 256
"""Of a chunk. Below, starting it costs more than reading it; above, partials are few enough anyway."""

_BUFFERS = 16


class Scratch:
    """Where programs meet: empty before and after every launch, for one stream."""

    def __init__(self, n_tensors: int, n_chunks: int, device: torch.device) -> None:
        self._zeroed = torch.zeros(n_tensors * (1 + N_BINS), dtype=torch.int64, device=device)
        self._partials = torch.empty(N_WORDS * n_chunks, dtype=torch.int64, device=device)
        counters = self._zeroed.data_ptr()
        self.addresses = (counters, counters + 8 * n_tensors, self._partials.data_ptr())
        """Of the counters, the histograms and the partials."""


class Entry(NamedTuple):
    """One of many tensors: its row, its size, and the code of its dtype."""

    row: int
    numel: int
    code: int


class Plan:
    """How one launch reduces many tensors, for one stream; only their addresses change."""

    def __init__(
        self,
        entries: tuple[Entry, ...],
        dtype_set: int,
        config: Config,
        device: torch.device,
    ) -> None:
        self.entries = entries
        self.dtype_set = dtype_set
        self.take_in_place([])
        numel = np.array([entry.numel for entry in entries], dtype=np.int64)
        self.chunk = _chunk_size(int(numel.sum()), config)
        n_chunks = np.maximum(1, -(-numel // self.chunk))  # an empty tensor has a row, too
        largest_first = np.argsort(-numel, kind="stable")  # the small ones fill the gaps at the end
        first = np.empty_like(n_chunks)
        first[largest_first] = np.cumsum(n_chunks[largest_first]) - n_chunks[largest_first]
        self.n_chunks = int(n_chunks.sum())
        rows = [entry.row for entry in entries]
        codes = [entry.code for entry in entries]
        self._tensors = _on_device(np.stack([rows, numel, codes, first, n_chunks], axis=1), device)
        chunk_tensors = np.repeat(largest_first, n_chunks[largest_first]).astype(np.int32)
        self._chunk_tensors = _on_device(chunk_tensors, device)
        self._scratch = Scratch(len(entries), self.n_chunks, device)
        self._addresses = Addresses(len(entries), device)

    def take_in_place(self, tensors: list[Tensor]) -> None:
        """These can be read where they lie, without copies; none: not all can."""
        self._layouts = _layouts(tensors)
        self._n_empty = sum(tensor.numel() == 0 for tensor in tensors)

    def reads_in_place(self, tensors: list[Tensor]) -> bool:
        """Whether these lie in memory as those did which could be read there."""
        try:
            return (
                self._layouts == _layouts(tensors)
                and not any(map(Tensor.is_neg, tensors))
                and list(map(Tensor.data_ptr, tensors)).count(0) == self._n_empty
            )
        except RuntimeError:  # a sparse tensor has no strides
            return False

    def arguments(self, addresses: list[int], rows: Tensor) -> tuple[int, ...]:
        """Of `reduce_many`, up to the scratch, for tensors that begin at these addresses."""
        return (
            self._addresses.update(addresses),
            self._tensors.data_ptr(),
            self._chunk_tensors.data_ptr(),
            self.chunk,
            rows.data_ptr(),
            *self._scratch.addresses,
        )


class Addresses:
    """Addresses on the device, int64 `[n]`, sent there only if one changed."""

    def __init__(self, n: int, device: torch.device) -> None:
        on_cuda = device.type == "cuda"
        n_buffers = _BUFFERS if on_cuda else 1
        self._sent: list[int] = []
        self._on_device = torch.zeros(n, dtype=torch.int64, device=device)
        self._buffers = torch.zeros(n_buffers, n, dtype=torch.int64, device="cpu", pin_memory=on_cuda)
        self._copied: list[torch.cuda.Event | None] = [None] * n_buffers
        self._next = 0

    def update(self, addresses: list[int]) -> int:
        """Where the table stands; what copies it runs on the current stream."""
        if addresses != self._sent:
            self._send(addresses)
            self._sent = addresses
        return self._on_device.data_ptr()

    def _send(self, addresses: list[int]) -> None:
        turn = self._next
        self._next = (turn + 1) % len(self._buffers)
        on_cuda = self._on_device.device.type == "cuda"
        copied = self._copied[turn]
        if copied is not None:
            copied.synchronize()  # over for long, unless the device is 16 updates behind
        self._buffers[turn].numpy()[:] = addresses
        self._on_device.copy_(self._buffers[turn], non_blocking=on_cuda)
        if on_cuda:
            self._copied[turn] = torch.cuda.current_stream(self._on_device.device).record_event()


def _layouts(tensors: list[Tensor]) -> list[object]:
    """A fifth of a microsecond a tensor, at every step."""
    shapes = [tensor.shape for tensor in tensors]
    return [shapes, list(map(Tensor.stride, tensors)), [tensor.dtype for tensor in tensors]]


def _chunk_size(numel: int, config: Config) -> int:
    per_program = numel / (_WAVES * config.programs * config.block)
    return config.block * min(max(int(per_program) + 1, _LEAST_BLOCKS), _MOST_BLOCKS)


def _on_device(array: npt.NDArray[np.integer], device: torch.device) -> Tensor:
    """Without making the host wait: torch keeps the pinned copy until it has been read."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
