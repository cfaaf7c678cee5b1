# mypy: allow-untyped-decorators, allow-untyped-defs, allow-incomplete-defs, no-check-untyped-defs
"""Counting values into bins, for the loops that numba compiles.

A store is what counting costs: a core completes about one a cycle. Hence two steps. The first turns values
into bins, a byte each, by arithmetic that the compiler does for many values at once. The second reads two
neighbouring bytes as one number and increments the counter of that pair, half as many stores as values.
It does so in two tables in turn, because increments of one counter wait for each other.

What has no place in a pair, and what arithmetic does not know (NaN and inf), is counted one by one.
"""

from __future__ import annotations

import numpy as np

from gradprof.kernels.bins import BIN_EDGES, INF_PREFIX, N_BINS, N_PREFIXES, PREFIX_BIN
from gradprof.kernels.row import WORD

from .basics import as_float32, compiled, prefetch, vectorised

NO_BIN = N_BINS
_PITCH = 256
"""Counters from one second bin to the next: the pair's bytes, read as one number, are its counter."""
_TABLE = N_BINS * _PITCH + 160
"""Counters from one table to the other; no multiple of 4 KiB, which would crowd a few sets of the cache."""
_SINGLES = 2 * _TABLE

N_COUNTERS = _SINGLES + 144
"""uint32 counters of one thread, 262 KB, of which it touches the pairs that occur; zeros between folds."""

_BIN_OF_PREFIX = np.full(N_PREFIXES, NO_BIN, dtype=np.uint8)
_BIN_OF_PREFIX[:INF_PREFIX] = PREFIX_BIN[:INF_PREFIX]
BIN_OF_HALF = np.concatenate([_BIN_OF_PREFIX, _BIN_OF_PREFIX])
"""uint8 `[65536]`: the bin of each upper half of a float32, of both signs; 128 for NaN and inf."""

# A prefix's bits, read as an integer, are its logarithm to base 2, but linear within each octave. A cubic in
# the significand g, from 1 up to 2, makes up for that. A linear programme chose these five numbers: they keep
# the edges as far as can be from the prefixes on either side, 1.5e-4 bins; float32 takes a tenth of that.
PER_BIT = np.float32(1.20410821 / 128 / 65536)
CUBIC = tuple(np.float32(c) for c in (-58.3373156, 2.5506615, -1.33612499, 0.208137262))
_C0, _C1, _C2, _C3 = CUBIC
_PREFIX = np.uint32(0x7FFF0000)
_PREFIX_MANTISSA = np.uint32(0x7F0000)
_ONE_BITS = np.uint32(0x3F800000)
_FIRST, _LAST = np.float32(0), np.float32(N_BINS - 1)

_HALF, _ONE, _PAIR = np.uint32(16), np.uint32(1), np.uint64(0xFFFF)
_HIST = WORD["hist"]
FIRST_EDGE_BITS = np.uint32(np.float32(BIN_EDGES[1]).view(np.uint32))
"""Of the least magnitude that is not in bin 0."""


@vectorised
def bins_of_finite(bits, bins):
    """The bin of each float32, zeros in bin 0; for NaN and inf, any."""
    for i in range(len(bits)):
        logarithm = np.float32(np.int32(bits[i] & _PREFIX)) * PER_BIT
        g = as_float32(np.uint32((bits[i] & _PREFIX_MANTISSA) | _ONE_BITS))
        place = logarithm + (_C0 + g * (_C1 + g * (_C2 + g * _C3)))
        bins[i] = np.uint8(np.int32(min(max(place, _FIRST), _LAST)))


@compiled
def count_pairs(words, counters, next_address, bytes_a_round):
    """Count bins, 16 a round.

    Meanwhile the block of values at `next_address` is fetched, as far as this one reaches.

    Args:
        words: the bins, eight at a time as uint64 `[2 * rounds]`.
    """
    first_table, second_table = counters[:_TABLE], counters[_TABLE:]
    for i in range(len(words) // 2):
        prefetch(next_address + i * bytes_a_round)
        for k in range(2):
            word = words[np.uint64(2) * np.uint64(i) + np.uint64(k)]
            first_table[word & _PAIR] += _ONE
            second_table[(word >> np.uint64(16)) & _PAIR] += _ONE
            first_table[(word >> np.uint64(32)) & _PAIR] += _ONE
            second_table[word >> np.uint64(48)] += _ONE


@compiled
def count_each(bins, counters):
    """Count bins one by one."""
    singles = counters[_SINGLES:]
    for i in range(len(bins)):
        singles[np.uint64(bins[i])] += _ONE


@compiled
def count_each_half(bits, bin_of_half, counters):
    """Count the bins of any values one by one, also of those without one."""
    singles = counters[_SINGLES:]
    for i in range(len(bits)):
        singles[np.uint64(bin_of_half[bits[i] >> _HALF])] += _ONE


@vectorised
def count_below_first_edge(bits):
    """Non-zero values in bin 0."""
    count = np.uint32(0)
    for i in range(len(bits)):
        below_zero = np.uint32(np.uint32(bits[i] << _ONE) - _ONE)  # zero becomes the largest
        count = np.uint32(count + np.uint32(below_zero < np.uint32(2 * FIRST_EDGE_BITS - 1)))
    return count


@vectorised
def _fold_row(first, second, singles):
    """Move the counts of pairs with one second bin from two tables to their first bins; their sum."""
    count = np.uint32(0)
    for b in range(len(first)):
        both = np.uint32(first[b] + second[b])
        singles[b] = np.uint32(singles[b] + both)
        count = np.uint32(count + both)
        first[b] = 0
        second[b] = 0
    return count


@compiled
def fold(counters, words, least, largest, bin_of_half):
    """Move the counts to the row, and leave zeros.

    Args:
        words: the row, int64 `[144]`; its bin 0 gets zeros too.
        least, largest: bits of the non-zero finite magnitudes among what was counted, uint32.
        bin_of_half: `BIN_OF_HALF`.
    """
    low = max(np.int64(1), np.int64(bin_of_half[least >> _HALF]))
    high = np.int64(bin_of_half[largest >> _HALF])
    singles = counters[_SINGLES:]
    for row in range(max(high - low, -1) + 2):
        second = 0 if row == 0 else low + row - 1
        first_table, second_table = counters[second * _PITCH :], counters[_TABLE + second * _PITCH :]
        count = _fold_row(first_table[:1], second_table[:1], singles[:1])
        if low <= high:
            span = slice(low, high + 1)
            count += _fold_row(first_table[span], second_table[span], singles[span])
        singles[second] += count
    for b in range(N_BINS):
        words[_HIST + b] += singles[b]
    singles[:] = 0
