"""In every test of the reductions: uninitialised memory is poisoned, so that unwritten outputs show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import torch


def _poisoned(allocate: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    def allocate_and_fill(*args: Any, **kwargs: Any) -> torch.Tensor:
        tensor = allocate(*args, **kwargs)
        if tensor.is_floating_point() or tensor.is_complex():
            return tensor.fill_(torch.nan)
        return tensor.fill_(1 if tensor.dtype == torch.bool else torch.iinfo(tensor.dtype).max)

    return allocate_and_fill


@pytest.fixture(autouse=True)
def poisoned_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("cpu"):
        torch.zeros(0)  # torch remembers which functions allocate when it first needs to know
    for name in ("empty", "empty_like", "empty_strided"):
        monkeypatch.setattr(torch, name, _poisoned(getattr(torch, name)))
    monkeypatch.setattr(torch.Tensor, "new_empty", _poisoned(torch.Tensor.new_empty))


@pytest.fixture(autouse=True)
def always_one_thread(one_thread: None) -> None:
    """In every test of the reductions but those that set another number."""


@pytest.fixture
def flush_denormals() -> Callable[[], AbstractContextManager[None]]:
    """A context in which this thread takes denormals for zeros, as torch.set_flush_denormal makes it."""

    @contextmanager
    def flushing() -> Iterator[None]:
        if not torch.set_flush_denormal(True):
            pytest.skip("this CPU cannot flush denormals")
        try:
            assert torch.tensor(1e-40, dtype=torch.float64).float() == 0
            yield
        finally:
            torch.set_flush_denormal(False)

    return flushing
