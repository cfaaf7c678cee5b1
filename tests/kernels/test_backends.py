"""The choice of a backend: explicit ones fail loudly, the automatic one falls back and says once why."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from fractions import Fraction
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

import gradprof
from gradprof.kernels import reducer as backends
from gradprof.kernels.numba.reducer import NumbaReducer
from gradprof.kernels.reducer import BACKENDS, Reducer, as_threshold, make_reducer
from gradprof.kernels.torch.reducer import TorchReducer
from gradprof.kernels.triton.reducer import TritonReducer

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)

interpreted = pytest.mark.skipif("TRITON_INTERPRET" not in os.environ, reason="the kernels are compiled")


THRESHOLDS = [
    *(0, 1, True, 2**60 + 1, 10**400, 1e-310, math.inf, Fraction(0), Fraction(1, 3), Fraction(1, 10**400)),
    *(Fraction(2**53 + 1, 2**53), np.float16(0.1), np.float32(0.1), np.float32(math.inf), np.float64(1 / 3)),
    *(np.longdouble(1) / 3, np.int64(2**60 + 1), np.uint8(1)),
]


def reducer(backend: str, device: torch.device) -> Reducer:
    return make_reducer(backend, device, threshold=1.0, locate=False)


@pytest.fixture
def fresh_warnings() -> None:
    backends._say_once.cache_clear()


def test_a_cpu_is_reduced_by_numba_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(reducer("torch", CPU), TorchReducer)
    assert isinstance(reducer("numba", CPU), NumbaReducer)
    assert isinstance(reducer("auto", CPU), NumbaReducer)
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    assert isinstance(reducer("auto", CPU), TorchReducer)


def test_numba_reads_tensors_on_a_cpu_only() -> None:
    with pytest.raises(ValueError, match=r"'numba' cannot reduce on cuda:0: .* CPU only"):
        reducer("numba", CUDA)


def test_a_broken_numba_is_spoken_of(monkeypatch: pytest.MonkeyPatch, fresh_warnings: None) -> None:
    def broken(*args: object) -> NoReturn:
        raise RuntimeError("cannot cache function")

    monkeypatch.setattr(backends, "_numba_reducer", broken)
    with pytest.warns(RuntimeWarning, match="on cpu with torch.*than with numba: RuntimeError: cannot cache"):
        assert isinstance(reducer("auto", CPU), TorchReducer)


@interpreted
def test_the_interpreter_is_an_explicit_choice() -> None:
    assert isinstance(reducer("triton", CPU), TritonReducer)
    stats = gradprof.measure(torch.tensor([3.0, -4.0]), backend="triton")
    assert (stats.abs_max, stats.l2, stats.n_above) == (4.0, 5.0, 2)


def test_without_the_interpreter_a_cpu_tensor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(ValueError, match=r"'triton' cannot reduce on cpu: .*CUDA device.*TRITON_INTERPRET=1"):
        gradprof.measure(torch.ones(3), backend="triton")


@interpreted
def test_the_interpreter_cannot_read_a_device(fresh_warnings: None) -> None:
    with pytest.raises(
        ValueError, match=r"cannot reduce on cuda:0: TRITON_INTERPRET is set.*'auto' or 'torch'"
    ):
        reducer("triton", CUDA)
    with pytest.warns(RuntimeWarning, match="TRITON_INTERPRET is set"):
        assert isinstance(reducer("auto", CUDA), TorchReducer)


def test_an_old_device_falls_back(monkeypatch: pytest.MonkeyPatch, fresh_warnings: None) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with pytest.warns(RuntimeWarning, match=r"cuda:0 with torch.*compute capability 8.0.*has 7.5"):
        assert isinstance(reducer("auto", CUDA), TorchReducer)
    with warnings.catch_warnings():  # once is enough
        warnings.simplefilter("error")
        assert isinstance(reducer("auto", CUDA), TorchReducer)
    with pytest.raises(ValueError, match=r"compute capability 8.0"):
        reducer("triton", CUDA)


def test_other_devices_are_left_to_torch(fresh_warnings: None) -> None:
    with pytest.raises(ValueError, match="written for CUDA devices"):
        reducer("triton", torch.device("meta"))
    assert isinstance(reducer("auto", torch.device("meta")), TorchReducer)


def test_what_a_compiler_raises(monkeypatch: pytest.MonkeyPatch, fresh_warnings: None) -> None:
    """A wrong result on the device is such an error, too: see `triton/check`."""

    def broken(*args: object) -> NoReturn:
        raise RuntimeError("ptxas is missing")

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(backends, "_triton_reducer", broken)
    with pytest.raises(RuntimeError, match="ptxas is missing"):
        reducer("triton", CUDA)
    with pytest.warns(RuntimeWarning, match="RuntimeError: ptxas is missing"):
        assert isinstance(reducer("auto", CUDA), TorchReducer)


@pytest.mark.parametrize("backend", ["cuda", "Triton", "", None])
def test_unknown_backends(backend: str) -> None:
    with pytest.raises(ValueError, match=r"unknown backend .*expected one of auto, triton, numba, torch"):
        gradprof.measure(torch.ones(3), backend=backend)


@interpreted
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("threshold", THRESHOLDS, ids=repr)
def test_thresholds_of_any_kind_of_number(backend: str, threshold: float) -> None:
    """Compared exactly, by every backend, for float64 and for float32."""
    values = [0.0, 5e-324, 0.1, 1 / 3, math.nextafter(1 / 3, 1), 1.0, math.nextafter(1, 2), 2.0**60, 1.7e308]
    wide = torch.tensor([*values, math.inf, math.nan], dtype=torch.float64)
    for tensor in (wide, wide.float()):
        stats = gradprof.measure(tensor, threshold, backend=backend)
        finite = [value for value in tensor.tolist() if math.isfinite(value)]
        assert stats.n_above == sum(Fraction(value) >= exact(threshold) for value in finite)


def exact(number: Any) -> Any:
    """inf as it is: it is more than any fraction."""
    if number == math.inf:
        return number
    if isinstance(number, Integral):
        return int(number)
    return Fraction(*number.as_integer_ratio())


@pytest.mark.parametrize("threshold", THRESHOLDS, ids=repr)
def test_a_threshold_becomes_the_least_float_that_counts_the_same(threshold: Any) -> None:
    plain = as_threshold(threshold)
    assert type(plain) is float
    assert plain == math.inf or exact(plain) >= exact(threshold)
    assert plain == 0 or exact(math.nextafter(plain, 0)) < exact(threshold)


WITHOUT_TRITON = """
import sys, torch
sys.modules["triton"] = None
import gradprof
assert gradprof.measure(torch.ones(3)).l2 > 1.7
try:
    gradprof.measure(torch.ones(3), backend="triton")
except ValueError as error:
    assert "triton cannot be imported" in str(error) and "pip install triton" in str(error), error
else:
    raise AssertionError("measured without triton")
"""

TRITON_IS_NOT_IMPORTED = """
import sys, torch
import gradprof
imported = "triton" in sys.modules  # some torch builds import it themselves
gradprof.measure(torch.ones(3))
assert not any(name.startswith("gradprof.kernels.triton") for name in sys.modules)
assert ("triton" in sys.modules) == imported
{import_it}
assert not any(name.startswith("gradprof.kernels.triton") for name in sys.modules)
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


WITHOUT_NUMBA = """
import sys, torch
sys.modules["numba"] = None
import gradprof
try:
    gradprof.measure(torch.ones(3), backend="numba")
except ValueError as error:
    assert "numba cannot be imported" in str(error) and "gradprof[cpu]" in str(error), error
else:
    raise AssertionError("measured without numba")
assert gradprof.measure(torch.ones(3), backend="torch").l2 > 1.7
"""


def test_without_numba_torch_does_the_work() -> None:
    done = run(WITHOUT_NUMBA)
    assert done.returncode == 0, done.stderr


def test_without_triton_everything_else_works() -> None:
    done = run(WITHOUT_TRITON)
    assert done.returncode == 0, done.stderr


def test_triton_is_imported_only_where_it_is_used() -> None:
    done = run(TRITON_IS_NOT_IMPORTED.format(import_it=""))
    assert done.returncode == 0, done.stderr
    done = run(TRITON_IS_NOT_IMPORTED.format(import_it="import gradprof.kernels.triton.reducer"))
    assert "AssertionError" in done.stderr, "the test before this one cannot fail"
