"""Where Triton's kernels run in the tests: in its interpreter, but with `pytest -m gpu` on the device; where
numba keeps what it compiled; and how many threads torch takes."""

from __future__ import annotations

import hashlib
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
    os.environ.setdefault("NUMBA_CACHE_DIR", str(_numba_cache()))


def _numba_cache() -> Path:
    """Numba compiles a function again when its own file has changed, not when that of one it calls has."""
    sources = sorted((Path(__file__).parents[1] / "kernels").rglob("*.py"))
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"gradprof-numba-{digest}"


@pytest.fixture
def one_thread() -> Iterator[None]:
    """On a busy machine the barriers of OpenMP take most of the time; few tests are about threads."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)
