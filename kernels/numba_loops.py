"""The loops of the CPU backend, compiled by numba: rows of float32 and bfloat16 tensors in one pass.

A tensor is read in blocks that stay in the first-level cache, twice: once by a loop that the compiler
turns into vector instructions (extrema of the bits, three sums, the number of zeros), and once by one
that looks the upper half of each value up in a table of bins and increments one of eight histograms in
turn, because increments of one counter wait for each other. Meanwhile it fetches the next block.

Sums are float32 over runs of 256 values, as the compiler spreads them over its vector lanes (at most 13
roundings, 8e-7), and float64 beyond. A block that holds NaN or inf, or magnitudes whose squares float32
does not hold, is added up again in float64.

Numba widens every integer to 64 bits unless told otherwise, and checks for negative indices unless it
sees that there are none: hence the casts, and the slices.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from .bins import INF_PREFIX, N_BINS, N_PREFIXES, ONE_BIN, PREFIX_BIN
from .numba_memory import pointer_to, prefetch
from .row import WORD

FLOAT32, BFLOAT16 = 0, 1
"""What the loops read."""

BLOCK = 4096
_RUN = 256
_N_HISTOGRAMS = 8
_STRIDE = 136
"""Words from one histogram to the next: 128 bins, and one for what has no bin."""

N_COUNTERS = _N_HISTOGRAMS * _STRIDE

_BIN_OF_PREFIX = np.full(N_PREFIXES, N_BINS, dtype=np.uint8)
_BIN_OF_PREFIX[:INF_PREFIX] = PREFIX_BIN[:INF_PREFIX]

BIN_OF_HALF = np.concatenate([_BIN_OF_PREFIX, _BIN_OF_PREFIX])
"""uint8 `[65536]`: the bin of each upper half of a float32, of both signs; 128 for NaN and inf."""

_MOST_COUNTED = 1 << 30
"""Values between two folds, so that no counter of 32 bits is ever full."""

_INF_BITS = np.uint32(INF_PREFIX << 16)
_MIN_NORMAL_BITS = np.uint32(1 << 23)
_DENORMAL_UNIT = 2.0**-149
_NO_BITS = np.uint32(0xFFFFFFFF)
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_ONE = np.uint32(1)
_HALF = np.uint32(16)
_LOW_HALF, _HIGH_HALF, _ALL_HALVES = np.uint64(16), np.uint64(48), np.uint64(0xFFFF)
_PAIRS_A_ROUND = np.uint64(_N_HISTOGRAMS // 2)
_SAFE_LOW = np.uint32(np.float32(1e-12).view(np.uint32))
_SAFE_HIGH = np.uint32(np.float32(1e15).view(np.uint32))
"""Between these, the squares of a block's largest magnitudes neither overflow nor underflow."""

_N_OBS, _NUMEL, _N_ZERO, _N_NAN, _N_INF = (WORD[k] for k in ("n_obs", "numel", "n_zero", "n_nan", "n_inf"))
_N_ABOVE, _ARGMAX, _ABS_MAX, _ABS_MIN = (WORD[k] for k in ("n_above", "argmax", "abs_max", "abs_min"))
_SUM, _ABS_SUM, _SQ, _HIST = (WORD[k] for k in ("sum", "abs_sum", "sq", "hist"))

compiled = numba.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
_vectorised = numba.njit(
    nogil=True,
    cache=True,
    boundscheck=False,
    error_model="numpy",
    fastmath={"reassoc", "nsz", "contract"},  # sums in any order; NaN and inf keep their meaning
)


@_vectorised
def _summarise(values, bits, n):
    """Sum, sum of magnitudes, sum of squares, largest bits, least bits less one, zeros of one run."""
    total = np.float32(0)
    abs_total = np.float32(0)
    square = np.float32(0)
    largest = np.uint32(0)
    least = _NO_BITS
    zeros = np.uint32(0)
    for i in range(n):
        x = values[i]
        magnitude = np.uint32(bits[i] & _MAGNITUDE)
        total += x
        abs_total += abs(x)
        square += x * x
        largest = magnitude if magnitude > largest else largest
        less_one = np.uint32(magnitude - _ONE)
        least = less_one if less_one < least else least
        zeros = np.uint32(zeros + np.uint32(magnitude == 0))
    return total, abs_total, square, largest, least, zeros


@_vectorised
def _count_from(bits, threshold):
    """Finite magnitudes whose bits are at least `threshold`."""
    count = np.uint32(0)
    for i in range(len(bits)):
        magnitude = np.uint32(bits[i] & _MAGNITUDE)
        count = np.uint32(count + np.uint32((magnitude >= threshold) & (magnitude < _INF_BITS)))
    return count


@_vectorised
def _widen_bfloat16(halves, into):
    for i in range(len(halves)):
        into[i] = np.uint32(np.uint32(halves[i]) << _HALF)


@_vectorised
def _scale(values, factor, into):
    for i in range(len(values)):
        into[i] = values[i] * factor


@_vectorised
def _sums_in_float64(values):
    total = 0.0
    abs_total = 0.0
    square = 0.0
    for i in range(len(values)):
        x = np.float64(values[i])
        total += x
        abs_total += abs(x)
        square += x * x
    return total, abs_total, square


@compiled
def _float_of(bits):
    """The float32 with these bits, exactly, also in a thread that takes denormals for zeros."""
    if bits < _MIN_NORMAL_BITS:
        return np.float64(np.int64(bits)) * _DENORMAL_UNIT
    one = np.empty(1, np.uint32)
    one[0] = bits
    return np.float64(one.view(np.float32)[0])


@compiled
def _sums_of_finite(values, bits):
    """In float64, one by one, and the counts of NaN and inf."""
    total = 0.0
    abs_total = 0.0
    square = 0.0
    n_nan = 0
    n_inf = 0
    for i in range(len(values)):
        magnitude = np.uint32(bits[i] & _MAGNITUDE)
        if magnitude > _INF_BITS:
            n_nan += 1
        elif magnitude == _INF_BITS:
            n_inf += 1
        else:
            m = np.float64(values[i])
            if magnitude < _MIN_NORMAL_BITS:
                m = np.float64(np.int64(magnitude)) * _DENORMAL_UNIT
            m = abs(m)
            total += m if bits[i] == magnitude else -m
            abs_total += m
            square += m * m
    return total, abs_total, square, n_nan, n_inf


@compiled
def _extrema_of_finite(bits):
    """The largest finite bits, and the least non-zero finite ones less one."""
    largest = np.uint32(0)
    least = _NO_BITS
    for i in range(len(bits)):
        magnitude = np.uint32(bits[i] & _MAGNITUDE)
        if magnitude < _INF_BITS:
            largest = max(largest, magnitude)
            least = min(least, np.uint32(magnitude - _ONE))
    return largest, least


@compiled
def _count_bins(bits, pairs, bin_of_half, counters, next_address):
    """Every value, also those without a bin; zeros go to bin 0.

    Meanwhile the block at `next_address` is fetched, as far as this one reaches.

    Args:
        pairs: the same memory as `bits`, two at a time as uint64: one load instead of two.
    """
    n_rounds = len(bits) // _N_HISTOGRAMS
    for i in range(n_rounds):
        first = np.uint64(i) * _PAIRS_A_ROUND
        prefetch(next_address + np.int64(first) * 8)
        for k in range(_N_HISTOGRAMS // 2):
            pair = pairs[first + np.uint64(k)]
            low = np.uint64(bin_of_half[(pair >> _LOW_HALF) & _ALL_HALVES])
            high = np.uint64(bin_of_half[pair >> _HIGH_HALF])
            counters[np.uint64(2 * k * _STRIDE) + low] += _ONE
            counters[np.uint64((2 * k + 1) * _STRIDE) + high] += _ONE
    for i in range(n_rounds * _N_HISTOGRAMS, len(bits)):
        counters[np.uint64(bin_of_half[bits[i] >> _HALF])] += _ONE


@compiled
def _fold(counters, words):
    """Move the counts to the row; how many were of bins from 1.0 on."""
    from_one = 0
    for b in range(N_BINS):
        count = 0
        for k in range(_N_HISTOGRAMS):
            count += np.int64(counters[k * _STRIDE + b])
        words[_HIST + b] += count
        if b >= ONE_BIN:
            from_one += count
    counters[:] = 0
    return from_one


@compiled
def _first_of(bits, wanted):
    for i in range(len(bits)):
        if np.uint32(bits[i] & _MAGNITUDE) == wanted:
            return i
    return -1


@compiled
def reduce_values(
    address, n, code, words, floats, threshold, factor, scaled, locate, bin_of_half, counters, scratch
):
    """Merge the row of the `n` values from `address` on into a row.

    Args:
        code: `FLOAT32` or `BFLOAT16`.
        words, floats: int64 and float64 `[144]`, the same memory.
        threshold: bits of the least float32 to count as above; -1 for 1.0, which is an edge.
        factor: float32, for `scaled`.
        locate: find the smallest index of the largest magnitude.
        bin_of_half: `BIN_OF_HALF`.
        counters, scratch: uint32 `[N_COUNTERS]` and float32 `[BLOCK]`, of any content.
    """
    scratch_bits = scratch.view(np.uint32)
    scratch_pairs = scratch.view(np.uint64)
    counters[:] = 0
    total = 0.0
    abs_total = 0.0
    square = 0.0
    largest = np.uint32(0)
    least = _NO_BITS
    n_zero = 0
    n_nan = 0
    n_inf = 0
    n_above = 0
    at = -1
    from_one = 0
    since_fold = 0
    for start in range(0, n, BLOCK):
        length = min(BLOCK, n - start)
        if code == BFLOAT16:
            _widen_bfloat16(
                numba.carray(pointer_to(types.uint16, address + 2 * start), length), scratch_bits[:length]
            )
            values = scratch[:length]
            bits = scratch_bits[:length]
            pairs = scratch_pairs[: length // 2]
        else:
            values = numba.carray(pointer_to(types.float32, address + 4 * start), length)
            bits = numba.carray(pointer_to(types.uint32, address + 4 * start), length)
            pairs = numba.carray(pointer_to(types.uint64, address + 4 * start), length // 2)
        if scaled:
            _scale(values, factor, scratch[:length])
            values = scratch[:length]
            bits = scratch_bits[:length]
            pairs = scratch_pairs[: length // 2]

        block_total = 0.0
        block_abs = 0.0
        block_square = 0.0
        block_largest = np.uint32(0)
        block_least = _NO_BITS
        for run in range(0, length, _RUN):
            end = min(run + _RUN, length)
            if end - run == _RUN:  # the compiler makes more of a number that it knows
                sums = _summarise(values[run:end], bits[run:end], _RUN)
            else:
                sums = _summarise(values[run:end], bits[run:end], end - run)
            block_total += sums[0]
            block_abs += sums[1]
            block_square += sums[2]
            block_largest = max(block_largest, sums[3])
            block_least = min(block_least, sums[4])
            n_zero += sums[5]
        if block_largest >= _INF_BITS:
            block_total, block_abs, block_square, more_nan, more_inf = _sums_of_finite(values, bits)
            n_nan += more_nan
            n_inf += more_inf
            block_largest, block_least = _extrema_of_finite(bits)
        elif block_largest > 0 and not _SAFE_LOW <= block_largest <= _SAFE_HIGH:
            if np.uint32(block_least + _ONE) < _MIN_NORMAL_BITS:
                block_total, block_abs, block_square, more_nan, more_inf = _sums_of_finite(values, bits)
            else:
                block_total, block_abs, block_square = _sums_in_float64(values)
        total += block_total
        abs_total += block_abs
        square += block_square
        if locate and (at < 0 or block_largest > largest):
            found = _first_of(bits, block_largest)
            if found >= 0:
                at = start + found
        largest = max(largest, block_largest)
        least = min(least, block_least)
        if threshold >= 0:
            n_above += _count_from(bits, np.uint32(threshold))
        itemsize = 2 if code == BFLOAT16 else 4
        _count_bins(bits, pairs, bin_of_half, counters, address + (start + BLOCK) * itemsize)
        since_fold += length
        if since_fold >= _MOST_COUNTED:
            from_one += _fold(counters, words)
            since_fold = 0
    from_one += _fold(counters, words)

    words[_HIST] -= n_zero
    words[_N_OBS] += 1
    words[_NUMEL] += n
    words[_N_ZERO] += n_zero
    words[_N_NAN] += n_nan
    words[_N_INF] += n_inf
    words[_N_ABOVE] += n_above if threshold >= 0 else from_one
    high = _float_of(largest)
    if words[_ARGMAX] < 0 or high > floats[_ABS_MAX]:
        words[_ARGMAX] = at
    floats[_ABS_MAX] = max(floats[_ABS_MAX], high)
    if least != _NO_BITS:
        floats[_ABS_MIN] = min(floats[_ABS_MIN], _float_of(np.uint32(least + _ONE)))
    floats[_SUM] += total
    floats[_ABS_SUM] += abs_total
    floats[_SQ] += square
