"""Loops of our own on torch's threads."""

from __future__ import annotations

import sys
import threading

import numba
import numpy as np
import pytest
import torch

from gradprof.kernels.numba import team as thread_team
from gradprof.kernels.numba.basics import take_ticket


@numba.cfunc("void(CPointer(int64))")
def _count_callers(pointer):
    """Take a ticket, and wait until as many were taken as the second number says."""
    counts = numba.carray(pointer, 2)
    take_ticket(counts.ctypes.data)
    while counts[0] < counts[1]:
        take_ticket(counts.ctypes.data + 8 * 2)  # another word: only so that the loop reads memory again


def _callers(n_expected: int) -> int:
    counts = np.array([0, n_expected, 0], dtype=np.int64)
    thread_team.call_on_team(_count_callers.address, counts.ctypes.data, n_expected)
    return int(counts[0])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere torch comes with another OpenMP")
def test_each_of_torchs_threads_is_called_once_and_all_at_a_time() -> None:
    usual = torch.get_num_threads()
    try:
        for n_threads in (2, 1, 3):
            torch.set_num_threads(n_threads)
            assert thread_team.team_size() == n_threads
            assert _callers(n_threads) == n_threads
    finally:
        torch.set_num_threads(usual)


def test_without_openmp_the_caller_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_team, "_openmp", lambda: None)
    assert thread_team.team_size() == 1
    assert _callers(1) == 1


def test_it_works_beside_torch_in_another_thread() -> None:
    """As a backward pass does that runs in a thread of its own."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(_callers(1)))
    thread.start()
    x = torch.ones(1 << 20)
    for _ in range(10):
        x = x * 1.0
    thread.join()
    assert found[0] >= 1
    assert float(x.sum()) == 1 << 20
