"""float32 magnitudes as the integers that their bits spell.

For non-negative floats the order is the same, the top 16 of 31 bits are the prefix that decides the bin,
and NaN and inf are the integers from 0x7F800000 up. A thread that flushes denormals takes them for zeros
whenever it computes with them as floats, so their exact values are made of the integers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .bins import INF_PREFIX

ABS_MASK = 0x7FFFFFFF
INF_BITS = INF_PREFIX << 16
MIN_NORMAL_BITS = 1 << 23
DENORMAL_UNIT = 2.0**-149


def float_of(bits: int) -> float:
    """The finite magnitude with these bits."""
    if bits < MIN_NORMAL_BITS:
        return bits * DENORMAL_UNIT
    return float(np.int32(bits).view(np.float32))


def floats_of(bits: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """The finite magnitudes with these bits, any shape."""
    values = bits.view(np.float32).astype(np.float64)
    denormal = bits < MIN_NORMAL_BITS
    values[denormal] = bits[denormal] * DENORMAL_UNIT
    return values


def bits_at_or_above(threshold: float) -> int:
    """The bits of the smallest float32 >= threshold; those of inf if there is none that is finite."""
    with np.errstate(over="ignore"):
        nearest = np.float32(threshold)
        above = np.nextafter(nearest, np.float32(np.inf))
    # As Python floats, because numpy would round the threshold to float32 before it compares.
    smallest = above if float(nearest) < float(threshold) else nearest
    return int(smallest.view(np.int32))
