"""Where Triton's kernels run in the tests: in its interpreter, but with `pytest -m gpu` on the device."""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Triton decides when the kernels are imported, so the choice is made before any test module is."""
    if config.getoption("markexpr") != "gpu":
        os.environ["TRITON_INTERPRET"] = "1"
