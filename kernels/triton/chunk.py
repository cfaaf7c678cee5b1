# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""One program reduces one chunk: a fast pass that checks nothing, and a careful one for what is rare.

The fast pass reads whole aligned blocks, in float32, without a mask and without a test. It is right if
every value is zero or a magnitude in [BIN_EDGES[1], BIN_EDGES[128]), about 1e-24 to 1e8, and the squares
did not underflow. Its own results say whether that was so:

- the largest magnitude shows inf and what exceeds the last edge, far below where squares overflow;
- the smallest non-zero one shows what lies below the first edge. Zeros land in bin 0, and then nothing
  else does, so counting them costs nothing;
- the sum of squares shows NaN, which makes it NaN. And squares below 2**-126 have lost digits, but n of
  them together at most n * 2**-150: nothing, beside a sum >= n * 2**-126.

If not, the chunk is read again by the careful pass, with masks, clipped bins, and sums in float64. It
also takes the ends that the fast pass leaves: what precedes the first 16-byte boundary, and less than a
block behind the last whole one. float64 has no fast pass.

Sums of the fast pass are float32 over the 32 values that a thread has of a block, and float64 beyond. A
term meets at most 10 roundings, 6e-7 (5 where the compiler adds as a tree). Every order of summation is
fixed, so that the same memory gives the same bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

from gradprof.kernels.bins import BIN_EDGES, N_BINS, ONE_BIN
from gradprof.kernels.row import BIG, DOWN, SMALL, UP

from .histogram import INTERPRETED, clear_histogram, clipped_bins, count_bins, end_histogram, wrapped_offsets

NOWHERE = tl.constexpr(0x7FFFFFFFFFFFFFFF)
"""The position of a maximum that was not looked for, or does not exist; positions merge by minimum."""

_N_BINS, _ONE_BIN = tl.constexpr(N_BINS), tl.constexpr(ONE_BIN)
_FIRST_EDGE = tl.constexpr(float(BIN_EDGES[1]))
_LAST_EDGE = tl.constexpr(float(BIN_EDGES[128]))
_SAFE_SQUARE = tl.constexpr(2.0**-126)
_FLOAT32_MAX = tl.constexpr((2 - 2.0**-23) * 2.0**127)
_INF32 = tl.constexpr(0x7F800000)
_INF64 = tl.constexpr(0x7FF << 52)
_BIG, _DOWN, _SMALL, _UP = tl.constexpr(BIG), tl.constexpr(DOWN), tl.constexpr(SMALL), tl.constexpr(UP)
_VECTOR = tl.constexpr(16)  # bytes of the widest load


@triton.constexpr_function
def _loaded_as(dtype):
    """The interpreter loses digits of bfloat16 denormals; there it is loaded as half of a float32."""
    return tl.uint16 if INTERPRETED.value and dtype == tl.bfloat16 else dtype


@triton.jit
def _widened(x, DTYPE: tl.constexpr):
    """What was loaded as float32, exactly; float64 as it is."""
    if INTERPRETED and DTYPE == tl.bfloat16:
        x = (x.to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    elif DTYPE != tl.float64:
        x = x.to(tl.float32)
    return x


@triton.jit
def _by_thread(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    """A block as [n, LANES, WIDTH]: what one thread loaded stays with it, so that reducing is its own."""
    return tl.reshape(x, [x.shape[0] // (LANES * WIDTH), LANES, WIDTH])


@triton.jit
def _thread_sum(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    return tl.sum(tl.sum(_by_thread(x, LANES, WIDTH), 2), 0)


@triton.jit
def _thread_sum_of_squares(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    """Four neighbours to a chain of multiply-adds, then as a sum."""
    a, b = tl.split(tl.reshape(x, [x.shape[0] // (LANES * WIDTH), LANES, WIDTH // 4, 2, 2]))
    c, d = tl.split(a)
    e, f = tl.split(b)
    chains = tl.fma(f, f, tl.fma(e, e, tl.fma(d, d, c * c)))
    return tl.sum(tl.sum(chains, 2), 0)


@triton.jit
def _thread_max(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    return tl.max(tl.max(_by_thread(x, LANES, WIDTH), 2), 0)


@triton.jit
def _thread_min(x, LANES: tl.constexpr, WIDTH: tl.constexpr):
    return tl.min(tl.min(_by_thread(x, LANES, WIDTH), 2), 0)


@triton.jit
def reduce_chunk(
    histogram,
    address,
    n,
    offset,
    threshold,
    inv_scale,
    DTYPE: tl.constexpr,
    SCALED: tl.constexpr,
    ABOVE: tl.constexpr,
    LOCATE: tl.constexpr,
    BLOCK: tl.constexpr,
    CAREFUL_BLOCK: tl.constexpr,
    LANES: tl.constexpr,
    WIDTH: tl.constexpr,
):
    """Everything a row says of `n` values of `DTYPE` from `address` on; `offset` is the first one's index.

    Args:
        histogram: from `begin_histogram`.
        threshold: of the width in which values are compared; looked at for `ABOVE` and float64, else it is 1.
        inv_scale: float32, for `SCALED`.
        WIDTH: neighbouring values that one thread loads. The compiler takes one number for all loads of
            a kernel, that of its narrowest dtype; with another, threads would have to exchange values.

    Returns:
        The counts of zeros, NaN, inf, and values above the threshold; the bits of the float64 largest
        and smallest non-zero magnitudes; the position of the largest; the histogram, int64 [128]; and
        the seven sums of `row.SUMS`, float64.
    """
    ITEM: tl.constexpr = DTYPE.primitive_bitwidth // 8
    head = n
    body = n - n
    ok = n >= 0
    largest = tl.full([], 0, tl.int64)
    smallest = tl.full([], _INF64, tl.int64)
    at = tl.full([], NOWHERE, tl.int64)
    n_above = tl.full([], 0, tl.int64)
    total = tl.full([], 0, tl.float64)
    abs_total = tl.full([], 0, tl.float64)
    square = tl.full([], 0, tl.float64)
    if DTYPE != tl.float64:
        head = tl.minimum(n, (((-address) & (_VECTOR - 1)) // ITEM).to(tl.int32))
        body = (n - head) // BLOCK * BLOCK
        # The hint stays with the operation that computes the pointer.
        start = tl.multiple_of((address + head * ITEM).to(tl.pointer_type(_loaded_as(DTYPE))), _VECTOR)
        ok, histogram, n_above, largest, smallest, at, total, abs_total, square = _fast_pass(
            histogram, start, body, threshold, inv_scale, DTYPE, SCALED, ABOVE, LOCATE, BLOCK, LANES, WIDTH
        )
        at = tl.where(at == NOWHERE, at, at + head)
        if not ok:
            head = n
            body = n - n
            histogram = clear_histogram(histogram)
            largest = tl.full([], 0, tl.int64)
            smallest = tl.full([], _INF64, tl.int64)
            at = tl.full([], NOWHERE, tl.int64)
            n_above = tl.full([], 0, tl.int64)
            total = tl.full([], 0, tl.float64)
            abs_total = tl.full([], 0, tl.float64)
            square = tl.full([], 0, tl.float64)

    rest = _careful_pass(
        histogram,
        address.to(tl.pointer_type(_loaded_as(DTYPE))),
        head,
        body,
        n - body,
        threshold,
        inv_scale,
        DTYPE,
        SCALED,
        ABOVE,
        LOCATE,
        CAREFUL_BLOCK,
        LANES,
    )
    histogram, n_filler, n_first, n_zero, n_nan, n_inf = rest[0], rest[1], rest[2], rest[3], rest[4], rest[5]
    n_above += rest[6]
    rest_largest, rest_at = rest[7], rest[9]
    at = tl.where(
        rest_largest > largest, rest_at, tl.where(rest_largest < largest, at, tl.minimum(at, rest_at))
    )
    at = tl.where(at == NOWHERE, at, at + offset)
    largest = tl.maximum(largest, rest_largest)
    smallest = tl.minimum(smallest, rest[8])

    # In bin 0: zeros of the fast pass, filler of the careful one, and what belongs there.
    histogram = end_histogram(histogram)
    is_first = tl.arange(0, _N_BINS) == 0
    in_first = tl.sum(tl.where(is_first, histogram, 0), 0)
    n_zero += in_first - n_filler - n_first
    histogram = tl.where(is_first, n_first, histogram)
    if not ABOVE and DTYPE != tl.float64:  # 1.0 is an edge, of float32
        n_above += tl.sum(tl.where(tl.arange(0, _N_BINS) >= _ONE_BIN, histogram, 0), 0)
    return (
        n_zero.to(tl.int64),
        n_nan.to(tl.int64),
        n_inf.to(tl.int64),
        n_above.to(tl.int64),
        largest,
        smallest,
        at,
        histogram.to(tl.int64),
        total + rest[10],
        abs_total + rest[11],
        square + rest[12],
        rest[13],
        rest[14],
        rest[15],
        rest[16],
    )


@triton.jit
def _fast_pass(
    histogram,
    start,
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
    """`n` values, whole blocks, from a 16-byte boundary on; and whether all went well."""
    within = tl.arange(0, BLOCK)
    largest = tl.zeros([LANES], tl.float32)
    smallest = tl.full([LANES], 0xFFFFFFFF, tl.uint32)
    total = tl.zeros([LANES], tl.float64)
    abs_total = tl.zeros([LANES], tl.float64)
    square = tl.zeros([LANES], tl.float64)
    above = tl.zeros([LANES], tl.int32)
    where_largest = tl.zeros([LANES], tl.int32)
    for i in range(0, n, BLOCK):
        x = _widened(tl.load(start + i + within), DTYPE)
        if SCALED:
            x = x * inv_scale
        m = tl.abs(x)
        histogram = count_bins(histogram, wrapped_offsets(x, DTYPE == tl.bfloat16 and not SCALED))
        block_largest = _thread_max(m, LANES, WIDTH)
        if LOCATE:
            where_largest = tl.where(block_largest > largest, i, where_largest)
        if ABOVE:
            above += _thread_sum((m >= threshold).to(tl.int32), LANES, WIDTH)
        largest = tl.maximum(largest, block_largest)
        # Twice the magnitude's bits, less one: zero becomes the largest number there is.
        doubled = x.to(tl.uint32, bitcast=True) << 1
        smallest = tl.minimum(smallest, _thread_min(doubled - 1, LANES, WIDTH))
        total += _thread_sum(x, LANES, WIDTH).to(tl.float64)
        abs_total += _thread_sum(m, LANES, WIDTH).to(tl.float64)
        square += _thread_sum_of_squares(x, LANES, WIDTH).to(tl.float64)

    top = tl.max(largest, 0)
    doubled_low = tl.min(smallest, 0)
    has_nonzero = doubled_low != 0xFFFFFFFF
    low = ((doubled_low >> 1) + 1).to(tl.float32, bitcast=True)
    squares = tl.sum(square, 0)
    in_range = (top < _LAST_EDGE) & (low >= _FIRST_EDGE) & (squares >= n * _SAFE_SQUARE)
    ok = in_range | ((top == 0) & (has_nonzero == 0))
    at = tl.full([], NOWHERE, tl.int64)
    if LOCATE:
        if ok & (n > 0):
            block = tl.min(tl.where(largest == top, where_largest, n), 0)
            x = _widened(tl.load(start + block + within), DTYPE)
            if SCALED:
                x = x * inv_scale
            at = (block + tl.min(tl.where(tl.abs(x) == top, within, BLOCK), 0)).to(tl.int64)
    top_bits = top.to(tl.float64).to(tl.int64, bitcast=True)
    low_bits = tl.where(has_nonzero, low.to(tl.float64).to(tl.int64, bitcast=True), _INF64)
    return (
        ok,
        histogram,
        tl.sum(above, 0).to(tl.int64),
        top_bits,
        low_bits,
        at,
        tl.sum(total, 0),
        tl.sum(abs_total, 0),
        squares,
    )


@triton.jit
def _careful_pass(
    histogram,
    start,
    head,
    skipped,
    n,
    threshold,
    inv_scale,
    DTYPE: tl.constexpr,
    SCALED: tl.constexpr,
    ABOVE: tl.constexpr,
    LOCATE: tl.constexpr,
    BLOCK: tl.constexpr,
    LANES: tl.constexpr,
):
    """`n` values, whatever they are: `head` from `start` on, and the others after `skipped` more."""
    WIDE: tl.constexpr = DTYPE == tl.float64
    largest = tl.full([LANES], -1, tl.int64 if WIDE else tl.int32)
    smallest = tl.full([LANES], _INF64 if WIDE else _INF32, tl.int64 if WIDE else tl.int32)
    at = tl.full([LANES], 0x7FFFFFFF, tl.int32)
    zero = tl.zeros([LANES], tl.int32)
    nan = tl.zeros([LANES], tl.int32)
    good = tl.zeros([LANES], tl.int32)
    first = tl.zeros([LANES], tl.int32)
    above = tl.zeros([LANES], tl.int32)
    total = tl.zeros([LANES], tl.float64)
    abs_total = tl.zeros([LANES], tl.float64)
    square = tl.zeros([LANES], tl.float64)
    total_big = tl.zeros([LANES], tl.float64)
    abs_total_big = tl.zeros([LANES], tl.float64)
    square_big = tl.zeros([LANES], tl.float64)
    square_small = tl.zeros([LANES], tl.float64)
    for i in range(0, n, BLOCK):
        j = i + tl.arange(0, BLOCK)
        inside = j < n
        position = tl.where(j < head, j, j + skipped)
        x = _widened(tl.load(start + position, mask=inside, other=0), DTYPE)
        if WIDE:
            if SCALED:
                x = x * inv_scale.to(tl.float64)
            bits = x.to(tl.int64, bitcast=True) & 0x7FFFFFFFFFFFFFFF
            finite = inside & (bits < _INF64)
            is_nan = bits > _INF64
        else:
            if SCALED:
                x = x * inv_scale
            bits = x.to(tl.int32, bitcast=True) & 0x7FFFFFFF
            finite = inside & (bits < _INF32)
            is_nan = bits > _INF32
        nonzero = finite & (bits > 0)
        zero += _thread_sum((inside & (bits == 0)).to(tl.int32), LANES, 1)
        nan += _thread_sum((inside & is_nan).to(tl.int32), LANES, 1)
        good += _thread_sum(nonzero.to(tl.int32), LANES, 1)
        x = tl.where(finite, x, 0)
        m = tl.abs(x)
        if ABOVE or WIDE:
            above += _thread_sum((finite & (m >= threshold)).to(tl.int32), LANES, 1)

        candidates = tl.where(finite, bits, -1)
        block_largest = _thread_max(candidates, LANES, 1)
        if LOCATE:
            is_largest = _by_thread(candidates, LANES, 1) == block_largest[None, :, None]
            positions = tl.where(is_largest, _by_thread(position, LANES, 1), 0x7FFFFFFF)
            block_at = tl.min(tl.min(positions, 2), 0)
            at = tl.where(block_largest > largest, block_at, at)
        largest = tl.maximum(largest, block_largest)
        smallest = tl.minimum(
            smallest, _thread_min(tl.where(nonzero, bits, _INF64 if WIDE else _INF32), LANES, 1)
        )

        bits32 = bits
        if WIDE:
            bits32 = tl.minimum(m, _FLOAT32_MAX).to(tl.float32).to(tl.int32, bitcast=True)
        bins = tl.where(nonzero, clipped_bins(bits32), 0)
        first += _thread_sum((nonzero & (bins == 0)).to(tl.int32), LANES, 1)
        histogram = count_bins(histogram, 4 * bins)

        x = x.to(tl.float64)
        m = m.to(tl.float64)
        if WIDE:
            big = m >= _BIG
            small = m < _SMALL
            x_big = tl.where(big, x, 0) * _DOWN
            m_big = tl.where(big, m, 0) * _DOWN
            m_small = tl.where(small, m, 0) * _UP
            total_big += _thread_sum(x_big, LANES, 1)
            abs_total_big += _thread_sum(m_big, LANES, 1)
            square_big += _thread_sum(m_big * m_big, LANES, 1)
            square_small += _thread_sum(m_small * m_small, LANES, 1)
            x = tl.where(big, 0, x)
            m = tl.where(big, 0, m)
            middle = tl.where(small, 0, m)
        else:
            middle = m
        total += _thread_sum(x, LANES, 1)
        abs_total += _thread_sum(m, LANES, 1)
        square += _thread_sum(middle * middle, LANES, 1)

    n_zero = tl.sum(zero, 0)
    n_nan = tl.sum(nan, 0)
    n_good = tl.sum(good, 0)
    top = tl.max(largest, 0)
    low = tl.min(smallest, 0)
    first_at = tl.min(tl.where(largest == top, at, 0x7FFFFFFF), 0)
    any_at = tl.where(first_at == 0x7FFFFFFF, NOWHERE, first_at.to(tl.int64))
    top = tl.maximum(top, 0)
    if not WIDE:
        top = top.to(tl.float32, bitcast=True).to(tl.float64).to(tl.int64, bitcast=True)
        low = low.to(tl.float32, bitcast=True).to(tl.float64).to(tl.int64, bitcast=True)
    return (
        histogram,
        tl.cdiv(n, BLOCK) * BLOCK - n_good,
        tl.sum(first, 0),
        n_zero,
        n_nan,
        n - n_zero - n_nan - n_good,
        tl.sum(above, 0),
        top,
        low,
        any_at,
        tl.sum(total, 0),
        tl.sum(abs_total, 0),
        tl.sum(square, 0),
        tl.sum(total_big, 0),
        tl.sum(abs_total_big, 0),
        tl.sum(square_big, 0),
        tl.sum(square_small, 0),
    )
