"""One tensor, reduced by Triton: against the specification bit for bit, and against exact figures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from devices import AT_EACH_PLACE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import SMALL, check_at, reducer_at, triton_row
from reference import N_PREFIXES
from tables import as_rows, assert_same_bits, assert_same_but_sums, row_of
from values import ALL_TENSORS, FLOAT32_VALUES, FLOAT64_VALUES, INF, repeated

from gradprof.kernels.bins import BIN_EDGES
from gradprof.kernels.row import SUMS
from gradprof.kernels.torch.reducer import TorchReducer, empty_table
from gradprof.kernels.triton.compiler import Config

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
EACH_DTYPE = pytest.mark.parametrize("dtype", DTYPES, ids=str)
BLOCK = Config().block


# --- values ------------------------------------------------------------------------------------------


@AT_EACH_PLACE
@pytest.mark.parametrize("locate", [False, True])
@pytest.mark.parametrize("tensor", ALL_TENSORS.values(), ids=ALL_TENSORS.keys())
def test_awkward_tensors(place: str, tensor: torch.Tensor, locate: bool) -> None:
    check_at(place, tensor[: 3 * BLOCK + 7], locate=locate)


@AT_EACH_PLACE
@pytest.mark.parametrize("values", FLOAT32_VALUES.values(), ids=FLOAT32_VALUES.keys())
def test_float32_values(place: str, values: list[float]) -> None:
    for n in (len(values), 512, 1025):
        check_at(place, repeated(values, n, torch.float32), config=SMALL)


@AT_EACH_PLACE
@pytest.mark.parametrize("values", FLOAT64_VALUES.values(), ids=FLOAT64_VALUES.keys())
def test_float64_values(place: str, values: list[float]) -> None:
    for n in (len(values), 1025):
        check_at(place, repeated(values, n, torch.float64), config=SMALL)


def prefixes(low_half: int) -> torch.Tensor:
    """Every float32 prefix with both signs, and so much below it, float32 `[65536]`."""
    bits = (np.arange(1 << 16, dtype=np.uint32) << 16) + np.uint32(low_half)
    return torch.from_numpy(bits.view(np.float32))


@AT_EACH_PLACE
@pytest.mark.parametrize("low_half", [0, 1, 0x8000, 0xFFFF])
def test_every_prefix_of_both_signs(place: str, low_half: int) -> None:
    check_at(place, prefixes(low_half))


@AT_EACH_PLACE
@pytest.mark.parametrize("low_half", [0, 0xFFFF])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_every_prefix_that_the_fast_pass_takes(place: str, low_half: int, dtype: torch.dtype) -> None:
    """Whole blocks of values within the edges, and zeros."""
    x = prefixes(low_half).to(dtype).float()
    x = torch.cat([x[(x.abs() >= BIN_EDGES[1]) & (x.abs() < BIN_EDGES[128])], torch.zeros(99)])
    x = x[torch.randperm(x.numel(), generator=torch.Generator().manual_seed(0))]
    check_at(place, x[: x.numel() // BLOCK * BLOCK].to(dtype))


@AT_EACH_PLACE
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_every_value_of_two_bytes(place: str, dtype: torch.dtype) -> None:
    check_at(place, torch.arange(-(1 << 15), 1 << 15, dtype=torch.int16).view(dtype))


@AT_EACH_PLACE
def test_both_sides_of_every_edge(place: str) -> None:
    edges = torch.from_numpy(BIN_EDGES[:].astype(np.float32))
    below = torch.nextafter(edges, torch.tensor(0.0))
    check_at(place, torch.stack([edges, -below, torch.nextafter(edges, torch.tensor(INF))]).repeat(1, 11))


@AT_EACH_PLACE
@pytest.mark.parametrize("bad", [float("nan"), INF, 1e-30, 1e-42, 1e8, 3e38])
@pytest.mark.parametrize("position", [0, BLOCK - 1, BLOCK, 2 * BLOCK + 5])
def test_one_exception_among_many_values(place: str, bad: float, position: int) -> None:
    x = torch.linspace(-2, 3, 2 * BLOCK + 17)
    x[position] = bad
    check_at(place, x, locate=True)


@AT_EACH_PLACE
@pytest.mark.parametrize("scale", [1e-23, 1e-19, 1e-18, 1.5e-17, 1e-12, 9e7])
def test_squares_that_nearly_underflow_or_overflow(place: str, scale: float) -> None:
    check_at(place, torch.linspace(0.5, 1, 2 * BLOCK) * scale)


@AT_EACH_PLACE
@pytest.mark.parametrize("value", [0.1, 1e-3, 16777217.0, 1 / 3])
def test_equal_values_do_not_add_up_their_rounding(place: str, value: float) -> None:
    """Adding one number again and again rounds in the same direction again and again."""
    check_at(place, torch.full((5 * BLOCK,), value))


# --- sizes and places in memory ------------------------------------------------------------------------

SMALL_BLOCK, SMALL_CAREFUL = SMALL.block, SMALL.careful_block
BOUNDARIES = sorted(
    {
        max(0, boundary + step)
        for boundary in (0, 16, SMALL_CAREFUL, SMALL_BLOCK, 2 * SMALL_BLOCK, 3 * SMALL_BLOCK, 6 * SMALL_BLOCK)
        for step in (-1, 0, 1, 7)
    }
)


@AT_EACH_PLACE
@EACH_DTYPE
@pytest.mark.parametrize("n", BOUNDARIES)
def test_sizes_around_every_boundary(place: str, dtype: torch.dtype, n: int) -> None:
    for first in (0, 3):
        memory = torch.linspace(-3, 5, n + 16).to(dtype)
        check_at(place, memory[first : first + n], locate=first == 3, config=SMALL)


@AT_EACH_PLACE
@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK + 1])
def test_sizes_around_the_blocks_of_a_device(place: str, n: int) -> None:
    check_at(place, torch.linspace(-3, 5, n).bfloat16())


@AT_EACH_PLACE
@pytest.mark.parametrize("first", range(8))
def test_what_surrounds_a_tensor_is_not_read(place: str, first: int) -> None:
    memory = torch.full((1000,), float("nan"), dtype=torch.bfloat16)
    memory[first : first + 600] = 0.5
    row = triton_row(place, memory[first : first + 600], config=SMALL)
    assert row["n_nan"] == 0
    assert row["hist"].sum() == row["numel"] == 600


@AT_EACH_PLACE
@pytest.mark.parametrize("locate", [False, True])
def test_any_strides(place: str, locate: bool) -> None:
    x = torch.linspace(-3, 5, 2 * 3 * 4 * 50).reshape(2, 3, 4, 50)
    for view in (
        x.transpose(1, 3),
        x.contiguous(memory_format=torch.channels_last),
        x[:, ::2],
        x[..., ::3],
        x[:, :, 1:2].expand(2, 3, 4, 50),
        x[0, 0, 0, 0],
        x[:, :0],
        torch.view_as_complex(x.reshape(2, 3, 4, 25, 2)).conj().imag,
    ):
        check_at(place, view, locate=locate, config=SMALL)


@AT_EACH_PLACE
def test_dense_memory_is_read_where_it_lies(place: str) -> None:
    x = torch.ones(2, 8, 16, 16, device=place)
    for dense in (x, x.to(memory_format=torch.channels_last), x.transpose(0, 2), x.permute(3, 1, 0, 2)):
        assert reducer_at(place)._readable(dense).data_ptr() == dense.data_ptr()
    copied = reducer_at(place)._readable(x[:, ::2])
    assert copied.data_ptr() != x.data_ptr()


@AT_EACH_PLACE
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta", "ignore:The PyTorch API of nested")
def test_layouts(place: str) -> None:
    dense = torch.linspace(-2, 3, 60).reshape(6, 10) * (torch.arange(60).reshape(6, 10) % 3 == 0)
    for tensor in (
        dense.to_sparse(),
        dense.double().to_sparse_csr() if place == "cpu" else dense.to_sparse(),
        torch.nested.nested_tensor([dense[0], dense[1, :4]]),
    ):
        for locate in (False, True):
            check_at(place, tensor, 0.5, locate=locate, config=SMALL)


@AT_EACH_PLACE
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool], ids=str)
def test_integers_have_no_gradient(place: str, dtype: torch.dtype) -> None:
    tensor = torch.ones(3, dtype=dtype, device=place)
    table = empty_table(1, place)
    with pytest.raises(TypeError, match="floating or complex"):
        reducer_at(place).reduce_into(table, 0, tensor)
    with pytest.raises(TypeError, match="floating or complex"):
        reducer_at(place).replace_many(table, [0], [tensor])


# --- options -------------------------------------------------------------------------------------------

THRESHOLDS = (0, 5e-324, 0.1, 1.0, 1 + 2.0**-30, 3, 2.0**127, 3.5e38, 1e300, INF)


@AT_EACH_PLACE
@pytest.mark.parametrize("threshold", THRESHOLDS)
@EACH_DTYPE
def test_thresholds_are_exact_real_numbers(place: str, dtype: torch.dtype, threshold: float) -> None:
    near = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64).to(dtype)
    x = torch.cat([near, near.nextafter(near * 2), near.nextafter(near * 0)]) if dtype.itemsize > 2 else near
    x = torch.cat([x, torch.tensor([0.0, torch.nan, INF, -3e38, 1e-45]).to(dtype)]).repeat(60)
    row = triton_row(place, x, threshold=threshold, config=SMALL)
    magnitudes = [abs(value) for value in x.tolist() if np.isfinite(value)]
    assert row["n_above"] == sum(value >= threshold for value in magnitudes)


@AT_EACH_PLACE
@EACH_DTYPE
@pytest.mark.parametrize("factor", [2.0**-16, 1 / 3, 1e-30, 1e30, INF])
def test_inverse_scale(place: str, dtype: torch.dtype, factor: float) -> None:
    x = torch.linspace(-3, 50000, 1003).to(dtype)
    inv_scale = torch.tensor(factor, dtype=torch.float32)
    for options in ({}, {"threshold": 0.25, "locate": True}):
        specified, got = empty_table(1, "cpu"), empty_table(1, place)
        TorchReducer(**options).reduce_into(specified, 0, x, inv_scale)
        reducer_at(place, config=SMALL, **options).reduce_into(got, 0, x.to(place), inv_scale.to(place))
        row, wanted = as_rows(got.cpu()), as_rows(specified)
        assert_same_but_sums(row, wanted)
        assert row["argmax"] == wanted["argmax"]
        np.testing.assert_allclose(row["abs_sum"], wanted["abs_sum"], rtol=1e-6)
        np.testing.assert_allclose(row["sq"], wanted["sq"], rtol=2e-6)


@AT_EACH_PLACE
@EACH_DTYPE
def test_the_first_of_several_maxima_is_located(place: str, dtype: torch.dtype) -> None:
    for positions in ([3, 700], [255, 256], [1023, 1022]):
        x = torch.linspace(-0.5, 0.5, 1024).to(dtype)
        x[positions] = torch.tensor([-2.0, 2.0]).to(dtype)
        for first in (0, 3):
            row = triton_row(place, x[first:], locate=True, config=SMALL)
            expected = [position - first for position in positions if position >= first]
            assert row["argmax"] == min(expected)


# --- merging -------------------------------------------------------------------------------------------


@AT_EACH_PLACE
def test_merging_is_the_specified_merging(place: str) -> None:
    tensors = [tensor[:700] for tensor in ALL_TENSORS.values() if tensor.dtype in DTYPES]
    for locate in (False, True):
        merged = triton_row(place, *tensors, locate=locate, config=SMALL)
        specified = row_of(*tensors, locate=locate)
        assert_same_but_sums(merged, specified)
        assert merged["argmax"] == specified["argmax"]
        for name in SUMS:
            np.testing.assert_allclose(merged[name], specified[name], rtol=2e-6)


@AT_EACH_PLACE
def test_scratch_is_empty_after_a_launch(place: str) -> None:
    """Also after one that met everything, and on memory that was full of other things before."""
    reducer = reducer_at(place, config=SMALL)
    table = empty_table(1, place)
    for _ in range(2):
        reducer.reduce_into(table, 0, ALL_TENSORS["several chunks"][:3000].to(place))
    (scratch,) = reducer._scratch.values()
    assert not scratch._zeroed.any()


@AT_EACH_PLACE
def test_more_programs_than_one_tile_of_partials(place: str) -> None:
    """The last program adds up 1024 of them at a time."""
    config = Config(block=256, careful_block=64, threads=32, programs=1030)
    x = torch.zeros(config.programs * config.block)
    x[[5, 700, x.numel() - 3]] = torch.tensor([2.0, 0.25, -2.0])
    check_at(place, x, locate=True, config=config)


@AT_EACH_PLACE
@EACH_DTYPE
def test_the_same_bits_again_and_again(place: str, dtype: torch.dtype) -> None:
    n = 10_000_000 if place == "cuda" else 3000
    x = (torch.randn(n, generator=torch.Generator().manual_seed(0)) * 1e-3).to(dtype)
    first = triton_row(place, x, config=SMALL)
    for _ in range(100 if place == "cuda" else 2):
        assert_same_bits(triton_row(place, x, config=SMALL), first)


# --- anything else -------------------------------------------------------------------------------------

searched = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SIZES = st.sampled_from([1, 3, 63, 64, 255, 256, 259, 512, 769, 1500])


@AT_EACH_PLACE
@searched
@given(data=st.data())
def test_any_bits(place: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    n_bytes = dtype.itemsize * data.draw(st.integers(1, 24))
    drawn = data.draw(st.binary(min_size=n_bytes, max_size=n_bytes))
    values = np.frombuffer(drawn, dtype=f"i{dtype.itemsize}")
    tensor = torch.from_numpy(np.resize(values, data.draw(SIZES))).view(dtype)
    threshold = data.draw(st.one_of(st.just(1.0), st.floats(0, INF)))
    check_at(place, tensor, threshold, locate=data.draw(st.booleans()), config=SMALL)


@AT_EACH_PLACE
@searched
@given(data=st.data())
def test_a_tensor_is_its_parts_merged(place: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 600))
    cut = data.draw(st.integers(0, n))
    seed = data.draw(st.integers(0, 2**32))
    x = torch.exp(20 * torch.randn(n, generator=torch.Generator().manual_seed(seed)))
    whole = triton_row(place, x, config=SMALL)
    parts = triton_row(place, x[:cut], x[cut:], config=SMALL)
    parts["n_obs"] = 1
    assert_same_but_sums(whole, parts)


@pytest.mark.parametrize("error", [2.0**-22, -(2.0**-22), 0.0])
def test_the_rule_of_the_bins_survives_the_hardware_log2(error: float) -> None:
    """`lg2.approx` may be off by 2**-22, relatively; then one multiply-add, rounded down, and a mask."""
    prefix = np.arange(0x0080, N_PREFIXES)  # the hardware takes denormals for zeros
    midpoint = ((prefix << 16) + 0x8000).astype(np.uint32).view(np.float32).astype(np.float64)
    log2 = (np.log2(midpoint) * (1 + error)).astype(np.float32)
    factor = np.float32(np.uint32(0x409A209B).view(np.float32))
    addend = np.float32(np.uint32(0x4B400180).view(np.float32))
    exact = log2.astype(np.float64) * np.float64(factor) + np.float64(addend)
    offset = np.floor(exact).astype(np.float32).view(np.uint32) & 0x1FC
    in_range = (midpoint >= BIN_EDGES[1]) & (midpoint < BIN_EDGES[128])
    expected = np.searchsorted(BIN_EDGES, midpoint, side="right") - 1
    np.testing.assert_array_equal((offset // 4)[in_range], expected[in_range])
    assert in_range.sum() > 13_000
