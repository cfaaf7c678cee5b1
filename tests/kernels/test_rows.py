"""Rows, tables and the figures read off them: layout, merging, reuse, determinism, the fast CPU lane."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from reference import assert_close, assert_stats, exact_sum, exact_sum_of_squares, expect, reals
from tables import as_rows, assert_same_bits, assert_same_but_sums, row_of
from values import ALL_TENSORS, FLOAT64, INF, NAN, TENSORS

import gradprof
from gradprof.kernels.row import COUNTS, ROW_DTYPE, ROW_WORDS, SUMS, WORD, empty_rows, merge_rows
from gradprof.kernels.torch.cpu import CHUNK
from gradprof.kernels.torch.reducer import TorchReducer, empty_table
from gradprof.record.figures import FIELDS, TensorStats, derive

EACH_TENSOR = pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS.keys())


# --- layout ------------------------------------------------------------------------------------------


def test_a_row_is_words_of_8_bytes() -> None:
    assert ROW_WORDS == 144
    assert ROW_DTYPE.itemsize == 8 * ROW_WORDS
    row = empty_rows(1)
    words = row.view(np.int64)
    for count, name in enumerate(ROW_DTYPE.names, start=1000):
        row[name].reshape(-1)[:1].view(np.int64)[:] = count
        assert words[WORD[name]] == count


def test_empty_tables() -> None:
    table = empty_table(3, "cpu")
    assert table.dtype == torch.int64
    assert table.shape == (3, ROW_WORDS)
    rows = as_rows(table)
    assert_same_bits(rows, empty_rows(3))
    for name in ROW_DTYPE.names:
        neutral = {"abs_min": INF, "argmax": -1}.get(name, 0)
        assert (rows[name] == neutral).all(), name


@EACH_TENSOR
@pytest.mark.parametrize("locate", [False, True])
def test_raw_fields(tensor: torch.Tensor, locate: bool) -> None:
    """Also those that no published figure shows by itself."""
    expected = expect(tensor)
    row = row_of(tensor, locate=locate)[0]
    x = reals(tensor)
    x = x[np.isfinite(x)]
    assert row["n_obs"] == 1
    assert row["abs_max"] == np.abs(x).max(initial=0)
    assert row["abs_min"] == np.abs(x[x != 0]).min(initial=INF)
    assert_close(row["sum"], exact_sum(x), expected.l1, 1e-6)
    assert_close(row["abs_sum"], expected.l1, expected.l1, 1e-6)
    small = row["sq_small"] / 2.0**600 / 2.0**600
    assert_close(row["sq"] + small, exact_sum_of_squares(x), exact_sum_of_squares(x), 2e-6)
    assert row["sum_big"] == row["abs_sum_big"] == row["sq_big"] == 0


# --- the fast CPU lane is the specification ----------------------------------------------------------


@EACH_TENSOR
@pytest.mark.parametrize("threshold", [0, 0.3, 1.0, INF])
def test_fast_lane_gives_the_specified_row(tensor: torch.Tensor, threshold: float) -> None:
    """Locating takes the general lane."""
    fast = row_of(tensor, threshold=threshold)
    specified = row_of(tensor, threshold=threshold, locate=True)
    assert_same_but_sums(fast, specified)


def test_the_lanes_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing a lane with itself would prove nothing."""

    def refuse(*args: object) -> None:
        raise AssertionError("the specification ran")

    monkeypatch.setattr("gradprof.kernels.torch.reducer._chunk_row", refuse)
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2):
        row_of(torch.ones(3).to(dtype))
    for tensor, locate in ((torch.ones(3), True), (torch.ones(3).double(), False)):
        with pytest.raises(AssertionError, match="the specification ran"):
            row_of(tensor, locate=locate)


# --- merging -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tensor", ALL_TENSORS.values(), ids=ALL_TENSORS.keys())
def test_an_empty_row_is_neutral(tensor: torch.Tensor) -> None:
    row = row_of(tensor, locate=True)
    into = empty_rows(1)
    merge_rows(into, row)
    assert_same_bits(into, row)
    merge_rows(into, empty_rows(1))
    assert_same_bits(into, row)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(ALL_TENSORS, 2)))
def test_merging_on_the_device_is_merging_on_the_host(first: str, second: str) -> None:
    a, b = ALL_TENSORS[first], ALL_TENSORS[second]
    merged = row_of(a, locate=True)
    merge_rows(merged, row_of(b, locate=True))
    assert_same_bits(row_of(a, b, locate=True), merged)
    assert_same_but_sums(row_of(a, b), merged)


def test_merging_every_field() -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 1000, (2, 6, ROW_WORDS))
    a, b = (part.copy().view(ROW_DTYPE)[:, 0] for part in bits)
    for name in ("abs_max", "abs_min", *SUMS):
        a[name], b[name] = random.integers(0, 1000, (2, 6))
    before = a.copy()
    merge_rows(a, b)
    np.testing.assert_array_equal(a["abs_max"], np.maximum(before["abs_max"], b["abs_max"]))
    np.testing.assert_array_equal(a["abs_min"], np.minimum(before["abs_min"], b["abs_min"]))
    for name in (*COUNTS, *SUMS, "hist"):
        np.testing.assert_array_equal(a[name], before[name] + b[name], err_msg=name)
    assert {*COUNTS, *SUMS, "hist", "abs_max", "abs_min", "argmax"} == set(ROW_DTYPE.names)


@pytest.mark.parametrize(
    ("maxima", "positions", "kept"),
    [
        ((2.0, 3.0), (5, 7), 7),
        ((3.0, 2.0), (5, 7), 5),
        ((3.0, 3.0), (5, 7), 5),
        ((0.0, 0.0), (-1, 7), 7),
        ((3.0, 0.0), (5, -1), 5),
        ((0.0, 0.0), (-1, -1), -1),
    ],
)
def test_merging_positions(maxima: tuple[float, float], positions: tuple[int, int], kept: int) -> None:
    """The position of the larger maximum, of the first where they are equal."""
    rows = empty_rows(2)
    rows["abs_max"], rows["argmax"] = maxima, positions
    into = rows[:1].copy()
    merge_rows(into, rows[1:])
    assert into["argmax"] == kept


def test_observations_are_counted() -> None:
    assert row_of()["n_obs"] == 0
    assert row_of(torch.ones(2), torch.zeros(0), torch.tensor([NAN]))["n_obs"] == 3
    assert row_of(torch.ones(2), torch.ones(3).double(), locate=True)["n_obs"] == 2


# --- tables ------------------------------------------------------------------------------------------


def test_only_the_row_asked_for_changes() -> None:
    for locate in (False, True):
        table = empty_table(3, "cpu")
        TorchReducer(locate=locate).reduce_into(table, 1, torch.tensor([2.0, 0.0]))
        rows = as_rows(table)
        assert_same_bits(rows[[0, 2]], empty_rows(2))
        assert_same_bits(rows[1:2], row_of(torch.tensor([2.0, 0.0]), locate=locate))


@pytest.mark.parametrize("locate", [False, True])
def test_replace_many_replaces_its_rows_only(locate: bool) -> None:
    reducer = TorchReducer(locate=locate)
    table = empty_table(5, "cpu")
    for index in range(5):
        reducer.reduce_into(table, index, torch.full((10,), 100.0 + index))
    before = as_rows(table).copy()
    a, b = torch.tensor([1.0, -2.0, NAN]), torch.zeros(4)
    reducer.replace_many(table, [3, 1], [a, b])
    rows = as_rows(table)
    assert_same_bits(rows[3:4], row_of(a, locate=locate))
    assert_same_bits(rows[1:2], row_of(b, locate=locate))
    assert_same_bits(rows[[0, 2, 4]], before[[0, 2, 4]])
    reducer.replace_many(table, [], [])
    assert_same_bits(as_rows(table)[3:4], row_of(a, locate=locate))


def test_replace_many_scales() -> None:
    table = empty_table(1, "cpu")
    TorchReducer().replace_many(table, [0], [torch.ones(8)], torch.tensor(0.5))
    assert_same_bits(as_rows(table), row_of(torch.full((8,), 0.5)))


def test_replace_many_wants_a_row_for_each_tensor() -> None:
    with pytest.raises(ValueError, match="zip"):
        TorchReducer().replace_many(empty_table(2, "cpu"), [0, 1], [torch.ones(1)])


@pytest.mark.parametrize("dtype", [torch.int32, torch.bool])
def test_integers_are_refused_before_anything_is_written(dtype: torch.dtype) -> None:
    table = empty_table(1, "cpu")
    with pytest.raises(TypeError, match=f"cannot reduce a tensor of {dtype}"):
        TorchReducer().reduce_into(table, 0, torch.ones(2, dtype=dtype))
    assert_same_bits(as_rows(table), empty_rows(1))


INV_SCALES = (1.0, 0.5, 2.0**-16, 1 / 3, 1e-30, 0.0, -2.0, INF)


@pytest.mark.parametrize("inv_scale", INV_SCALES)
@pytest.mark.parametrize("tensor", ALL_TENSORS.values(), ids=ALL_TENSORS.keys())
def test_inv_scale_comes_first(tensor: torch.Tensor, inv_scale: float) -> None:
    """In float32, so that unscaling float16 cannot underflow; in float64 where the values are wider."""
    expected = expect(tensor, inv_scale=np.float32(inv_scale))
    for locate in (False, True):
        table = empty_table(1, "cpu")
        TorchReducer(locate=locate).reduce_into(table, 0, tensor, torch.tensor(inv_scale))
        wide = tensor.dtype in (torch.float64, torch.complex64)
        assert_stats(TensorStats.from_row(as_rows(table)), expected, wide=wide, located=locate)


# --- reuse, determinism, the input -------------------------------------------------------------------


@pytest.mark.parametrize("locate", [False, True])
def test_a_reducer_remembers_nothing(locate: bool) -> None:
    reducer = TorchReducer(locate=locate)
    dirty = torch.tensor([NAN, INF, -INF, 3e38, 0.0]).repeat(1000)
    for _, tensor in itertools.product(range(2), ALL_TENSORS.values()):
        reducer.reduce_into(empty_table(1, "cpu"), 0, dirty)
        table = empty_table(1, "cpu")
        reducer.reduce_into(table, 0, tensor)
        assert_same_bits(as_rows(table), row_of(tensor, locate=locate))


@EACH_TENSOR
@pytest.mark.parametrize("poison", [-1, 0x7FC00000, 0x7F800000, 0])
def test_scratch_is_written_before_it_is_read(tensor: torch.Tensor, poison: int) -> None:
    reducer = TorchReducer()
    reducer.reduce_into(empty_table(1, "cpu"), 0, torch.ones(CHUNK))
    cpu = reducer._cpu
    assert min(cpu._bits.numel(), cpu._wrapped.numel()) >= CHUNK
    scratch = (cpu._bits, cpu._wrapped, cpu._row_sums.view(torch.int32))
    assert all(part.numel() for part in scratch)
    for part in scratch:
        part.fill_(poison)
    table = empty_table(1, "cpu")
    reducer.reduce_into(table, 0, tensor)
    assert_same_bits(as_rows(table), row_of(tensor))


def test_uninitialised_memory_is_poisoned_here() -> None:
    """Or a result that nobody wrote could pass for one."""
    for tensor in (torch.empty(3), torch.empty_like(torch.ones(3)), torch.ones(3).new_empty(3)):
        assert tensor.isnan().all()
    assert (torch.empty(3, dtype=torch.int32) == 2**31 - 1).all()


@pytest.mark.parametrize("locate", [False, True])
@pytest.mark.parametrize("tensor", ALL_TENSORS.values(), ids=ALL_TENSORS.keys())
def test_same_bits_wherever_the_tensor_lies(tensor: torch.Tensor, locate: bool) -> None:
    first = row_of(tensor, locate=locate)
    assert_same_bits(row_of(tensor, locate=locate), first)
    for offset in (1, 3):
        buffer = tensor.new_zeros(tensor.numel() + offset)
        buffer[offset:] = tensor
        assert_same_bits(row_of(buffer[offset:], locate=locate), first)


@pytest.mark.parametrize("locate", [False, True])
@pytest.mark.parametrize("tensor", ALL_TENSORS.values(), ids=ALL_TENSORS.keys())
def test_the_input_is_only_read(tensor: torch.Tensor, locate: bool) -> None:
    before, version = tensor.clone(), tensor._version
    gradprof.measure(tensor, locate=locate)
    table = empty_table(1, "cpu")
    TorchReducer(locate=locate).reduce_into(table, 0, tensor, torch.tensor(0.5))
    assert tensor._version == version
    assert tensor.view(torch.uint8).equal(before.view(torch.uint8))


@pytest.mark.parametrize("locate", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_graph_is_left_alone(dtype: torch.dtype, locate: bool) -> None:
    """A reducer works inside backward, whether or not gradients are being recorded."""
    leaf = torch.linspace(-1, 3, 256, dtype=dtype, requires_grad=True)
    table = empty_table(1, "cpu")
    with torch.enable_grad():
        TorchReducer(locate=locate).reduce_into(table, 0, leaf, torch.tensor(1.0))
    assert not table.requires_grad
    assert leaf.grad is None
    assert_same_bits(as_rows(table), row_of(leaf.detach(), locate=locate))


# --- figures -----------------------------------------------------------------------------------------


def test_figures_of_many_rows_are_those_of_each() -> None:
    tensors = [
        torch.ones(3),
        torch.zeros(2),
        torch.zeros(0),
        torch.tensor([NAN, -2.0]),
        *FLOAT64.values(),
    ]
    table = empty_table(6, "cpu")
    TorchReducer().replace_many(table, list(range(6)), tensors)
    grid = as_rows(table).reshape(2, 3)
    for name in FIELDS:
        figures = derive(grid, name)
        assert figures.shape == (2, 3)
        each = [getattr(gradprof.measure(tensor), name) for tensor in tensors]
        np.testing.assert_array_equal(figures.reshape(-1), each, err_msg=name)
        assert figures.dtype == (np.int64 if isinstance(each[0], int) else np.float64)


def test_a_row_that_saw_nothing_has_no_figures() -> None:
    stats = TensorStats.from_row(empty_rows(1))
    assert stats == gradprof.measure(torch.zeros(0))


def test_stats_keep_their_histogram() -> None:
    rows = row_of(torch.ones(3))
    stats = TensorStats.from_row(rows[0])
    rows["hist"] = 7
    assert stats.hist.sum() == 3


def test_stats_are_equal_field_by_field() -> None:
    tensor = torch.tensor([1.0, -2.0, NAN])
    stats = gradprof.measure(tensor)
    assert stats == gradprof.measure(tensor.clone())
    assert gradprof.measure(torch.zeros(0)) == gradprof.measure(torch.full((0, 3), NAN)), "NaN equals NaN"
    assert stats != gradprof.measure(torch.tensor([1.0, 2.0, NAN])), "the mean differs"
    assert stats != gradprof.measure(tensor, locate=True), "the position differs"
    assert stats != "stats"
    for name in FIELDS:
        assert stats != TensorStats(**{**vars(stats), name: 12345})
    assert stats != TensorStats(**{**vars(stats), "hist": stats.hist[::-1]})
    with pytest.raises(TypeError, match="unhashable"):
        hash(stats)
    with pytest.raises(AttributeError, match="cannot assign"):
        stats.numel = 4


def test_repr_shows_every_figure() -> None:
    text = repr(gradprof.measure(torch.tensor([1e-6, 0.0, NAN, 2.0], dtype=torch.float64)))
    assert text.startswith("TensorStats(numel=4, n_zero=1, n_nan=1, n_inf=0, abs_max=2.0, abs_min=1e-06, ")
    assert text.endswith("n_above=1, argmax=-1, hist=<2 of 128 bins occupied>)")
    for name in FIELDS:
        assert f"{name}=" in text
