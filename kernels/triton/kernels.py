# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""The two kernels: one tensor, or many, in one launch; each value is read once.

A tensor is cut into chunks, one program each. A program whose tensor is a single chunk writes the row. The
others add their histogram to a shared one (integers: the order does not matter), leave the rest of their
results as a partial, and count themselves; the last one to do so adds the partials up in their order and
writes the row. It also clears what it used, so that the scratch is as empty after a launch as before.

    bytes moved: the tensors, 1 KiB a row, and 14 * 8 bytes a chunk written and read

Scratch belongs to one stream: launches on it follow each other.
"""

from __future__ import annotations

import triton
import triton.language as tl

from gradprof.kernels.bins import N_BINS
from gradprof.kernels.row import ROW_WORDS, WORD

from .chunk import NOWHERE, reduce_chunk
from .histogram import begin_histogram

DTYPES = (tl.float32, tl.bfloat16, tl.float16, tl.float64)
"""What the kernels read; a tensor's code is its place here, and a set of dtypes the sum of 2**code."""

FLOAT64_CODE = 3
N_PARTIALS = 14
"""Words of a partial: see `_publish`."""

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
_INF_BITS = tl.constexpr(0x7FF << 52)
_TILE = tl.constexpr(1024)

_N_OBS, _NUMEL, _N_ZERO = (tl.constexpr(WORD[name]) for name in ("n_obs", "numel", "n_zero"))
_N_NAN, _N_INF, _N_ABOVE = (tl.constexpr(WORD[name]) for name in ("n_nan", "n_inf", "n_above"))
_ARGMAX, _ABS_MAX, _ABS_MIN = (tl.constexpr(WORD[name]) for name in ("argmax", "abs_max", "abs_min"))
_SUM, _HIST = tl.constexpr(WORD["sum"]), tl.constexpr(WORD["hist"])


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

    results = _nothing()
    histogram = begin_histogram()
    for candidate in tl.static_range(_N_DTYPES):
        if DTYPE_SET & (1 << candidate):
            if code == candidate:
                DTYPE: tl.constexpr = _dtype(candidate)
                threshold = threshold32.to(tl.int32).to(tl.float32, bitcast=True)
                if DTYPE == tl.float64:
                    threshold = threshold64.to(tl.int64).to(tl.float64, bitcast=True)
                results = reduce_chunk(
                    histogram,
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
        is_last = _publish(results, counter, histograms, partials, slot, n_slots, n_chunks, WIDE)
        if is_last:
            results = _collect(counter, histograms, partials, slot - index, n_slots, n_chunks, WIDE)
    if is_last:
        _write_row(row.to(tl.pointer_type(tl.int64)), numel, results, MERGE, WIDE)


@triton.jit
def _nothing():
    """The results of no values at all."""
    no = tl.full([], 0, tl.int64)
    zero = tl.full([], 0, tl.float64)
    return (
        no,
        no,
        no,
        no,
        no,
        tl.full([], _INF_BITS, tl.int64),
        tl.full([], NOWHERE, tl.int64),
        tl.zeros([_N_BINS], tl.int64),
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
    )


@triton.jit
def _publish(results, counter, histograms, partials, slot, n_slots, n_chunks, WIDE: tl.constexpr):
    """Leave a chunk's results for the last program of its tensor; whether this is it."""
    bins = histograms.to(tl.pointer_type(tl.int64)) + tl.arange(0, _N_BINS)
    tl.atomic_add(bins, results[7], mask=results[7] != 0, sem="relaxed")
    partial = partials.to(tl.pointer_type(tl.int64)) + slot
    for i in tl.static_range(7):
        tl.store(partial + i * n_slots, results[i])
    for i in tl.static_range(7 if WIDE else 3):
        tl.store(partial + (7 + i) * n_slots, results[8 + i].to(tl.int64, bitcast=True))
    tl.debug_barrier()  # what all threads wrote comes before what one thread now announces
    before = tl.atomic_add(counter.to(tl.pointer_type(tl.int64)), 1, sem="acq_rel")
    return before == n_chunks - 1


@triton.jit
def _collect(counter, histograms, partials, first_slot, n_slots, n_chunks, WIDE: tl.constexpr):
    """The results of all chunks of a tensor; the counter and the histogram are cleared."""
    bins = histograms.to(tl.pointer_type(tl.int64)) + tl.arange(0, _N_BINS)
    histogram = tl.load(bins, cache_modifier=".cg")
    tl.debug_barrier()
    tl.store(bins, tl.zeros([_N_BINS], tl.int64))
    tl.store(counter.to(tl.pointer_type(tl.int64)), tl.full([], 0, tl.int64))

    first = partials.to(tl.pointer_type(tl.int64)) + first_slot
    n_zero = tl.full([], 0, tl.int64)
    n_nan = tl.full([], 0, tl.int64)
    n_inf = tl.full([], 0, tl.int64)
    n_above = tl.full([], 0, tl.int64)
    largest = tl.full([], 0, tl.int64)
    smallest = tl.full([], _INF_BITS, tl.int64)
    at = tl.full([], NOWHERE, tl.int64)
    total = tl.full([], 0, tl.float64)
    abs_total = tl.full([], 0, tl.float64)
    square = tl.full([], 0, tl.float64)
    total_big = tl.full([], 0, tl.float64)
    abs_total_big = tl.full([], 0, tl.float64)
    square_big = tl.full([], 0, tl.float64)
    square_small = tl.full([], 0, tl.float64)
    for i in range(0, n_chunks, _TILE):
        chunks = i + tl.arange(0, _TILE)
        inside = chunks < n_chunks
        words = first + chunks
        n_zero += _sum_of_counts(words, inside)
        n_nan += _sum_of_counts(words + n_slots, inside)
        n_inf += _sum_of_counts(words + 2 * n_slots, inside)
        n_above += _sum_of_counts(words + 3 * n_slots, inside)
        chunk_largest = tl.load(words + 4 * n_slots, mask=inside, other=0, cache_modifier=".cg")
        chunk_smallest = tl.load(words + 5 * n_slots, mask=inside, other=_INF_BITS, cache_modifier=".cg")
        chunk_at = tl.load(words + 6 * n_slots, mask=inside, other=NOWHERE, cache_modifier=".cg")
        tile_largest = tl.max(chunk_largest, 0)
        tile_at = tl.min(tl.where(chunk_largest == tile_largest, chunk_at, NOWHERE), 0)
        at = tl.where(
            tile_largest > largest, tile_at, tl.where(tile_largest < largest, at, tl.minimum(at, tile_at))
        )
        largest = tl.maximum(largest, tile_largest)
        smallest = tl.minimum(smallest, tl.min(chunk_smallest, 0))
        total += _sum_of_sums(words + 7 * n_slots, inside)
        abs_total += _sum_of_sums(words + 8 * n_slots, inside)
        square += _sum_of_sums(words + 9 * n_slots, inside)
        if WIDE:
            total_big += _sum_of_sums(words + 10 * n_slots, inside)
            abs_total_big += _sum_of_sums(words + 11 * n_slots, inside)
            square_big += _sum_of_sums(words + 12 * n_slots, inside)
            square_small += _sum_of_sums(words + 13 * n_slots, inside)
    return (
        n_zero,
        n_nan,
        n_inf,
        n_above,
        largest,
        smallest,
        at,
        histogram,
        total,
        abs_total,
        square,
        total_big,
        abs_total_big,
        square_big,
        square_small,
    )


@triton.jit
def _sum_of_counts(words, inside):
    return tl.sum(tl.load(words, mask=inside, other=0, cache_modifier=".cg"), 0)


@triton.jit
def _sum_of_sums(words, inside):
    bits = tl.load(words, mask=inside, other=0, cache_modifier=".cg")
    return tl.sum(bits.to(tl.float64, bitcast=True), 0)


@triton.jit
def _write_row(row, numel, results, MERGE: tl.constexpr, WIDE: tl.constexpr):
    """Set the row, or merge into it as `row.merge_rows` does."""
    at = tl.where(results[6] == NOWHERE, -1, results[6])
    largest = results[4]
    smallest = results[5]
    n_obs = tl.full([], 1, tl.int64)
    if MERGE:
        old_largest = tl.load(row + _ABS_MAX)
        old_at = tl.load(row + _ARGMAX)
        at = tl.where((old_at < 0) | (largest > old_largest), at, old_at)
        largest = tl.maximum(largest, old_largest)
        smallest = tl.minimum(smallest, tl.load(row + _ABS_MIN))
    _write_count(row + _N_OBS, n_obs, MERGE)
    _write_count(row + _NUMEL, numel, MERGE)
    _write_count(row + _N_ZERO, results[0], MERGE)
    _write_count(row + _N_NAN, results[1], MERGE)
    _write_count(row + _N_INF, results[2], MERGE)
    _write_count(row + _N_ABOVE, results[3], MERGE)
    tl.store(row + _ARGMAX, at)
    tl.store(row + _ABS_MAX, largest)
    tl.store(row + _ABS_MIN, smallest)
    for i in tl.static_range(7):
        if MERGE:
            if i < 3 or WIDE:
                before = tl.load(row + _SUM + i).to(tl.float64, bitcast=True)
                tl.store(row + _SUM + i, (before + results[8 + i]).to(tl.int64, bitcast=True))
        else:
            tl.store(row + _SUM + i, results[8 + i].to(tl.int64, bitcast=True))
    _write_count(row + _HIST + tl.arange(0, _N_BINS), results[7], MERGE)


@triton.jit
def _write_count(words, counts, MERGE: tl.constexpr):
    if MERGE:
        counts += tl.load(words)
    tl.store(words, counts)
