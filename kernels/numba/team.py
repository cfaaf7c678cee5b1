"""The threads that torch computes with on a CPU, for loops of our own.

A second set of threads would fight with torch's for the cores: those of OpenMP spin for a while after each
operation, waiting for the next. Work given to the same set starts at once, because they are still awake.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch

Parallel = Callable[[int, int, int, int], None]


def team_size() -> int:
    """Threads that `call_on_team` has: torch's; 1 on a torch without the expected OpenMP."""
    return 1 if _openmp() is None else torch.get_num_threads()


def call_on_team(function: int, argument: int, n_threads: int) -> None:
    """Call a C function `void (void *)` once on each of `n_threads`; returns when all have returned.

    The interpreter lock is released meanwhile.

    Args:
        function, argument: addresses.
        n_threads: at most `team_size()`. One is the caller's thread.
    """
    parallel = _openmp()
    if parallel is None or n_threads == 1:
        _callable(function)(argument)
    else:
        parallel(function, argument, n_threads, 0)


@lru_cache
def _callable(function: int) -> Callable[[int], None]:
    return ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)


@lru_cache
def _openmp() -> Parallel | None:
    """The entry to the OpenMP library that torch is linked to, by the interface that GCC compiles to."""
    for library in sorted((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*")):
        try:
            parallel = ctypes.CDLL(str(library)).GOMP_parallel  # looked up in what the library depends on
        except (OSError, AttributeError):
            continue
        parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        parallel.restype = None
        return parallel
    return None
