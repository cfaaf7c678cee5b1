"""What holds for every tensor: hypothesis looks for the one where it does not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reference import assert_stats, bins_of, check, expect, reals
from tables import as_rows, assert_same_but_sums, row_of

import gradprof
from gradprof.kernels.row import COUNTS, empty_rows, merge_rows
from gradprof.kernels.torch.reducer import TorchReducer, empty_table
from gradprof.record.figures import TensorStats

searched = settings(max_examples=60, deadline=None, derandomize=True, database=None)

SIZES = st.sampled_from([1, 2, 7, 128, 255, 512, 2**13, 2**13 + 1, 2**13 + 128, 2**14 + 128])
FLOAT32 = st.floats(width=32)
FINITE32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
MODERATE = st.floats(2.0**-40, 2.0**40, width=32).flatmap(lambda m: st.sampled_from([m, -m, 0.0]))


@st.composite
def tensors(draw: st.DrawFn, elements: st.SearchStrategy[float] = FLOAT32) -> torch.Tensor:
    """A few drawn values, repeated to one of the sizes where the implementation changes its ways."""
    values = draw(st.lists(elements, min_size=1, max_size=12))
    return torch.from_numpy(np.resize(np.array(values, dtype=np.float32), draw(SIZES)))


@st.composite
def bit_patterns(draw: st.DrawFn) -> torch.Tensor:
    """Any bits at all as one of the dtypes: every NaN, every denormal."""
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]))
    n_bytes = dtype.itemsize * draw(st.integers(0, 40))
    drawn = draw(st.binary(min_size=n_bytes, max_size=n_bytes))
    return torch.from_numpy(np.frombuffer(drawn, dtype=f"i{dtype.itemsize}").copy()).view(dtype)


THRESHOLDS = st.one_of(st.floats(0, math.inf), st.floats(0, 10), FINITE32.map(abs))


@searched
@given(bit_patterns(), THRESHOLDS)
def test_any_bits_give_the_reference(tensor: torch.Tensor, threshold: float) -> None:
    check(tensor, threshold)


@searched
@given(tensors(), THRESHOLDS)
def test_any_values_give_the_reference(tensor: torch.Tensor, threshold: float) -> None:
    check(tensor, threshold)


@searched
@given(st.lists(st.floats(), min_size=1, max_size=12), SIZES, THRESHOLDS)
def test_any_float64_gives_the_reference(values: list[float], n: int, threshold: float) -> None:
    check(torch.from_numpy(np.resize(np.array(values), n)), threshold)


@searched
@given(
    hnp.array_shapes(max_dims=4, max_side=9).flatmap(lambda s: hnp.arrays(np.float32, s, elements=FLOAT32)),
    st.data(),
)
def test_any_view_gives_the_reference(array: np.ndarray, data: st.DataObject) -> None:
    tensor = torch.from_numpy(array)
    steps = data.draw(st.tuples(*[st.integers(1, 3)] * array.ndim))
    tensor = tensor[tuple(slice(None, None, step) for step in steps)]
    check(tensor.permute(data.draw(st.permutations(range(array.ndim)))))


@searched
@given(tensors())
def test_every_element_is_counted_once(tensor: torch.Tensor) -> None:
    stats = gradprof.measure(tensor)
    assert stats.hist.sum() + stats.n_zero + stats.n_nan + stats.n_inf == stats.numel == tensor.numel()
    assert (stats.hist >= 0).all()
    assert stats.n_above == stats.hist[96:].sum()


@searched
@given(tensors(), st.integers(0, 2**32 - 1), st.booleans())
def test_order_does_not_matter(tensor: torch.Tensor, seed: int, locate: bool) -> None:
    order = torch.from_numpy(np.random.default_rng(seed).permutation(tensor.numel()))
    permuted = tensor[order]
    assert_same_but_sums(row_of(tensor, locate=locate), row_of(permuted, locate=locate))
    assert_stats(gradprof.measure(permuted), expect(tensor), wide=False)


@searched
@given(tensors(MODERATE), st.integers(-30, 30))
def test_powers_of_two_scale_everything(tensor: torch.Tensor, exponent: int) -> None:
    scale = 2.0**exponent
    plain, scaled = gradprof.measure(tensor), gradprof.measure(tensor * scale, threshold=scale)
    assert (scaled.n_above, scaled.n_zero) == (plain.n_above, plain.n_zero)
    np.testing.assert_equal(scaled.abs_max, plain.abs_max * scale)
    np.testing.assert_equal(scaled.abs_min, plain.abs_min * scale)
    for name in ("l1", "l2", "rms", "abs_mean"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name) * scale, rel=2e-6, abs=0)
    assert scaled.mean == pytest.approx(plain.mean * scale, rel=0, abs=2e-6 * scaled.abs_mean)


@searched
@given(tensors())
def test_signs_do_not_matter_but_to_the_mean(tensor: torch.Tensor) -> None:
    plain, negated, positive = (gradprof.measure(x) for x in (tensor, -tensor, tensor.abs()))
    np.testing.assert_array_equal(negated.mean, -plain.mean)
    np.testing.assert_array_equal(positive.mean, plain.abs_mean)
    for other in (negated, positive):
        assert TensorStats(**{**vars(other), "mean": plain.mean}) == plain


@searched
@given(tensors(), tensors(), st.booleans())
def test_a_concatenation_is_the_merge_of_its_parts(a: torch.Tensor, b: torch.Tensor, locate: bool) -> None:
    whole = torch.cat([a, b])
    merged = row_of(a, locate=locate)
    merge_rows(merged, row_of(b, locate=locate))
    accumulated = row_of(a, b, locate=locate)
    for rows in (merged, accumulated):
        assert rows["n_obs"] == 2
        rows["n_obs"] = 1
        assert_same_but_sums(rows, row_of(whole, locate=locate))
        figures = TensorStats.from_row(rows)
        assert_stats(TensorStats(**{**vars(figures), "argmax": -1}), expect(whole), wide=False)


@searched
@given(st.lists(bit_patterns(), max_size=5))
def test_merging_has_no_order(parts: list[torch.Tensor]) -> None:
    """But for the position and the rounding of sums."""
    rows = [row_of(part) for part in parts]
    merged = []
    for order in (rows, rows[::-1]):
        into = empty_rows(1)
        for row in order:
            merge_rows(into, row)
        merged.append(into)
    assert_same_but_sums(*merged)
    for name in COUNTS:
        assert merged[0][name][0] == sum(int(row[name][0]) for row in rows)


@searched
@given(tensors(), FINITE32, st.booleans())
def test_inv_scale_is_a_multiplication(tensor: torch.Tensor, inv_scale: float, locate: bool) -> None:
    table = empty_table(1, "cpu")
    scale = torch.tensor(inv_scale)
    TorchReducer(locate=locate).reduce_into(table, 0, tensor, scale)
    for name in ("abs_sum", "sum", "sq", "argmax"):
        assert as_rows(table)[name].tobytes() == row_of(tensor * scale, locate=locate)[name].tobytes()
    assert_same_but_sums(as_rows(table), row_of(tensor * scale, locate=locate))


# --- quantiles ---------------------------------------------------------------------------------------


def bin_or_zero(magnitude: float) -> int:
    return int(bins_of(np.array([magnitude]))[0]) if magnitude > 0 else -1


SHARES = st.floats(0, 1)


@searched
@given(tensors(), SHARES, st.booleans())
def test_quantiles_are_exact_to_a_bin(tensor: torch.Tensor, q: float, at_a_value: bool) -> None:
    """Between two values, and at one of them."""
    values = reals(tensor)
    magnitudes = np.abs(values[np.isfinite(values)])
    intervals = magnitudes.size - 1
    if at_a_value and intervals > 0:
        q = round(q * intervals) / intervals
    got = gradprof.measure(tensor).quantile(q)
    if not magnitudes.size:
        assert math.isnan(got)
        return
    low, high = (np.quantile(magnitudes, q, method=method) for method in ("lower", "higher"))
    assert bin_or_zero(low) <= bin_or_zero(got) <= bin_or_zero(high)
    if abs(q * intervals % 1 - 0.5) > 1e-6:  # else two values are equally near
        assert bin_or_zero(got) == bin_or_zero(np.quantile(magnitudes, q, method="nearest"))
    assert magnitudes.min() <= got <= magnitudes.max()


@searched
@given(tensors(), st.lists(SHARES, min_size=2, max_size=10))
def test_quantiles_grow(tensor: torch.Tensor, shares: list[float]) -> None:
    stats = gradprof.measure(tensor)
    assume(stats.n_nan + stats.n_inf < stats.numel)
    quantiles = [stats.quantile(q) for q in sorted(shares)]
    assert quantiles == sorted(quantiles)


@searched
@given(tensors(FINITE32))
def test_the_outer_quantiles_are_exact(tensor: torch.Tensor) -> None:
    stats = gradprof.measure(tensor)
    assert stats.quantile(1) == float(tensor.abs().max())
    assert stats.quantile(0) == float(tensor.abs().min())


@pytest.mark.parametrize("q", [-0.01, 1.01, math.nan, math.inf])
def test_shares_outside_0_to_1_are_refused(q: float) -> None:
    with pytest.raises(ValueError, match="expected a share between 0 and 1"):
        gradprof.measure(torch.ones(3)).quantile(q)


def test_quantiles_by_hand() -> None:
    stats = gradprof.measure(torch.tensor([0.0, 0.0, 1e-3, 1e-3, 1.0, 1.0, 1.0, 50.0, math.nan]))
    quantiles = [stats.quantile(k / 7) for k in range(8)]
    assert quantiles[:3] == [0.0, 0.0, stats.abs_min]
    assert quantiles[3] == pytest.approx(10 ** (-3 + 1 / 8), rel=0.004)
    assert quantiles[4:7] == [pytest.approx(10 ** (1 / 8), rel=0.004)] * 3
    assert quantiles[7] == 50.0
