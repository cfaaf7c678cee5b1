"""The compiled loops of the CPU against the specification, bit for bit but for the sums."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import assert_stats, expect, is_wide
from tables import as_rows, assert_same_bits, assert_same_but_sums, row_of
from values import ALL_TENSORS, INF, NAN

from gradprof.kernels.bins import INF_PREFIX, N_BINS, PREFIX_BIN
from gradprof.kernels.numba import team
from gradprof.kernels.numba.basics import KERNELS, digest_of_sources
from gradprof.kernels.numba.histogram import CUBIC, PER_BIT
from gradprof.kernels.numba.loops import BLOCK
from gradprof.kernels.numba.parts import n_parts_of, part_of
from gradprof.kernels.numba.reducer import NumbaReducer
from gradprof.kernels.row import SUMS
from gradprof.kernels.torch.reducer import TorchReducer, empty_table
from gradprof.record.figures import TensorStats


@pytest.fixture
def any_threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of torch's threads, until the test is over."""
    usual = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(usual)


def numba_row(*tensors: torch.Tensor, threshold: float = 1.0, locate: bool = False) -> np.ndarray:
    """The row of `tensors` merged one after the other, a structured array `[1]`."""
    table = empty_table(3, "cpu")
    reducer = NumbaReducer(threshold=threshold, locate=locate)
    for tensor in tensors:
        reducer.reduce_into(table, 1, tensor)
    rows = as_rows(table)
    for other in (0, 2):
        assert_same_bits(rows[other : other + 1], as_rows(empty_table(1, "cpu")))
    return rows[1:2]


def check_loops(tensor: torch.Tensor, threshold: float = 1.0, locate: bool = False) -> None:
    row = numba_row(tensor, threshold=threshold, locate=locate)
    specified = row_of(tensor, threshold=threshold, locate=True)
    assert_same_but_sums(row, specified)
    assert row["argmax"] == (specified["argmax"] if locate else -1)
    stats = TensorStats.from_row(row[0])
    assert_stats(stats, expect(tensor, threshold), wide=is_wide(tensor.dtype), located=locate)


@pytest.mark.parametrize("threshold", [0, 0.3, 1.0, INF])
@pytest.mark.parametrize("tensor", ALL_TENSORS.values(), ids=ALL_TENSORS.keys())
def test_awkward_tensors(tensor: torch.Tensor, threshold: float) -> None:
    for locate in (False, True):
        check_loops(tensor, threshold, locate)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 255, 256, 257, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 9])
def test_sizes_around_every_boundary(n: int, dtype: torch.dtype) -> None:
    for first in (0, 1):
        check_loops(torch.linspace(-3, 5, n + 8).to(dtype)[first : first + n], locate=first == 1)


@pytest.mark.parametrize("low_half", [0, 0x8000, 0xFFFF])
def test_every_prefix_of_both_signs(low_half: int) -> None:
    bits = (np.arange(1 << 16, dtype=np.uint32) << 16) + np.uint32(low_half)
    check_loops(torch.from_numpy(bits.view(np.float32)))
    finite = bits[np.isfinite(bits.view(np.float32))]
    check_loops(torch.from_numpy(finite.view(np.float32)))
    check_loops(torch.from_numpy(bits.view(np.float32)).bfloat16())


def test_the_arithmetic_of_bins_keeps_its_distance_from_every_edge() -> None:
    """Whatever the compiler makes of it on another machine: float32 takes 3e-5 bins at most, in any order."""
    prefixes = np.arange(INF_PREFIX)
    g = 1 + prefixes % 128 / 128
    place = prefixes * 65536.0 * np.float64(PER_BIT) + np.polynomial.polynomial.polyval(g, np.float64(CUBIC))
    below, above = np.clip(place - 3e-5, 0, N_BINS - 1), np.clip(place + 3e-5, 0, N_BINS - 1)
    np.testing.assert_array_equal(below.astype(int), PREFIX_BIN[:INF_PREFIX])
    np.testing.assert_array_equal(above.astype(int), PREFIX_BIN[:INF_PREFIX])


def test_nothing_is_left_in_the_counters() -> None:
    """One reducer meets the whole range, one bin, zeros alone, values without a bin, small ones, in turn."""
    whole = np.arange(1 << 16, dtype=np.uint32) << 16
    finite = whole[np.isfinite(whole.view(np.float32))].view(np.float32)
    tensors = [torch.from_numpy(finite), torch.ones(5000), torch.zeros(5000), torch.full((5000,), NAN)]
    tensors += [torch.full((5000,), 1e-30), torch.randn(100_000) * 1e-5, torch.tensor([0, 1e-40] * 5000)]
    reducer = NumbaReducer()
    for tensor in tensors + tensors[::-1]:
        table = empty_table(1, "cpu")
        reducer.reduce_into(table, 0, tensor)
        assert_same_but_sums(as_rows(table), row_of(tensor))


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-30, 1e-19, 1e-12, 1e15, 1e19, 1e38])
def test_sums_over_the_whole_range(scale: float) -> None:
    check_loops(torch.linspace(-1, 3, 2 * BLOCK + 5) * scale)


def test_denormals_in_a_process_that_flushes_them(flush_denormals) -> None:
    tensor = torch.tensor([1e-45, -1e-40, 0.0, 1e-39]).repeat(3000)
    expected = row_of(tensor)
    with flush_denormals():
        row = numba_row(tensor)
    assert_same_but_sums(row, expected)
    for name in SUMS:
        np.testing.assert_allclose(row[name], expected[name], rtol=1e-6)


def test_merging_is_the_specified_merging() -> None:
    for locate in (False, True):
        merged = numba_row(*ALL_TENSORS.values(), locate=locate)
        specified = row_of(*ALL_TENSORS.values(), locate=locate)
        assert_same_but_sums(merged, specified)
        assert merged["argmax"] == specified["argmax"]


def test_many_tensors_in_one_call() -> None:
    """Also those that are left to torch; every other row is untouched, and what a row held is forgotten."""
    tensors = list(ALL_TENSORS.values())
    tensors += [
        torch.ones(3, 4).t(),
        torch.ones(6, 6)[:, ::2],
        torch.ones(5).to_sparse(),
        torch.ones(2).half(),
    ]
    garbage = torch.full((2 * len(tensors), 144), 0x7FF8_0000_0000_0001, dtype=torch.int64)
    indices = [2 * i for i in reversed(range(len(tensors)))]
    got, specified = garbage.clone(), garbage.clone()
    for _ in range(2):
        NumbaReducer().replace_many(got, indices, tensors)
    TorchReducer().replace_many(specified, indices, tensors)
    assert_same_but_sums(as_rows(got)[indices], as_rows(specified)[indices])
    assert torch.equal(got[1::2], garbage[1::2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("factor", [2.0**-16, 1 / 3, 1e-30, 1e30, INF])
def test_inverse_scale(dtype: torch.dtype, factor: float) -> None:
    x = torch.linspace(-3, 50000, 2 * BLOCK + 3).to(dtype)
    got, specified = empty_table(1, "cpu"), empty_table(1, "cpu")
    NumbaReducer().reduce_into(got, 0, x, torch.tensor(factor))
    TorchReducer().reduce_into(specified, 0, x, torch.tensor(factor))
    assert_same_but_sums(as_rows(got), as_rows(specified))


def test_the_same_bits_again_and_again_from_any_number_of_threads(any_threads) -> None:
    x = torch.randn(1_000_003, generator=torch.Generator().manual_seed(0))
    small = torch.randn(40_000, generator=torch.Generator().manual_seed(1))
    wanted = numba_row(x, small, locate=True)
    for n_threads in (1, 2, 3, 5) * 5:
        any_threads(n_threads)
        assert_same_bits(numba_row(x, small, locate=True), wanted)


@pytest.mark.parametrize(
    "n", [n + more for n in (1 << 14, 1 << 16, 1 << 18, 1 << 22) for more in (-1, 0, 1, 4097)]
)
def test_parts(n: int) -> None:
    """What stands in one part only: zeros, NaN, inf, the largest value, squares beyond float32."""
    x = torch.linspace(-3, 5, n)
    x[5], x[n // 2], x[n // 2 + 1], x[-1] = NAN, 1e30, INF, 1e30
    x[n // 3 : n // 3 + 1000] = 0
    x[2 * n // 3 :: 7] *= 1e-30
    check_loops(x, locate=True)
    check_loops(x.bfloat16(), threshold=0.3)


def test_parts_are_whole_blocks_that_cover_the_tensor() -> None:
    for numel in (0, 1, BLOCK, (1 << 16) - 1, 1 << 16, 10**6 + 1, 1 << 31, 10**11):
        part = part_of(numel)
        n_parts = n_parts_of(numel, part)
        assert part % BLOCK == 0
        assert n_parts == 1 or (n_parts - 1) * part < numel
        assert numel <= n_parts * part
        assert n_parts <= 64


def test_without_openmp_one_thread_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.linspace(-3, 5, 300_000)
    wanted = numba_row(x)
    monkeypatch.setattr(team, "_openmp", lambda: None)
    assert_same_bits(numba_row(x), wanted)


# --- what numba keeps on disk ------------------------------------------------------------------------

COUNT_AND_SAY = """
import torch
from gradprof.kernels.numba.parts import reduce_parts
from gradprof.kernels.numba.reducer import NumbaReducer
from gradprof.kernels.torch.reducer import empty_table
table = empty_table(1, "cpu")
NumbaReducer().reduce_into(table, 0, torch.ones(5))
print(int(table[0, -128:].sum()), reduce_parts.cache_hits)
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The kernels in a package of their own, with what is on disk of them."""
    (tmp_path / "gradprof").mkdir()
    (tmp_path / "gradprof" / "__init__.py").touch()
    return Path(shutil.copytree(KERNELS, tmp_path / "gradprof" / "kernels"))


def test_loops_are_compiled_anew_when_what_they_call_has_changed(copied: Path) -> None:
    """Numba itself sees a change of the outermost function's file only."""

    def count_and_say() -> list[str]:
        command = [sys.executable, "-c", COUNT_AND_SAY]  # Python looks for packages where it runs
        done = subprocess.run(command, cwd=copied.parents[1], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert count_and_say()[0] == "5"
    assert count_and_say() == ["5", "1"], "nothing is kept on disk"
    histogram = copied / "numba" / "histogram.py"
    source = histogram.read_text()
    changed = source.replace(
        "singles[np.uint64(bins[i])] += _ONE", "singles[np.uint64(bins[i])] += np.uint32(2)"
    )
    assert changed != source
    histogram.write_text(changed)
    assert count_and_say() == ["10", "0"]


def test_every_source_of_the_loops_counts(copied: Path) -> None:
    digests = [digest_of_sources(), digest_of_sources(copied)]
    assert digests[0] == digests[1]
    for name in ("basics", "histogram", "loops", "parts", "../bins", "../row", "../float32_bits"):
        with (copied / "numba" / f"{name}.py").open("a") as source:
            source.write("\n")
        digests.append(digest_of_sources(copied))
    assert len(set(digests)) == 8
    assert all(0 <= digest < 2**63 for digest in digests)


searched = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@searched
@given(st.data())
def test_any_bits(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([torch.float32, torch.bfloat16]))
    n_bytes = dtype.itemsize * data.draw(st.integers(1, 24))
    drawn = data.draw(st.binary(min_size=n_bytes, max_size=n_bytes))
    values = np.frombuffer(drawn, dtype=f"i{dtype.itemsize}")
    n = data.draw(st.sampled_from([1, 8, 255, 256, 300, BLOCK, BLOCK + 300]))
    tensor = torch.from_numpy(np.resize(values, n)).view(dtype)
    check_loops(tensor, data.draw(st.one_of(st.just(1.0), st.floats(0, INF))), data.draw(st.booleans()))
