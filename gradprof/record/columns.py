"""Columns of steps, and how they pool: one table of arrays, each with its rule; numpy only.

A column says of consecutive steps what each array's rule makes of them. A step is a column of its own, and
columns pooled once more give what pooling once over all their steps gives: so it is all the same whether a
writer pools as the steps come, a reader goes on with columns from a file, or both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


class AtMax(NamedTuple):
    """The value where another array, `of`, is largest, of equal ones the first; NaN where that is all NaN."""

    of: str


Rule = Literal["sum", "max", "min", "any", "first", "last", "largest_change"] | AtMax
"""What becomes of several values: their sum (of integers and truths int64), the largest or the smallest, NaN
passed over, whether any is true, the first or the last, or the one of largest magnitude with its sign, the
positive one if two are equal."""

PLACE_RULES: dict[str, Rule] = {
    "first_ordinal": "first",
    "last_ordinal": "last",
    "first_step": "first",
    "last_step": "last",
}
"""Where a column stands: ordinals count the observed steps of a run, from 0."""

_LARGE = 1024
"""Elements of a column from which on columns are reduced one by one: numpy's `reduce` goes over rows several
times as fast as its `reduceat`."""


@dataclass(frozen=True)
class Columns:
    """Consecutive columns of steps.

    Attributes:
        arrays: by name, `[columns, ...]`.
        rules: for each of them (and maybe for others) how it pools.
    """

    arrays: Mapping[str, np.ndarray]
    rules: Mapping[str, Rule]

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def pooled(self, bounds: npt.ArrayLike) -> Columns:
        """Columns `bounds[c]` up to, not including, `bounds[c + 1]` as one, for each c.

        Raises:
            ValueError: `bounds` do not increase, or reach outside the columns.
        """
        edges, n = np.asarray(bounds, dtype=np.int64), len(self)
        if not edges.size or edges[0] < 0 or edges[-1] > n or (np.diff(edges) <= 0).any():
            raise ValueError(f"got bounds {edges.tolist()}: expected increasing ones within {n} columns")
        if len(edges) == n + 1:  # each on its own: nothing is copied
            return self
        if len(edges) == 1:
            return self.within(slice(0))
        return self._with({name: self._pooled(name, edges) for name in self.arrays})

    def within(self, columns: slice) -> Columns:
        """Some of the columns."""
        return self._with({name: values[columns] for name, values in self.arrays.items()})

    def copy(self) -> Columns:
        """As they are now, whatever becomes of what they were made of."""
        return self._with({name: values.copy() for name, values in self.arrays.items()})

    def _with(self, arrays: Mapping[str, np.ndarray]) -> Columns:
        return Columns(arrays, self.rules)

    def _pooled(self, name: str, edges: Int64Array) -> np.ndarray:
        values, rule = self.arrays[name], self.rules[name]
        match rule:
            case AtMax():
                return _at_largest(values, self.arrays[rule.of], edges)
            case "first":
                return values[edges[:-1]]
            case "last":
                return values[edges[1:] - 1]
            case "largest_change":
                return _larger_change(_reduced(np.fmax, values, edges), _reduced(np.fmin, values, edges))
        return _reduced(_UFUNCS[rule], values, edges)

    def _continued(self, later: Columns) -> Columns:
        """This one column and those that follow it, the first of which goes on with it."""
        both = joined([self, later.within(slice(1))]) if set(self.rules.values()) - set(_UFUNCS) else self
        arrays = {}
        for name, values in later.arrays.items():
            if ufunc := _UFUNCS.get(self.rules[name]):  # wide arrays are not to be copied
                first = ufunc(self.arrays[name], values[:1], dtype=_dtype(ufunc, values))
            else:
                first = both._pooled(name, np.array([0, 2]))
            arrays[name] = first if len(values) == 1 else np.concatenate((first, values[1:]))
        return self._with(arrays)


def joined(parts: Sequence[Columns]) -> Columns:
    """At least one part, and those that begin where the one before ends, each with the same arrays."""
    first, *others = parts
    if not others:
        return first
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in first.arrays}
    return Columns(arrays, first.rules)


class Pooling:
    """Pools steps as they come, from the end of one column to the next, without keeping them."""

    def __init__(self) -> None:
        self._begun: Columns | None = None

    def extend(self, steps: Columns, ends: Sequence[int]) -> Columns:
        """The columns that end with those of the next steps that `ends` names, in order.

        The first of them begins after the last of the steps that ended one before. What follows the last end
        is copied, so that the arrays of `steps` may be used again.
        """
        n, last = len(steps), ends[-1] + 1 if ends else 0
        if not n:
            return steps
        columns = steps.pooled([0, *(end + 1 for end in ends), *([n] if last < n else [])])
        if self._begun is not None:
            columns = self._begun._continued(columns)
        whole, begun = columns.within(slice(len(ends))), columns.within(slice(len(ends), None))
        self._begun = None if not len(begun) else begun.copy() if columns is steps else begun
        return whole

    def rest(self) -> Columns | None:
        """The column begun, None if no step followed the last end."""
        begun, self._begun = self._begun, None
        return begun


def level_bounds(n_steps: int, level: int) -> Int64Array:
    """Where each column of `level` steps begins and ends among `n_steps`, `[columns + 1]`; the last may be
    shorter."""
    return np.minimum(np.arange(-(-n_steps // level) + 1) * level, n_steps)


_UFUNCS: dict[Rule, np.ufunc] = {"sum": np.add, "any": np.logical_or, "max": np.fmax, "min": np.fmin}


def _dtype(ufunc: np.ufunc, values: np.ndarray) -> type[np.int64] | None:
    return np.int64 if ufunc is np.add and values.dtype.kind != "f" else None


def _reduced(ufunc: np.ufunc, values: np.ndarray, edges: Int64Array) -> np.ndarray:
    dtype = _dtype(ufunc, values)
    if values.size < _LARGE * (len(edges) - 1):
        return ufunc.reduceat(values[: edges[-1]], edges[:-1], axis=0, dtype=dtype)
    columns = [ufunc.reduce(values[a:b], axis=0, dtype=dtype, keepdims=True) for a, b in pairwise(edges)]
    return columns[0] if len(columns) == 1 else np.concatenate(columns)


def _at_largest(values: np.ndarray, of: np.ndarray, edges: Int64Array) -> np.ndarray:
    """`values` where `of` is largest, of equal ones the first."""
    largest, n_steps = _reduced(np.fmax, of, edges), np.diff(edges)
    within = slice(edges[0], edges[-1])
    step = np.arange(*within.indices(len(of))).reshape(-1, *[1] * (of.ndim - 1))
    candidates = np.where(of[within] == np.repeat(largest, n_steps, axis=0), step, len(of))
    first = np.minimum(_reduced(np.minimum, candidates, edges - edges[0]), len(of) - 1)
    return np.where(np.isnan(largest), np.nan, np.take_along_axis(values, first, axis=0))


def _larger_change(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each two the one of larger magnitude, the positive one if these are equal; NaN only for two NaN."""
    first = (np.abs(a) > np.abs(b)) | ((np.abs(a) == np.abs(b)) & (a > b)) | np.isnan(b)
    return np.where(first, a, b)
