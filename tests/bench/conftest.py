"""Every test of the bench has a temporary directory of its own."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _always_own_temporary_directory(own_temporary_directory: None) -> None:
    """Also where a test does not ask for it."""
