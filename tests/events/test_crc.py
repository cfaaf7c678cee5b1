"""The checksum: numpy's against google's C extension and TensorBoard's own loop."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType

import google_crc32c
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

from gradprof.events import crc
from gradprof.events.crc import masked_crc32c, numpy_crc32c

POWERS = sorted({2**k + d for k in range(20) for d in (-1, 0, 1)})


def random_bytes(n: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(n)


def test_known_values() -> None:
    """RFC 3720, appendix B.4."""
    assert numpy_crc32c(bytes(32)) == 0x8A9136AA
    assert numpy_crc32c(b"\xff" * 32) == 0x62A8AB43
    assert numpy_crc32c(bytes(range(32))) == 0x46DD794E
    assert numpy_crc32c(b"123456789") == 0xE3069283


def test_numpy_is_google_at_every_short_length() -> None:
    data = random_bytes(300)
    for n in range(301):
        assert numpy_crc32c(data[:n]) == google_crc32c.value(data[:n]), n


@pytest.mark.parametrize("n", POWERS)
def test_numpy_is_google_around_powers_of_two(n: int) -> None:
    data = random_bytes(n, seed=n)
    assert numpy_crc32c(data) == google_crc32c.value(data)


@pytest.mark.parametrize("data", [random_bytes(1_000_000), bytes(1_000_000), b"\xff" * 1_000_003])
def test_numpy_is_google_on_a_megabyte(data: bytes) -> None:
    assert numpy_crc32c(data) == google_crc32c.value(data)


@given(st.binary(max_size=3000), st.integers(0, 600))
def test_numpy_is_google(data: bytes, zeros: int) -> None:
    for variant in (data, bytes(zeros) + data, data + bytes(zeros)):
        assert numpy_crc32c(variant) == google_crc32c.value(variant)


@pytest.mark.parametrize("n", [0, 1, 8, 129, 5000])
def test_masked_value_is_tensorboards(n: int) -> None:
    data = random_bytes(n, seed=n)
    assert masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)


def crc_with(monkeypatch: pytest.MonkeyPatch, implementation: str) -> ModuleType:
    """A second copy of the module, as imported where google-crc32c is of that implementation."""
    monkeypatch.setattr(google_crc32c, "implementation", implementation)
    spec = importlib.util.spec_from_file_location("crc_again", crc.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("implementation", "uses_numpy"), [("python", True), ("c", False)])
def test_numpy_is_used_only_without_the_c_extension(
    monkeypatch: pytest.MonkeyPatch, implementation: str, uses_numpy: bool
) -> None:
    module = crc_with(monkeypatch, implementation)
    assert (module._crc32c is module.numpy_crc32c) is uses_numpy
    data = random_bytes(1000)
    assert module.masked_crc32c(data) == masked_crc32c(data)


def test_without_the_c_extension_everything_imports_and_agrees() -> None:
    code = """
import sys, warnings
warnings.simplefilter("error")  # that google-crc32c is slow then is nobody's business
sys.modules["google_crc32c.cext"] = None  # as if it had not been built
from gradprof.events import crc
import google_crc32c
assert google_crc32c.implementation == "python"
assert crc._crc32c is crc.numpy_crc32c
print(crc.masked_crc32c(bytes(range(256)) * 5))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == masked_crc32c(bytes(range(256)) * 5)
