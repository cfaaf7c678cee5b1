"""Triton's kernels run in its interpreter, but with `pytest -m gpu` on a device; one thread for torch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    """Triton decides when the kernels are imported, so the choice is made before any test module is."""
    if config.getoption("markexpr") != "gpu":
        os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture
def own_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where a benchmark puts its runs, and what it must leave empty."""
    parent = tmp_path / "temporary"
    parent.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(parent))
    yield
    assert list(parent.glob("gradprof*")) == []


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On a busy machine the barriers of OpenMP take most of the time; few tests are about threads."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)
