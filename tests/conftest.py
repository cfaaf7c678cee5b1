"""Triton's kernels run in its interpreter, but with `pytest -m gpu` on a device; one thread for torch."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    """Triton decides when the kernels are imported, so the choice is made before any test module is."""
    if config.getoption("markexpr") != "gpu":
        os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On a busy machine the barriers of OpenMP take most of the time; few tests are about threads."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)
