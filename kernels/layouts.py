"""From any tensor to the real numbers that it stores: layouts, strides, dtypes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from .row import WORD


def check_dtype(tensor: Tensor) -> None:
    """Raise TypeError unless the dtype is floating or complex."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        raise TypeError(
            f"cannot reduce a tensor of {tensor.dtype}: expected a floating or complex dtype; "
            "convert it first, for instance with .float()"
        )


def explicit_values(tensor: Tensor) -> tuple[Tensor, int, Tensor | None]:
    """The stored values, how many zeros are implied beside them, and where they stand (if sparse)."""
    if tensor.is_nested:
        if tensor.layout == torch.jagged and tensor.is_contiguous():
            return tensor.values(), 0, None
        parts = [part.reshape(-1) for part in tensor.unbind()]  # values() would show what is cut off
        if not parts:
            return torch.empty(0, dtype=tensor.dtype, device=tensor.device), 0, None
        return torch.cat(parts), 0, None
    if tensor.layout == torch.strided:
        return tensor, 0, None
    if tensor.layout == torch._mkldnn:  # type: ignore[attr-defined]
        return tensor.to_dense(), 0, None
    coalesced = (tensor if tensor.layout == torch.sparse_coo else tensor.to_sparse_coo()).coalesce()
    values = coalesced.values()
    return values, tensor.numel() - values.numel(), coalesced.indices()


def in_memory_order(tensor: Tensor) -> Tensor:
    """The same elements with dimensions sorted by stride, so that dense memory is read in its order."""
    if tensor.is_contiguous():
        return tensor
    order = sorted(range(tensor.dim()), key=lambda dim: tensor.stride(dim), reverse=True)
    return tensor.permute(order)


def chunks(tensor: Tensor, size: int) -> Iterator[Tensor]:
    """Flat pieces of at most `size` elements, in order; only a piece is ever copied."""
    if tensor.numel() == 0:
        return
    if tensor.numel() <= size:
        yield tensor.reshape(-1)
    elif tensor.is_contiguous():
        yield from tensor.view(-1).split(size)
    else:
        row_numel = tensor.numel() // tensor.shape[0]
        if row_numel > size:
            for part in tensor.unbind(0):
                yield from chunks(part, size)
        else:
            for part in tensor.split(size // row_numel):
                yield part.reshape(-1)


def is_narrow(dtype: torch.dtype) -> bool:
    """Whether every value of `dtype` is a float32."""
    return not dtype.is_complex and dtype != torch.float64


def as_real(chunk: Tensor, inv_scale: Tensor | None) -> Tensor:
    """A contiguous chunk of float32 (exact for every narrower type) or float64 (it and complex)."""
    chunk = chunk.resolve_neg().contiguous()  # a lazily negated tensor cannot show its bits
    if chunk.is_complex():
        chunk = chunk.to(torch.complex128)
        chunk = torch.hypot(chunk.real, chunk.imag)
    elif chunk.dtype not in (torch.float32, torch.float64):
        chunk = chunk.to(torch.float32)
    return chunk if inv_scale is None else chunk * inv_scale.to(chunk.dtype)


def to_dense_index(partial: Tensor, indices: Tensor, tensor: Tensor) -> None:
    """Turn the position of the maximum among a sparse tensor's values into its dense flat index.

    Where the maximum is 0, the first implied zero may stand before the first stored one.
    """
    numel, n_stored = tensor.numel(), indices.shape[1]
    if numel == 0:
        return
    found = partial[WORD["argmax"]]
    stored = first_gap = torch.zeros_like(found)
    if n_stored:
        n_dense = math.prod(tensor.shape[indices.shape[0] :])
        entries = torch.zeros_like(indices[0])
        for extent, position in zip(tensor.shape, indices, strict=False):
            entries = entries * extent + position
        entry = entries.index_select(0, (found.clamp(min=0) // n_dense).reshape(1))[0]
        stored = torch.where(found < 0, numel, entry * n_dense + found % n_dense)
        ordinal = positions(entries)
        first_gap = torch.where(entries == ordinal, n_stored, ordinal).min() * n_dense
    first = torch.where(partial[WORD["abs_max"]] == 0, torch.minimum(stored, first_gap), stored)
    partial[WORD["argmax"]] = torch.where(first < numel, first, -1)


def positions(x: Tensor) -> Tensor:
    return torch.arange(x.numel(), device=x.device)
