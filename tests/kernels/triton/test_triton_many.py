"""Many tensors in one launch of Triton's: every row as if its tensor had been alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from devices import AT_EACH_PLACE
from places import SMALL, reducer_at, same_bits
from tables import as_rows, assert_same_but_sums
from values import ALL_TENSORS

from gradprof.kernels.row import ROW_WORDS, SUMS
from gradprof.kernels.torch.reducer import TorchReducer
from gradprof.kernels.triton.reducer import TritonReducer

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def garbage(n_rows: int, place: str) -> torch.Tensor:
    """A table that was used for something else."""
    return torch.full((n_rows, ROW_WORDS), 0x7FF8_DEAD_BEEF_0001, dtype=torch.int64, device=place)


def check_many(
    reducer: TritonReducer, tensors: list[torch.Tensor], *, threshold: float = 1.0, locate: bool = False
) -> torch.Tensor:
    """The table of `tensors`, after comparing it with the specification's; every other row is untouched."""
    place = reducer.device.type
    n_rows = 2 * len(tensors) + 1
    indices = [int(i) for i in np.random.default_rng(len(tensors)).permutation(n_rows)[: len(tensors)]]
    table, specified = garbage(n_rows, place), garbage(n_rows, "cpu")
    reducer.replace_many(table, indices, [tensor.to(place) for tensor in tensors])
    TorchReducer(threshold=threshold, locate=locate).replace_many(specified, indices, tensors)
    others = sorted(set(range(n_rows)) - set(indices))
    assert (table.cpu()[others] == garbage(1, "cpu")).all()
    got, wanted = as_rows(table.cpu())[indices], as_rows(specified)[indices]
    assert_same_but_sums(got, wanted)
    np.testing.assert_array_equal(got["argmax"], wanted["argmax"])
    for name in SUMS:
        scale = wanted["abs_sum"] if name == "sum" else wanted[name]
        assert (np.abs(got[name] - wanted[name]) <= 1e-6 * np.abs(scale)).all(), name
    return table


@AT_EACH_PLACE
@pytest.mark.parametrize("locate", [False, True])
def test_hundreds_of_tensors_of_all_dtypes(place: str, locate: bool) -> None:
    rng = np.random.default_rng(0)
    tensors = []
    for i in range(210):
        n = int(rng.choice([0, 1, 3, 8, 64, 100, 255, 256, 257, 300]))
        values = torch.from_numpy(rng.standard_normal(n) * 10.0 ** rng.integers(-8, 4))
        tensors.append(values.to(DTYPES[i % 4]))
    check_many(reducer_at(place, config=SMALL, locate=locate), tensors, locate=locate)


@AT_EACH_PLACE
@pytest.mark.parametrize("threshold", [1.0, 0.3])
def test_awkward_tensors_together(place: str, threshold: float) -> None:
    tensors = [tensor[:600] for tensor in ALL_TENSORS.values()]
    check_many(reducer_at(place, config=SMALL, threshold=threshold), tensors, threshold=threshold)


@AT_EACH_PLACE
def test_a_large_tensor_among_small_ones(place: str) -> None:
    """Of several chunks, and the small ones of one."""
    large = torch.linspace(-3, 5, 20 * SMALL.block * 4 + 33)
    small = [torch.full((n,), 0.5) for n in (1, 30, 5000)]
    check_many(reducer_at(place, config=SMALL), [small[0], large, *small[1:], large[5:].bfloat16()])


@AT_EACH_PLACE
def test_one_tensor_and_none(place: str) -> None:
    reducer = reducer_at(place, config=SMALL)
    check_many(reducer, [torch.linspace(-1, 2, 40)])
    check_many(reducer, [])
    check_many(reducer, [torch.zeros(0), torch.zeros(3, 0)])


@AT_EACH_PLACE
def test_tables_follow_what_changes(place: str) -> None:
    """Other memory, other sizes, other dtypes, fewer tensors, a sparse one: the same reducer goes on."""
    reducer = reducer_at(place, config=SMALL)
    tensors = [torch.linspace(-1, n, n) for n in (5, 700, 33)]
    first = check_many(reducer, tensors)
    assert same_bits(check_many(reducer, tensors), first)
    moved = [tensor.clone() for tensor in tensors]
    assert same_bits(check_many(reducer, moved), first)
    check_many(reducer, [tensor + 1 for tensor in tensors])
    check_many(reducer, [tensors[1], tensors[0], tensors[2]])
    check_many(reducer, [tensor.double() for tensor in tensors])
    check_many(reducer, [tensors[1].reshape(7, 100).t(), tensors[0], tensors[1].reshape(7, 100)[:, ::3]])
    check_many(reducer, [tensors[0].to_sparse(), tensors[1], tensors[2]])
    check_many(reducer, [tensor.to_sparse() for tensor in tensors])
    assert same_bits(check_many(reducer, tensors), first)


@AT_EACH_PLACE
def test_tables_are_kept_while_nothing_changes(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reducer = reducer_at(place, config=SMALL)
    tensors = [torch.linspace(-1, n, n, device=place) for n in (5, 700, 33)]
    tensors[1] = tensors[1].reshape(7, 100).t()
    table = garbage(3, place)
    reducer.replace_many(table, [0, 1, 2], tensors)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("something was made anew")

    for name in ("zeros", "empty", "tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, refuse)
    monkeypatch.setattr(torch.Tensor, "copy_", refuse)
    monkeypatch.setattr("gradprof.kernels.triton.reducer.Plan", refuse)
    for _ in range(3):
        reducer.replace_many(table, [0, 1, 2], tensors)
    with pytest.raises(AssertionError, match="made anew"):
        reducer.replace_many(table, [0, 1, 2], [tensors[0][:4], *tensors[1:]])


@AT_EACH_PLACE
def test_tables_do_not_pile_up(place: str) -> None:
    reducer = reducer_at(place, config=SMALL)
    for i in range(40):
        reducer.replace_many(garbage(50, place), [i, i + 1], [torch.ones(i + 1, device=place)] * 2)
    assert len(reducer._plans) <= 8


@AT_EACH_PLACE
def test_scratch_is_empty_after_a_launch(place: str) -> None:
    reducer = reducer_at(place, config=SMALL)
    check_many(reducer, [ALL_TENSORS["several chunks"][:9000], torch.ones(5), torch.linspace(0, 1, 9000)])
    (plan,) = reducer._plans.values()
    assert not plan._scratch._zeroed.any()


@AT_EACH_PLACE
def test_inverse_scale(place: str) -> None:
    tensors = [
        torch.linspace(-3, 60000, n).to(dtype) for n, dtype in zip((7, 600, 900), DTYPES, strict=False)
    ]
    inv_scale = torch.tensor(2.0**-16)
    table, specified = garbage(3, place), garbage(3, "cpu")
    reducer_at(place, config=SMALL).replace_many(
        table, [0, 1, 2], [tensor.to(place) for tensor in tensors], inv_scale.to(place)
    )
    TorchReducer().replace_many(specified, [0, 1, 2], tensors, inv_scale)
    assert_same_but_sums(as_rows(table.cpu()), as_rows(specified))


@AT_EACH_PLACE
def test_a_tensor_without_memory_is_refused(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as wrappers have; reading address 0 would kill the process."""
    monkeypatch.setattr(torch.Tensor, "data_ptr", lambda self: 0)
    with pytest.raises(TypeError, match="no memory of its own"):
        reducer_at(place, config=SMALL).replace_many(garbage(1, place), [0], [torch.ones(3, device=place)])
