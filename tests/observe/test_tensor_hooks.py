"""Hooks on tensors are for one step or for one tensor, and closing takes every one off."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from models import mlp
from torch import Tensor, nn

import gradprof


class Returning(nn.Module):
    """Returns a tensor that lives for longer than a step."""

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.kept = kept

    def forward(self, x: Tensor) -> Tensor:
        return self.kept


class WithPrompt(nn.Module):
    """A leaf module returns a parameter of its parent's."""

    def __init__(self) -> None:
        super().__init__()
        self.prompt = nn.Parameter(torch.ones(4))
        self.give = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.give(self.prompt)


def counts(model: nn.Module, x: Tensor, logdir: Path, label: str, n_passes: int = 1) -> list[int]:
    """Values seen at one site in each of four steps of `n_passes` passes."""
    seen = []
    with gradprof.watch(model, logdir, observe=("output", "input"), strict=True) as prof:
        for _ in range(4):
            for _ in range(n_passes):
                model(x).sum().backward(retain_graph=True)
            prof.step()
            seen.append(prof.last[label].numel)
    return seen


def test_a_leaf_tensor_that_passes_through_counts_once_a_step(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Identity(), nn.Linear(4, 1))
    x = torch.randn(1, 4, requires_grad=True)
    assert counts(model, x, tmp_path / "1", "output/0") == [4, 4, 4, 4]
    assert counts(model, x, tmp_path / "2", "input/0") == [4, 4, 4, 4]
    assert counts(model, x, tmp_path / "3", "output/0", n_passes=3) == [12, 12, 12, 12]
    assert not x._backward_hooks


def test_the_hook_on_a_leaf_is_for_the_step_in_which_it_passed_through(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Identity(), nn.Linear(4, 1))
    x = torch.randn(1, 4, requires_grad=True)
    with gradprof.watch(model, tmp_path, observe=("output", "input"), strict=True) as prof:
        model(x).sum().backward()
        assert x._backward_hooks
        prof.step()
        assert x._backward_hooks is None
        model[1](x).sum().backward()  # the same tensor, and not through the first module
        prof.step()
        assert set(prof.last) == {"output/1", "input/1"}


def test_a_parameter_that_a_module_returns_counts_once_a_step(tmp_path: Path) -> None:
    model = WithPrompt()
    assert counts(model, torch.randn(1, 4), tmp_path, "output/give") == [4, 4, 4, 4]
    assert model.prompt._backward_hooks is None, "left as it was found"


def test_a_tensor_of_a_graph_that_is_kept_counts_once_a_step(tmp_path: Path) -> None:
    source = torch.randn(4, requires_grad=True)
    model = nn.Sequential(Returning(source * 2), nn.Linear(4, 1))
    assert counts(model, torch.zeros(1), tmp_path, "output/0") == [4, 4, 4, 4]


def test_hooks_of_others_on_such_a_tensor_stay(tmp_path: Path) -> None:
    x = torch.randn(1, 4, requires_grad=True)
    seen: list[Tensor] = []
    x.register_hook(seen.append)
    model = nn.Sequential(nn.Identity(), nn.Linear(4, 1))
    counts(model, x, tmp_path, "output/0")
    model(x).sum().backward()
    assert len(seen) == 5


class Doubling(nn.Module):
    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2) if self.inplace else x * 2


@pytest.mark.parametrize("inplace", [True, False])
def test_one_module_called_twice_in_a_row_counts_both(inplace: bool, tmp_path: Path) -> None:
    """Changed in place, a tensor has another gradient than before, though it is the same object."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.doubling = Doubling(inplace)

        def forward(self, x: Tensor) -> Tensor:
            return self.doubling(self.doubling(self.first(x)))

    assert counts(Twice(), torch.randn(2, 4), tmp_path, "output/doubling") == [16] * 4


def test_closing_takes_the_hooks_off_tensors_of_passes_in_flight(tmp_path: Path) -> None:
    model = mlp()
    x = torch.randn(2, 5, requires_grad=True)
    kept: list[Tensor] = []
    handle = model[0].register_forward_hook(lambda *args: kept.append(args[-1]))
    with gradprof.watch(model, tmp_path, observe=("output", "input")):
        loss = model(x).sum()
        assert kept[0]._backward_hooks
        assert x._backward_hooks
    handle.remove()
    assert not kept[0]._backward_hooks
    assert not x._backward_hooks
    loss.backward()
    assert x.grad is not None


@pytest.mark.parametrize("observe", ["output", "input"])
def test_a_step_that_never_ends_keeps_no_hooks_of_tensors_that_are_gone(observe: str, tmp_path: Path) -> None:
    model = nn.Sequential(*(nn.Identity() for _ in range(10)), nn.Linear(4, 1))
    prof = gradprof.watch(model, tmp_path, observe=observe)
    for _ in range(300):
        model(torch.randn(2, 4, requires_grad=True)).sum().backward()
    hooks = prof._observer.tensor_hooks
    assert len(hooks._handles) + len(hooks._on_leaves) <= 1000
    with pytest.warns(RuntimeWarning, match="saw no end of a step"):
        prof.close()
    assert gradprof.load(tmp_path).record(0)[prof.sites[0]].numel == 300 * 8
