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

from gradprof.kernels.bins import N_BINS, ONE_BIN

from .block import loaded_as
from .careful import careful_pass
from .fast import fast_pass
from .histogram import clear_histogram, end_histogram
from .partial import NOWHERE, Partial, empty_partial, merge_partials

_N_BINS, _ONE_BIN = tl.constexpr(N_BINS), tl.constexpr(ONE_BIN)
_VECTOR = tl.constexpr(16)  # bytes of the widest load


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
        The partial, and the histogram, int64 [128].
    """
    ITEM: tl.constexpr = DTYPE.primitive_bitwidth // 8
    head = n
    body = n - n
    partial = empty_partial()
    if DTYPE != tl.float64:
        head = tl.minimum(n, (((-address) & (_VECTOR - 1)) // ITEM).to(tl.int32))
        body = (n - head) // BLOCK * BLOCK
        # The hint stays with the operation that computes the pointer.
        start = tl.multiple_of((address + head * ITEM).to(tl.pointer_type(loaded_as(DTYPE))), _VECTOR)
        ok, histogram, partial = fast_pass(
            histogram,
            start,
            head,
            body,
            threshold,
            inv_scale,
            DTYPE,
            SCALED,
            ABOVE,
            LOCATE,
            BLOCK,
            LANES,
            WIDTH,
        )
        if not ok:
            head = n
            body = n - n
            histogram = clear_histogram(histogram)
            partial = empty_partial()

    histogram, n_first, n_other_first, rest = careful_pass(
        histogram,
        address.to(tl.pointer_type(loaded_as(DTYPE))),
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
    partial = merge_partials(partial, rest)

    # In bin 0: what belongs there, what else the careful pass put there, and the zeros of the fast one.
    histogram = end_histogram(histogram)
    is_first = tl.arange(0, _N_BINS) == 0
    in_first = tl.sum(tl.where(is_first, histogram, 0), 0)
    histogram = tl.where(is_first, n_first, histogram)
    n_above = partial.n_above
    if not ABOVE and DTYPE != tl.float64:  # 1.0 is an edge, of float32
        n_above += tl.sum(tl.where(tl.arange(0, _N_BINS) >= _ONE_BIN, histogram, 0), 0)
    partial = Partial(
        partial.n_zero + (in_first - n_first - n_other_first),
        partial.n_nan,
        partial.n_inf,
        n_above,
        tl.where(partial.argmax == NOWHERE, NOWHERE, partial.argmax + offset),
        partial.abs_max,
        partial.abs_min,
        partial.sums,
    )
    return partial, histogram.to(tl.int64)
