"""Watching changes nothing, leaves nothing behind, and does not grow."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from models import MODELS, mlp
from torch import nn

import gradprof


def train(name: str, logdir: Path | None, n_steps: int = 5) -> tuple[Any, ...]:
    """Everything that training leaves behind, watched or not."""
    torch.manual_seed(1)
    model, loss_of = MODELS[name]()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    prof = None
    if logdir is not None:
        prof = gradprof.watch(model, logdir, optimizer=optimizer, observe=("param", "output", "input"))
    losses = []
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        if prof is not None:
            prof.log(loss=loss)
    if prof is not None:
        prof.close()
    return model.state_dict(), optimizer.state_dict(), torch.get_rng_state(), losses


def assert_identical(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert torch.equal(a.view(-1).view(torch.uint8), b.view(-1).view(torch.uint8))
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_identical(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for left, right in zip(a, b, strict=True):
            assert_identical(left, right)
    else:
        assert a == b


@pytest.mark.parametrize("name", MODELS)
def test_training_is_bit_identical(name: str, tmp_path: Path) -> None:
    assert_identical(train(name, None), train(name, tmp_path))


def test_the_comparison_can_fail() -> None:
    state = train("twice", None)
    with pytest.raises(AssertionError):
        assert_identical(state, train("twice", None, n_steps=6))


def traces(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """All that hooks and attributes could hide in."""
    found: dict[str, Any] = {"optimizer": copy.copy(vars(optimizer).get("_optimizer_step_post_hooks"))}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            if key not in ("_parameters", "_modules", "_buffers"):
                found[f"{name}.{key}"] = copy.copy(value) if isinstance(value, dict) else value
    for name, param in model.named_parameters():
        found[name] = (param._backward_hooks, param._post_accumulate_grad_hooks, sorted(vars(param)))
    return found


@pytest.mark.parametrize("name", MODELS)
def test_close_leaves_the_model_as_it_was(name: str, tmp_path: Path) -> None:
    model, loss_of = MODELS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = traces(model, optimizer)
    prof = gradprof.watch(model, tmp_path, optimizer=optimizer, observe=("param", "output", "input"))
    loss_of(model).backward()
    optimizer.step()
    assert traces(model, optimizer) != before
    prof.close()
    assert traces(model, optimizer) == before


def test_close_keeps_other_peoples_hooks(tmp_path: Path) -> None:
    model = mlp()
    seen = []
    model[0].register_forward_hook(lambda *_: seen.append("forward"))
    model[0].weight.register_post_accumulate_grad_hook(lambda _: seen.append("accumulated"))
    gradprof.watch(model, tmp_path).close()
    model(torch.randn(2, 5)).sum().backward()
    assert seen == ["forward", "accumulated"]


def test_the_profiler_and_its_thread_are_gone_after_close(tmp_path: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    model = mlp()
    prof = gradprof.watch(model, tmp_path)
    assert {thread.name for thread in threading.enumerate()} > before
    model(torch.randn(2, 5)).sum().backward()
    prof.step()
    prof.close()
    assert {thread.name for thread in threading.enumerate()} == before
    del prof
    gc.collect()
    assert not [obj for obj in gc.get_objects() if type(obj) is gradprof.Profiler]


def test_a_graph_that_outlives_the_profiler_still_works(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path):
        loss = model(torch.randn(2, 5)).sum()
    loss.backward()
    assert model[0].weight.grad is not None


def test_a_copy_of_a_watched_model_is_not_watched(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path, strict=True) as prof:
        clone = copy.deepcopy(model)
        buffer = io.BytesIO()
        torch.save(model, buffer)
        buffer.seek(0)
        loaded = torch.load(buffer, weights_only=False)
        pickle.loads(pickle.dumps(model))
        for other in (clone, loaded):
            other(torch.randn(3, 5)).sum().backward()
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
        assert prof.last["output/2"].numel == 6


def test_two_profilers_coexist(tmp_path: Path) -> None:
    one, two = mlp(), mlp()
    with gradprof.watch(one, tmp_path / "1") as p, gradprof.watch(two, tmp_path / "2") as q:
        one(torch.randn(2, 5)).sum().backward()
        two(torch.randn(4, 5)).sum().backward()
        p.step()
        q.step()
        assert (p.last["output/2"].numel, q.last["output/2"].numel) == (6, 12)


def test_memory_is_flat_over_2000_steps(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    x = torch.randn(4, 5)

    def steps(n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            loss = model(x).square().sum()
            loss.backward()
            optimizer.step()
            prof.log(loss=loss)

    with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
        steps(200)
        gc.collect()
        objects, resident = len(gc.get_objects()), resident_bytes()
        steps(2000)
        gc.collect()
        assert len(gc.get_objects()) - objects < 2000 // 4
        assert resident_bytes() - resident < 24 << 20


def resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS in /proc/self/status")
