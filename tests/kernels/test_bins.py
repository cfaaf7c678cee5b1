"""The 128 bins: the table, the edges and the histogram against the rule, over every 16-bit prefix."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest
import torch
from reference import FLOAT32_MAX, N_PREFIXES, midpoint, rule_table, unclipped_rule_table

import gradprof
from gradprof.kernels import bins
from gradprof.kernels.bins import (
    N_BINS,
    ONE_BIN,
    PREFIX_BIN,
    bin_of,
    fold_prefix_counts,
)

Flush = Callable[[], AbstractContextManager[None]]
EDGES = gradprof.BIN_EDGES
LANES = pytest.mark.parametrize("locate", [False, True], ids=["fast", "specification"])


def every_prefix() -> np.ndarray:
    """A float32 of each finite prefix, its lower half random but not all zero; `[32640]`."""
    low = np.random.default_rng(0).integers(1, 1 << 16, N_PREFIXES, dtype=np.uint32)
    return (np.arange(N_PREFIXES, dtype=np.uint32) << 16 | low).view(np.float32)


def hist_of(values: np.ndarray, locate: bool = False) -> np.ndarray:
    return gradprof.measure(torch.from_numpy(values), locate=locate).hist


def one_bin(value: float, dtype: torch.dtype, locate: bool = False) -> int:
    """The bin of one value, through `measure`."""
    hist = gradprof.measure(torch.tensor([value], dtype=dtype), locate=locate).hist
    assert hist.sum() == 1
    return int(hist.argmax())


def test_table_is_the_rule_for_every_prefix() -> None:
    assert PREFIX_BIN.shape == (1 << 15,)
    np.testing.assert_array_equal(PREFIX_BIN[:N_PREFIXES], rule_table())


def test_every_bin_occurs_and_bins_never_decrease() -> None:
    assert (np.diff(rule_table()) >= 0).all()
    assert set(rule_table()) == set(range(N_BINS))


def test_no_midpoint_lies_within_4_6e_5_bins_of_an_edge() -> None:
    position = np.array([4 * math.log10(midpoint(prefix)) for prefix in range(N_PREFIXES)])
    distance = np.abs(position - np.round(position)).min()
    assert 4.6e-5 < distance < 4.7e-5


def test_edges_are_bfloat16_numbers_near_the_powers() -> None:
    assert EDGES.shape == (N_BINS + 1,)
    assert EDGES.dtype == np.float64
    assert (torch.from_numpy(EDGES.copy()).to(torch.bfloat16).to(torch.float64).numpy() == EDGES).all()
    powers = 10.0 ** (np.arange(-96, 33) / 4)
    assert np.abs(EDGES / powers - 1).max() < 0.004
    assert (np.diff(EDGES) > 0).all()


def test_one_is_exactly_an_edge() -> None:
    assert ONE_BIN == 96
    assert EDGES[96] == 1.0
    assert one_bin(1.0, torch.float32) == 96
    assert one_bin(float(np.nextafter(np.float32(1), np.float32(0))), torch.float32) == 95


def test_constants_cannot_be_changed() -> None:
    for constant in (EDGES, PREFIX_BIN):
        with pytest.raises(ValueError, match="read-only"):
            constant[0] = 1


def test_edges_are_where_the_rule_changes() -> None:
    first_prefix = [np.flatnonzero(unclipped_rule_table() >= b)[0] for b in range(N_BINS + 1)]
    np.testing.assert_array_equal(EDGES, (np.array(first_prefix, dtype=np.uint32) << 16).view(np.float32))


@LANES
@pytest.mark.parametrize("sign", [1, -1])
def test_values_beside_an_edge(sign: int, locate: bool) -> None:
    edges = EDGES.astype(np.float32)
    below = np.nextafter(edges, np.float32(0))
    above = np.nextafter(edges, np.float32(np.inf))
    for values, first in ((below, -1), (edges, 0), (above, 0)):
        wanted = np.clip(np.arange(N_BINS + 1) + first, 0, N_BINS - 1)
        got = [one_bin(sign * float(value), torch.float32, locate) for value in values]
        np.testing.assert_array_equal(got, wanted)


@LANES
def test_float64_beside_an_edge_is_rounded_to_float32_first(locate: bool) -> None:
    for b in (1, 50, 96, 127):
        rounds_up = float(np.nextafter(EDGES[b], 0))
        stays_below = float(EDGES[b] * (1 - 2.0**-24))
        assert one_bin(rounds_up, torch.float64, locate) == b
        assert one_bin(stays_below, torch.float64, locate) == b - 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5e-324, 0),
        (1e-60, 0),
        (1e-45, 0),
        (1e-24, 0),
        (1e8, 127),
        (FLOAT32_MAX, 127),
        (3.5e38, 127),
        (1e300, 127),
    ],
)
def test_the_outer_bins_are_open_and_float64_saturates(value: float, expected: int) -> None:
    assert one_bin(value, torch.float64) == expected
    assert one_bin(-value, torch.float64) == expected


@LANES
def test_every_prefix_in_one_tensor(locate: bool) -> None:
    wanted = np.bincount(rule_table(), minlength=N_BINS)
    values = every_prefix()
    np.testing.assert_array_equal(hist_of(values, locate), wanted)
    np.testing.assert_array_equal(hist_of(-values, locate), wanted)
    np.testing.assert_array_equal(hist_of(values.astype(np.float64), locate), wanted)


def test_every_prefix_in_tensors_too_short_to_count_prefixes() -> None:
    """Short tensors look each value up instead."""
    values = every_prefix()
    for part in np.array_split(np.arange(N_PREFIXES), 40):
        wanted = np.bincount(rule_table()[part], minlength=N_BINS)
        np.testing.assert_array_equal(hist_of(values[part]), wanted)


def test_every_bfloat16() -> None:
    bits = torch.arange(1, N_PREFIXES, dtype=torch.int32).to(torch.int16)
    hist = gradprof.measure(bits.view(torch.bfloat16)).hist
    np.testing.assert_array_equal(hist, np.bincount(rule_table()[1:], minlength=N_BINS))


def test_bin_of() -> None:
    values = every_prefix()
    np.testing.assert_array_equal(bin_of(values), rule_table())
    np.testing.assert_array_equal(
        bin_of(values.reshape(-1, 2)[:, ::-1]), rule_table().reshape(-1, 2)[:, ::-1]
    )
    np.testing.assert_array_equal(bin_of(np.array([1e300, 1e-300, np.nextafter(1, 0)])), [127, 0, 96])


def test_fold_prefix_counts() -> None:
    counts = np.random.default_rng(0).integers(0, 1 << 40, 1 << 15)
    wanted = [counts[:N_PREFIXES][rule_table() == b].sum() for b in range(N_BINS)]
    np.testing.assert_array_equal(fold_prefix_counts(counts), wanted)
    np.testing.assert_array_equal(fold_prefix_counts(counts[:N_PREFIXES]), wanted)


def test_table_does_not_depend_on_how_the_thread_treats_denormals(flush_denormals: Flush) -> None:
    """The package is imported late, when a training script may have switched denormals off already."""
    spec = importlib.util.spec_from_file_location("bins_imported_late", bins.__file__)
    assert spec is not None
    assert spec.loader is not None
    late = importlib.util.module_from_spec(spec)
    with flush_denormals():
        spec.loader.exec_module(late)
    np.testing.assert_array_equal(late.BIN_EDGES, EDGES)
    np.testing.assert_array_equal(late.PREFIX_BIN, PREFIX_BIN)
