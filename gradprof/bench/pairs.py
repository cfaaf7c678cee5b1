"""Paired measurement: the contenders alternate in one run, and every round gives one ratio.

A machine that grows slower in the meantime slows all contenders of a round, so drift cancels in its
ratio. The order turns round from one round to the next, so that being first helps nobody.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


def alternate(contenders: Mapping[str, Callable[[], float]], rounds: Iterable[int]) -> dict[str, list[float]]:
    """What each contender returned (its cost) in each round; odd rounds go in reverse order."""
    costs: dict[str, list[float]] = {name: [] for name in contenders}
    for i in rounds:
        for name in list(contenders)[:: -1 if i % 2 else 1]:
            costs[name].append(contenders[name]())
    return costs


def ratios(costs: Sequence[float], of: Sequence[float]) -> list[float]:
    """`costs / of`, round by round."""
    return [cost / base for cost, base in zip(costs, of, strict=True)]


@dataclass(frozen=True)
class Summary:
    """The middle and the spread of `n` values."""

    median: float
    q1: float
    q3: float
    low: float
    high: float
    """Between these lies the true median with probability `confidence`."""
    confidence: float
    """At least 0.95; less where fewer than 6 values do not allow it, and then the interval is their range."""
    n: int


def summarize(values: Sequence[float]) -> Summary:
    """
    Raises:
        ValueError: there is no value.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        raise ValueError("there is nothing to summarize: expected at least one value")
    q1, median, q3 = statistics.quantiles(ordered, n=4, method="inclusive") if n > 1 else ordered * 3
    rank, confidence = _interval_rank(n)
    return Summary(median, q1, q3, ordered[rank - 1], ordered[n - rank], confidence, n)


def _interval_rank(n: int) -> tuple[int, float]:
    """The largest k such that [k-th smallest, k-th largest] covers the median with `CONFIDENCE`, and its
    coverage. Each value is below the median with probability 1/2, so the count of those below is binomial,
    whatever the distribution (H. A. David and H. N. Nagaraja, Order Statistics, 7.1).
    """
    best = 1, 1 - 2 * 0.5**n
    below = 0.0
    for k in range(1, n // 2 + 1):
        below += math.comb(n, k - 1) * 0.5**n
        if 1 - 2 * below < CONFIDENCE:
            break
        best = k, 1 - 2 * below
    return best
