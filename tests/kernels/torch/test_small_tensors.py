"""Small tensors share the passes over them, and each gets the row that it would have alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import assert_stats, expect
from tables import as_rows, assert_same_but_sums, row_of
from values import ALL_TENSORS, INF

from gradprof.kernels.torch import cpu as torch_cpu
from gradprof.kernels.torch.reducer import TorchReducer, empty_table
from gradprof.record.figures import TensorStats


def rows_together(tensors: list[torch.Tensor], threshold: float = 1.0) -> np.ndarray:
    table = empty_table(len(tensors), "cpu")
    TorchReducer(threshold=threshold).replace_many(table, list(range(len(tensors))), tensors)
    return as_rows(table)


@pytest.mark.parametrize("threshold", [0, 0.3, 1.0, INF])
def test_rows_together_are_the_rows_alone(threshold: float) -> None:
    tensors = list(ALL_TENSORS.values())
    rows = rows_together(tensors, threshold)
    for i, tensor in enumerate(tensors):
        assert_same_but_sums(rows[i : i + 1], row_of(tensor, threshold=threshold))


def test_more_values_than_one_batch_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [torch.linspace(-i, 5, 10 * i + 1) for i in range(30)]
    wanted = rows_together(tensors)
    monkeypatch.setattr(torch_cpu, "CHUNK", 300)
    assert rows_together(tensors).tobytes() == wanted.tobytes()


def test_denormals_in_a_process_that_flushes_them(flush_denormals) -> None:
    tensors = [torch.tensor([1e-45, -1e-40, 0.0, 1e-39]), torch.tensor([2.0, -1e-42]), torch.zeros(3)]
    wanted = rows_together(tensors)
    assert wanted["abs_min"].tolist()[:2] == [float(np.float32(1e-45)), float(np.float32(1e-42))]
    with flush_denormals():
        assert rows_together(tensors).tobytes() == wanted.tobytes()


searched = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@searched
@given(st.lists(st.binary(min_size=4, max_size=80), min_size=1, max_size=8), st.floats(0, INF))
def test_any_bits(drawn: list[bytes], threshold: float) -> None:
    arrays = [np.frombuffer(part[: len(part) // 4 * 4], dtype=np.int32).copy() for part in drawn]
    tensors = [torch.from_numpy(array).view(torch.float32) for array in arrays]
    for row, tensor in zip(rows_together(tensors, threshold), tensors, strict=True):
        assert_stats(TensorStats.from_row(row), expect(tensor, threshold), wide=False, located=False)
