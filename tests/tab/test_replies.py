"""Answers as bytes: arrays come back as they went, numbers that JSON lacks have their words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import unframe

from gradprof.tab.replies import frame, number, numbers


@given(st.text(max_size=20), st.integers(0, 5), st.integers(0, 3))
def test_arrays_come_back(name: str, n: int, m: int) -> None:
    sent = {
        "steps": np.arange(n, dtype=np.float64),
        "values": np.full((m, n), np.nan, dtype=">f4"),
        "flags": np.arange(m * n, dtype=np.uint8).reshape(m, n)[::-1].T,
    }
    data = frame({"run": name}, sent)
    header, arrays = unframe(data)
    assert header["run"] == name
    for key, array in sent.items():
        np.testing.assert_array_equal(arrays[key], array)


def test_numbers_that_json_lacks() -> None:
    assert numbers(np.array([1.5, np.nan, np.inf, -np.inf])) == [1.5, None, "inf", "-inf"]
    assert number(2.0) == 2.0
    with pytest.raises(ValueError, match="not JSON compliant"):
        frame({"bad": float("nan")}, {})
