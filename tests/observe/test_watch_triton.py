"""A whole watched training with Triton's reductions: in the interpreter, and on a device without a stall."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import ByHand, assert_stats_match
from devices import AT_EACH_PLACE, ON_CUDA
from models import MODELS, mlp

import gradprof
from gradprof.kernels.torch.reducer import empty_table
from gradprof.kernels.triton.check import check_on_device
from gradprof.kernels.triton.reducer import TritonReducer


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each kernel was launched, but for the check of a device that comes first."""
    if torch.cuda.is_available() and "TRITON_INTERPRET" not in os.environ:
        check_on_device(torch.device("cuda", torch.cuda.current_device()))
    counted: Counter[str] = Counter()
    launcher = TritonReducer._launcher

    def counting(self: TritonReducer, kernel: Any, dtype_set: int, scaled: bool) -> Any:
        launch = launcher(self, kernel, dtype_set, scaled)

        def count(programs: int, arguments: tuple[int, ...]) -> None:
            counted[kernel.__name__] += 1
            launch(programs, arguments)

        return count

    monkeypatch.setattr(TritonReducer, "_launcher", counting)
    return counted


@AT_EACH_PLACE
@pytest.mark.parametrize("name", MODELS)
def test_every_site_is_recorded_as_it_was(
    place: str, name: str, tmp_path: Path, launches: Counter[str]
) -> None:
    """And one launch does all parameters, one each output."""
    torch.manual_seed(0)
    with torch.device(place):
        model, loss = MODELS[name]()
        by_hand = ByHand(model, ("output",))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        with gradprof.watch(model, tmp_path, optimizer=optimizer, backend="triton") as prof:
            for step in range(1 if name == "resnet18" else 2):
                loss(model).backward()
                n_seen = {label: len(grads) for label, grads in by_hand.grads.items()}
                expected = by_hand.take()
                optimizer.step()
                optimizer.zero_grad()
                for label, stats in prof.last.items():
                    assert_stats_match(stats, expected[label])
                n_outputs = sum(n_seen.get(label, 0) for label in prof.last)
                assert n_outputs > 0
                assert launches == {"reduce_many": step + 1, "reduce_tensor": (step + 1) * n_outputs}


@AT_EACH_PLACE
def test_accumulation_unscaling_and_options(place: str, tmp_path: Path, launches: Counter[str]) -> None:
    """Micro-batches: parameters are reduced after each backward pass, the last one counts."""
    torch.manual_seed(0)
    model = mlp().to(place)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler(place, init_scale=2.0**10)
    x = torch.randn(8, next(model.parameters()).shape[1], device=place)
    with gradprof.watch(
        model,
        tmp_path,
        optimizer=optimizer,
        backend="triton",
        grad_scaler=scaler,
        threshold=0.05,
        locate=True,
    ) as prof:
        for _ in range(2):
            scaler.scale(model(x).square().mean()).backward()
        grads = {name: param.grad.clone() / 2**10 for name, param in model.named_parameters()}
        scaler.step(optimizer)
        scaler.update()
        for name, grad in grads.items():
            stats = prof.last[f"param/{name}"]
            assert stats.abs_max == grad.abs().max()
            assert stats.n_above == (grad.abs() >= 0.05).sum()
            assert stats.argmax == grad.abs().argmax()
            assert stats.numel == grad.numel()
    assert launches["reduce_many"] == 2


@AT_EACH_PLACE
def test_the_run_equals_that_of_the_torch_backend(place: str, tmp_path: Path) -> None:
    """As it stands in the files."""
    runs = []
    for backend in ("triton", "torch"):
        torch.manual_seed(0)
        model = mlp().to(place)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        x = torch.randn(8, next(model.parameters()).shape[1], device=place)
        with gradprof.watch(model, tmp_path / backend, optimizer=optimizer, backend=backend):
            for _ in range(3):
                model(x).square().mean().backward()
                optimizer.step()
                optimizer.zero_grad()
        runs.append(gradprof.load(tmp_path / backend))
    triton, plain = runs
    assert triton.sites == plain.sites
    for field in ("abs_max", "abs_min", "n_zero", "n_above", "numel"):
        np.testing.assert_array_equal(triton.table(field), plain.table(field))
    np.testing.assert_allclose(triton.table("l2"), plain.table("l2"), rtol=1e-6)
    for site in triton.sites:
        np.testing.assert_array_equal(triton.hist(site), plain.hist(site))


@ON_CUDA
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_the_host_never_waits_nothing_is_compiled_and_memory_is_flat(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS["resnet18"]()[0].to(place)
    images, labels = torch.randn(8, 3, 32, 32, device=place), torch.randint(4, (8,), device=place)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradprof.watch(model, tmp_path, optimizer=optimizer, backend="triton") as prof:

        def step() -> None:
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad()

        for _ in range(5):
            step()
        torch.cuda.synchronize()

        def refuse(*args: object) -> None:
            raise AssertionError("compiled in the middle of training")

        monkeypatch.setattr("gradprof.kernels.triton.reducer.launcher", refuse)
        before = torch.cuda.memory_allocated()
        try:
            torch.cuda.set_sync_debug_mode("error")  # torch raises if it makes the host wait
            for _ in range(20):
                step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
        torch.cuda.synchronize()
        assert torch.cuda.memory_allocated() == before
        assert prof.last.step == 24


@ON_CUDA
def test_more_than_2_to_the_31_elements(place: str) -> None:
    if torch.cuda.mem_get_info()[0] < 24 << 30:
        pytest.skip("needs 24 GiB of free device memory")
    n = 2**31 + 4099
    x = torch.zeros(n, dtype=torch.bfloat16, device=place)
    x[-1], x[5], x[2**31] = 3.0, -0.5, float("nan")
    stats = gradprof.measure(x, locate=True, backend="triton")
    assert (stats.numel, stats.n_zero, stats.n_nan, stats.argmax) == (n, n - 3, 1, n - 1)
    assert (stats.abs_max, stats.abs_min, stats.l1) == (3.0, 0.5, 3.5)
    assert stats.hist.sum() == 2


@ON_CUDA
def test_streams_do_not_meet_in_scratch(place: str) -> None:
    reducer = TritonReducer(torch.device(place))
    x = torch.randn(8 << 20, device=place)
    tables = [empty_table(1, place) for _ in range(4)]
    streams = [torch.cuda.Stream() for _ in tables]
    torch.cuda.synchronize()
    for _ in range(25):
        for table, stream in zip(tables, streams, strict=True):
            with torch.cuda.stream(stream):
                reducer.reduce_into(table, 0, x)
    torch.cuda.synchronize()
    for table in tables[1:]:
        assert torch.equal(table, tables[0])
    assert tables[0][0, 1] == 25 * x.numel()
