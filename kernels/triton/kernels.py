# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""The two kernels: one tensor, or many, in one launch; each value is read once.

A tensor is cut into chunks, one program each. A program whose tensor is a single chunk writes the row. The
others add their histogram to a shared one (integers: the order does not matter), leave the rest of their
results as a partial, and count themselves; the last one to do so merges the partials in their order and
writes the row. It also clears what it used, so that the scratch is as empty after a launch as before.

    bytes moved: the tensors, 1 KiB a row, and 14 * 8 bytes a chunk written and read

Scratch belongs to one stream: launches on it follow each other.
"""

from __future__ import annotations

import triton
import triton.language as tl

from gradprof.kernels.bins import N_BINS
from gradprof.kernels.row import ROW_WORDS

from .chunk import reduce_chunk
from .gather import collect, publish
from .histogram import begin_histogram
from .partial import empty_partial, write_row

DTYPES = (tl.float32, tl.bfloat16, tl.float16, tl.float64)
"""What the kernels read; a tensor's code is its place here, and a set of dtypes the sum of 2**code."""

FLOAT64_CODE = 3
TENSOR_WORDS = 5
"""Words of a tensor's entry in the table of `reduce_many`: row, numel, code, first chunk, chunks."""

_N_DTYPES = tl.constexpr(len(DTYPES))
_FLOAT64 = tl.constexpr(1 << FLOAT64_CODE)
_TWO_BYTES = tl.constexpr(
    sum(1 << code for code, dtype in enumerate(DTYPES) if dtype.primitive_bitwidth == 16)
)
_TENSOR_WORDS = tl.constexpr(TENSOR_WORDS)
_N_BINS = tl.constexpr(N_BINS)
_ROW_WORDS = tl.constexpr(ROW_WORDS)


@triton.constexpr_function
def _dtype(code):
    return DTYPES[code]


@triton.jit
def reduce_tensor(
    address,
    numel,
    chunk,
    row,
    counter,
    histograms,
    partials,
    threshold32,
    threshold64,
    inv_scale,
    DTYPE_SET: tl.constexpr,
    SCALED: tl.constexpr,
    ABOVE: tl.constexpr,
    LOCATE: tl.constexpr,
    BLOCK: tl.constexpr,
    CAREFUL_BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):
    """Merge the row of `numel` values from `address` on into the row at `row`.

    Program p takes `chunk` values from p * chunk on. All arguments but the last seven are addresses or
    counts, int64.
    """
    index = tl.program_id(0).to(tl.int64)
    n_chunks = tl.num_programs(0)
    code = tl.full([], 0, tl.int64)
    for candidate in tl.static_range(_N_DTYPES):
        if DTYPE_SET == 1 << candidate:
            code += candidate
    _reduce_and_write(
        address.to(tl.int64),
        numel.to(tl.int64),
        code,
        index,
        chunk.to(tl.int64),
        n_chunks,
        row,
        counter,
        histograms,
        partials,
        index,
        n_chunks.to(tl.int64),
        threshold32,
        threshold64,
        inv_scale,
        DTYPE_SET,
        True,
        SCALED,
        ABOVE,
        LOCATE,
        BLOCK,
        CAREFUL_BLOCK,
        LANES,
    )


@triton.jit
def reduce_many(
    addresses,
    tensors,
    chunk_tensors,
    chunk,
    rows,
    counters,
    histograms,
    partials,
    threshold32,
    threshold64,
    inv_scale,
    DTYPE_SET: tl.constexpr,
    SCALED: tl.constexpr,
    ABOVE: tl.constexpr,
    LOCATE: tl.constexpr,
    BLOCK: tl.constexpr,
    CAREFUL_BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):
    """Set the rows of many tensors, whatever they held before.

    Args:
        addresses: of int64 [n_tensors], where each tensor begins.
        tensors: of int64 [n_tensors, 5], see `TENSOR_WORDS`.
        chunk_tensors: of int32 [n_chunks], the tensor that program p works on.
        rows: of int64 [n_sites, 144].
        counters, histograms, partials: of scratch, one each per tensor, per tensor, per chunk.
    """
    program = tl.program_id(0).to(tl.int64)
    tensor = tl.load(chunk_tensors.to(tl.pointer_type(tl.int32)) + program).to(tl.int64)
    entry = tensors.to(tl.pointer_type(tl.int64)) + tensor * _TENSOR_WORDS
    _reduce_and_write(
        tl.load(addresses.to(tl.pointer_type(tl.int64)) + tensor),
        tl.load(entry + 1),
        tl.load(entry + 2),
        program - tl.load(entry + 3),
        chunk.to(tl.int64),
        tl.load(entry + 4).to(tl.int32),
        rows + tl.load(entry) * (8 * _ROW_WORDS),
        counters + tensor * 8,
        histograms + tensor * (8 * _N_BINS),
        partials,
        program,
        tl.num_programs(0).to(tl.int64),
        threshold32,
        threshold64,
        inv_scale,
        DTYPE_SET,
        False,
        SCALED,
        ABOVE,
        LOCATE,
        BLOCK,
        CAREFUL_BLOCK,
        LANES,
    )


@triton.jit
def _reduce_and_write(
    address,
    numel,
    code,
    index,
    chunk,
    n_chunks,
    row,
    counter,
    histograms,
    partials,
    slot,
    n_slots,
    threshold32,
    threshold64,
    inv_scale,
    DTYPE_SET: tl.constexpr,
    MERGE: tl.constexpr,
    SCALED: tl.constexpr,
    ABOVE: tl.constexpr,
    LOCATE: tl.constexpr,
    BLOCK: tl.constexpr,
    CAREFUL_BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):
    """Chunk `index` of a tensor, and its row if this program is the last of the tensor's."""
    WIDE: tl.constexpr = (_FLOAT64 & DTYPE_SET) != 0
    WIDTH: tl.constexpr = 8 if (_TWO_BYTES & DTYPE_SET) != 0 else 4  # of 16 bytes
    offset = index * chunk
    n = tl.minimum(numel - offset, chunk).to(tl.int32)
    scale = tl.full([], 1, tl.float32)
    if SCALED:
        scale = tl.load(inv_scale.to(tl.pointer_type(tl.float32)))

    empty = begin_histogram()
    partial = empty_partial()
    histogram = tl.zeros([_N_BINS], tl.int64)
    for candidate in tl.static_range(_N_DTYPES):
        if DTYPE_SET & (1 << candidate):
            if code == candidate:
                DTYPE: tl.constexpr = _dtype(candidate)
                threshold = threshold32.to(tl.int32).to(tl.float32, bitcast=True)
                if DTYPE == tl.float64:
                    threshold = threshold64.to(tl.int64).to(tl.float64, bitcast=True)
                partial, histogram = reduce_chunk(
                    empty,
                    address + offset * (DTYPE.primitive_bitwidth // 8),
                    n,
                    offset,
                    threshold,
                    scale,
                    DTYPE,
                    SCALED,
                    ABOVE,
                    LOCATE,
                    BLOCK,
                    CAREFUL_BLOCK,
                    LANES,
                    WIDTH,
                )
    is_last = n_chunks == 1
    if n_chunks > 1:
        is_last = publish(partial, histogram, counter, histograms, partials, slot, n_slots, n_chunks, WIDE)
        if is_last:
            partial, histogram = collect(counter, histograms, partials, slot - index, n_slots, n_chunks, WIDE)
    if is_last:
        write_row(row.to(tl.pointer_type(tl.int64)), numel, partial, histogram, MERGE, WIDE)
