"""The checksum: TensorBoard's, and what is said where google-crc32c is slow."""

from __future__ import annotations

import numpy as np
import pytest
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from gradprof.events.framing import masked_crc32c
from runs import python


@pytest.mark.parametrize("n", [0, 1, 8, 129, 5000])
def test_masked_value_is_tensorboards(n: int) -> None:
    data = np.random.default_rng(n).bytes(n)
    assert masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)


def test_without_the_c_extension_whoever_writes_is_told_once() -> None:
    code = """
import sys, warnings
sys.modules["google_crc32c.cext"] = None  # as if it had not been built
from gradprof.events.framing import frame, masked_crc32c, read_records
import google_crc32c
assert google_crc32c.implementation == "python"
data = bytes(range(256)) * 5
print(masked_crc32c(data))  # reading says nothing
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    frame(data), frame(data)
print([(warning.category.__name__, "no C extension" in str(warning.message)) for warning in caught])
"""
    result = python(code)
    assert result.returncode == 0, result.stderr
    expected = masked_crc32c(bytes(range(256)) * 5)
    assert result.stdout.splitlines() == [str(expected), "[('RuntimeWarning', True)]"]


def test_with_the_c_extension_nothing_is_said() -> None:
    assert python("from gradprof.events.framing import frame; frame(b'data')").returncode == 0
