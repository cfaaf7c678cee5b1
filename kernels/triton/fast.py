# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""The fast pass: whole aligned blocks in float32, without a mask and without a test; see `chunk`."""

from __future__ import annotations

import triton
import triton.language as tl

from gradprof.kernels.bins import BIN_EDGES

from .block import thread_max, thread_min, thread_sum, thread_sum_of_squares, widened
from .histogram import count_bins, wrapped_offsets
from .partial import INF_BITS, NOWHERE, Partial, Sums

_FIRST_EDGE = tl.constexpr(float(BIN_EDGES[1]))
_LAST_EDGE = tl.constexpr(float(BIN_EDGES[128]))
_SAFE_SQUARE = tl.constexpr(2.0**-126)
_NO_NONZERO = tl.constexpr(0xFFFFFFFF)


@triton.jit
def fast_pass(
    histogram,
    start,
    first,
    n,
    threshold,
    inv_scale,
    DTYPE: tl.constexpr,
    SCALED: tl.constexpr,
    ABOVE: tl.constexpr,
    LOCATE: tl.constexpr,
    BLOCK: tl.constexpr,
    LANES: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """`n` values, whole blocks, from a 16-byte boundary on, which is value number `first`.

    Returns:
        Whether all went well; the histogram, zeros in bin 0; the partial, without zeros.
    """
    within = tl.arange(0, BLOCK)
    largest = tl.zeros([LANES], tl.float32)
    smallest = tl.full([LANES], _NO_NONZERO, tl.uint32)
    total = tl.zeros([LANES], tl.float64)
    abs_total = tl.zeros([LANES], tl.float64)
    square = tl.zeros([LANES], tl.float64)
    above = tl.zeros([LANES], tl.int32)
    where_largest = tl.zeros([LANES], tl.int32)
    for i in range(0, n, BLOCK):
        x = widened(tl.load(start + i + within), DTYPE)
        if SCALED:
            x = x * inv_scale
        m = tl.abs(x)
        histogram = count_bins(histogram, wrapped_offsets(x, DTYPE == tl.bfloat16 and not SCALED))
        block_largest = thread_max(m, LANES, WIDTH)
        if LOCATE:
            where_largest = tl.where(block_largest > largest, i, where_largest)
        if ABOVE:
            above += thread_sum((m >= threshold).to(tl.int32), LANES, WIDTH)
        largest = tl.maximum(largest, block_largest)
        # Twice the magnitude's bits, less one: zero becomes the largest number there is.
        doubled = x.to(tl.uint32, bitcast=True) << 1
        smallest = tl.minimum(smallest, thread_min(doubled - 1, LANES, WIDTH))
        total += thread_sum(x, LANES, WIDTH).to(tl.float64)
        abs_total += thread_sum(m, LANES, WIDTH).to(tl.float64)
        square += thread_sum_of_squares(x, LANES, WIDTH).to(tl.float64)

    top = tl.max(largest, 0)
    doubled_low = tl.min(smallest, 0)
    has_nonzero = doubled_low != _NO_NONZERO
    low = ((doubled_low >> 1) + 1).to(tl.float32, bitcast=True)
    squares = tl.sum(square, 0)
    in_range = (top < _LAST_EDGE) & (low >= _FIRST_EDGE) & (squares >= n * _SAFE_SQUARE)
    ok = in_range | ((top == 0) & (has_nonzero == 0))
    at = tl.full([], NOWHERE, tl.int64)
    if LOCATE:
        if ok & (n > 0):
            block = tl.min(tl.where(largest == top, where_largest, n), 0)
            x = widened(tl.load(start + block + within), DTYPE)
            if SCALED:
                x = x * inv_scale
            at = (first + block + tl.min(tl.where(tl.abs(x) == top, within, BLOCK), 0)).to(tl.int64)
    no = tl.full([], 0, tl.int64)
    zero = tl.full([], 0, tl.float64)
    partial = Partial(
        n_zero=no,
        n_nan=no,
        n_inf=no,
        n_above=tl.sum(above, 0).to(tl.int64),
        argmax=at,
        abs_max=top.to(tl.float64).to(tl.int64, bitcast=True),
        abs_min=tl.where(has_nonzero, low.to(tl.float64).to(tl.int64, bitcast=True), INF_BITS),
        sums=Sums(tl.sum(total, 0), tl.sum(abs_total, 0), squares, zero, zero, zero, zero),
    )
    return ok, histogram, partial
