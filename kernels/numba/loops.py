# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""The loops of the CPU backend, compiled by numba: rows of float32 and bfloat16 tensors in one pass.

A tensor is read in blocks that stay in the first-level cache, by three loops of vector instructions (sums;
extrema of the bits; bins) and one that counts the bins (`histogram`).

Sums are float32 over runs of 256 values, as the compiler spreads them over its vector lanes (at most 13
roundings, 8e-7), and float64 beyond. A block that holds NaN or inf, or magnitudes whose squares float32
does not hold, is added up again in float64.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import types

from gradprof.kernels.bins import N_BINS, ONE_BIN
from gradprof.kernels.float32_bits import ABS_MASK, DENORMAL_UNIT, INF_BITS, MIN_NORMAL_BITS
from gradprof.kernels.row import WORD

from .basics import as_float32, compiled, pointer_to, vectorised
from .histogram import (
    FIRST_EDGE_BITS,
    bins_of_finite,
    count_below_first_edge,
    count_each,
    count_each_half,
    count_pairs,
    fold,
)

FLOAT32, BFLOAT16 = 0, 1
"""What the loops read."""

BLOCK = 4096
_RUN = 256
_ROUND = 16
"""Values that are counted at once; a block's last ones, less than this, are counted one by one."""

_MOST_COUNTED = 1 << 30
"""Values between two folds, so that no counter of 32 bits is ever full."""

_INF_BITS = np.uint32(INF_BITS)
_MIN_NORMAL_BITS = np.uint32(MIN_NORMAL_BITS)
_NO_BITS = np.uint32(0xFFFFFFFF)
_MAGNITUDE = np.uint32(ABS_MASK)
_ONE = np.uint32(1)
_HALF = np.uint32(16)
_SAFE_LOW = np.uint32(np.float32(1e-12).view(np.uint32))
_SAFE_HIGH = np.uint32(np.float32(1e15).view(np.uint32))
"""Between these, the squares of a block's largest magnitudes neither overflow nor underflow."""

_N_OBS, _NUMEL, _N_ZERO, _N_NAN, _N_INF = (WORD[k] for k in ("n_obs", "numel", "n_zero", "n_nan", "n_inf"))
_N_ABOVE, _ARGMAX, _ABS_MAX, _ABS_MIN = (WORD[k] for k in ("n_above", "argmax", "abs_max", "abs_min"))
_SUM, _ABS_SUM, _SQ, _HIST = (WORD[k] for k in ("sum", "abs_sum", "sq", "hist"))


@vectorised
def _sums(bits):
    """Sum, sum of magnitudes, sum of squares."""
    total = 0.0
    abs_total = 0.0
    square = 0.0
    n_runs = len(bits) // _RUN
    for run in range(n_runs + 1):
        run_total = np.float32(0)
        run_abs = np.float32(0)
        run_square = np.float32(0)
        if run < n_runs:
            for i in range(_RUN):  # the compiler makes more of a number that it knows
                x = as_float32(bits[np.uint64(run) * np.uint64(_RUN) + np.uint64(i)])
                run_total += x
                run_abs += abs(x)
                run_square += x * x
        else:
            for i in range(n_runs * _RUN, len(bits)):
                x = as_float32(bits[np.uint64(i)])
                run_total += x
                run_abs += abs(x)
                run_square += x * x
        total += run_total
        abs_total += run_abs
        square += run_square
    return total, abs_total, square


@vectorised
def _extrema(bits):
    """The largest bits of a magnitude, and the least non-zero ones less one."""
    largest = np.uint32(0)
    least = _NO_BITS
    for i in range(len(bits)):
        magnitude = np.uint32(bits[i] & _MAGNITUDE)
        largest = magnitude if magnitude > largest else largest
        less_one = np.uint32(magnitude - _ONE)
        least = less_one if less_one < least else least
    return largest, least


@vectorised
def _count_from(bits, threshold):
    """Finite magnitudes whose bits are at least `threshold`."""
    count = np.uint32(0)
    for i in range(len(bits)):
        magnitude = np.uint32(bits[i] & _MAGNITUDE)
        count = np.uint32(count + np.uint32((magnitude >= threshold) & (magnitude < _INF_BITS)))
    return count


@vectorised
def _widen_bfloat16(halves, into):
    for i in range(len(halves)):
        into[i] = np.uint32(np.uint32(halves[i]) << _HALF)


@vectorised
def _scale(values, factor, into):
    for i in range(len(values)):
        into[i] = values[i] * factor


@vectorised
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
        return np.float64(np.int64(bits)) * DENORMAL_UNIT
    return np.float64(as_float32(bits))


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
                m = np.float64(np.int64(magnitude)) * DENORMAL_UNIT
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
def _first_of(bits, wanted):
    for i in range(len(bits)):
        if np.uint32(bits[i] & _MAGNITUDE) == wanted:
            return i
    return -1


@compiled
def _count_bins(bits, bins, counters, next_address, itemsize):
    """Every value of a block without NaN and inf; see `count_pairs`."""
    bins_of_finite(bits, bins)
    n_in_rounds = len(bits) // _ROUND * _ROUND
    count_pairs(bins[:n_in_rounds].view(np.uint64), counters, next_address, _ROUND * itemsize)
    count_each(bins[n_in_rounds:], counters)


@compiled
def _from_one(words):
    """Counts of the bins from 1.0 on."""
    count = 0
    for b in range(ONE_BIN, N_BINS):
        count += words[_HIST + b]
    return count


@compiled
def reduce_values(
    address, n, code, words, floats, threshold, factor, scaled, locate, bin_of_half, counters, scratch, bins
):
    """Merge the row of the `n` values from `address` on into a row.

    Args:
        code: `FLOAT32` or `BFLOAT16`.
        words, floats: int64 and float64 `[144]`, the same memory.
        threshold: bits of the least float32 to count as above; -1 for 1.0, which is an edge.
        factor: float32, for `scaled`.
        locate: find the smallest index of the largest magnitude.
        bin_of_half: `BIN_OF_HALF`.
        counters: uint32 `[N_COUNTERS]`, zeros, and left so.
        scratch, bins: float32 and uint8 `[BLOCK]`, of any content.
    """
    scratch_bits = scratch.view(np.uint32)
    itemsize = 2 if code == BFLOAT16 else 4
    in_first_bin, from_one = words[_HIST], _from_one(words)
    total = 0.0
    abs_total = 0.0
    square = 0.0
    largest = np.uint32(0)
    least = _NO_BITS
    n_nan = 0
    n_inf = 0
    n_above = 0
    n_below_first_edge = 0
    at = -1
    since_fold = 0
    for start in range(0, n, BLOCK):
        length = min(BLOCK, n - start)
        if code == BFLOAT16:
            _widen_bfloat16(
                numba.carray(pointer_to(types.uint16, address + 2 * start), length), scratch_bits[:length]
            )
            values = scratch[:length]
            bits = scratch_bits[:length]
        else:
            values = numba.carray(pointer_to(types.float32, address + 4 * start), length)
            bits = numba.carray(pointer_to(types.uint32, address + 4 * start), length)
        if scaled:
            _scale(values, factor, scratch[:length])
            values = scratch[:length]
            bits = scratch_bits[:length]

        block_largest, block_least = _extrema(bits)
        if block_largest >= _INF_BITS:
            block_largest, block_least = _extrema_of_finite(bits)
            block_total, block_abs, block_square, more_nan, more_inf = _sums_of_finite(values, bits)
            n_nan += more_nan
            n_inf += more_inf
            count_each_half(bits, bin_of_half, counters)
        else:
            if block_largest == 0 or _SAFE_LOW <= block_largest <= _SAFE_HIGH:
                block_total, block_abs, block_square = _sums(bits)
            elif np.uint32(block_least + _ONE) < _MIN_NORMAL_BITS:
                block_total, block_abs, block_square, _, _ = _sums_of_finite(values, bits)
            else:
                block_total, block_abs, block_square = _sums_in_float64(values)
            next_address = address + (start + BLOCK) * itemsize
            _count_bins(bits, bins[:length], counters, next_address, itemsize)
        total += block_total
        abs_total += block_abs
        square += block_square
        if block_least < FIRST_EDGE_BITS - _ONE:
            n_below_first_edge += count_below_first_edge(bits)
        if locate and (at < 0 or block_largest > largest):
            found = _first_of(bits, block_largest)
            if found >= 0:
                at = start + found
        largest = max(largest, block_largest)
        least = min(least, block_least)
        if threshold >= 0:
            n_above += _count_from(bits, np.uint32(threshold))
        since_fold += length
        if since_fold >= _MOST_COUNTED:
            fold(counters, words, np.uint32(least + _ONE), largest, bin_of_half)
            since_fold = 0
    fold(counters, words, np.uint32(least + _ONE), largest, bin_of_half)

    in_first_bin = words[_HIST] - in_first_bin
    words[_HIST] += n_below_first_edge - in_first_bin
    words[_N_OBS] += 1
    words[_NUMEL] += n
    words[_N_ZERO] += in_first_bin - n_below_first_edge
    words[_N_NAN] += n_nan
    words[_N_INF] += n_inf
    words[_N_ABOVE] += n_above if threshold >= 0 else _from_one(words) - from_one
    high = _float_of(largest)
    if words[_ARGMAX] < 0 or high > floats[_ABS_MAX]:
        words[_ARGMAX] = at
    floats[_ABS_MAX] = max(floats[_ABS_MAX], high)
    if least != _NO_BITS:
        floats[_ABS_MIN] = min(floats[_ABS_MIN], _float_of(np.uint32(least + _ONE)))
    floats[_SUM] += total
    floats[_ABS_SUM] += abs_total
    floats[_SQ] += square
