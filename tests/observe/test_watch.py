"""What is recorded is what the gradients were, on models with the traps of real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import ByHand, assert_stats_match
from models import MODELS, mlp
from torch import Tensor, nn

import gradprof


@pytest.mark.parametrize("name", MODELS)
def test_every_site_is_recorded_as_it_was(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, loss_of = MODELS[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    by_hand = ByHand(model, ("output", "input"))
    taken = []
    with gradprof.watch(
        model, tmp_path, optimizer=optimizer, observe=("param", "output", "input"), strict=True
    ) as prof:
        for _ in range(4):
            optimizer.zero_grad()
            loss_of(model).backward()
            taken.append(by_hand.take())
            optimizer.step()
            assert set(prof.last) <= set(taken[-1])
            for label, stats in prof.last.items():
                assert_stats_match(stats, taken[-1][label])
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == [0, 1, 2, 3]
    params = [label for label in run.sites if label.startswith("param/")]
    assert params == [f"param/{name}" for name, _ in model.named_parameters()]
    for i, values in enumerate(taken):
        record = run.record(i)
        assert len(record) > len(params)
        for label, stats in record.items():
            assert_stats_match(stats, values[label])


def test_attention_is_one_site_and_its_uncalled_projection_none(tmp_path: Path) -> None:
    model, _ = MODELS["vit"]()
    with gradprof.watch(model, tmp_path, observe="output") as prof:
        outputs = [label for label in prof.sites if "self_attention" in label]
    assert outputs == [f"output/encoder.layers.encoder_layer_{i}.self_attention" for i in (0, 1)]


def test_a_parametrized_module_is_one_site(tmp_path: Path) -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), nn.ReLU())
    with gradprof.watch(model, tmp_path, observe="output") as prof:
        assert prof.sites == ["output/0", "output/1"]
        model(torch.randn(4, 3)).sum().backward()
        prof.step()
        assert set(prof.last) == {"output/0", "output/1"}


def test_a_model_that_is_a_leaf_is_named_after_its_class(tmp_path: Path) -> None:
    with gradprof.watch(nn.Linear(2, 2), tmp_path) as prof:
        assert prof.sites == ["param/weight", "param/bias", "output/Linear"]


def test_a_parameter_without_a_gradient_has_no_row(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
        for use_all in (True, False):
            optimizer.zero_grad(set_to_none=False)
            (model(torch.randn(2, 5)) if use_all else model[0](torch.randn(2, 5))).sum().backward()
            optimizer.step()
        assert "param/0.weight" in prof.last
        assert "param/2.weight" not in prof.last
        with pytest.raises(KeyError, match=r"no gradient reached 'param/2.weight' in step 1"):
            prof.last["param/2.weight"]
    table = gradprof.load(tmp_path).table("l2")
    column = prof.sites.index("param/2.weight")
    assert np.isnan(table[:, column]).tolist() == [False, True]


def test_frozen_parameters_are_no_sites(tmp_path: Path) -> None:
    model = mlp()
    model[0].requires_grad_(False)
    with gradprof.watch(model, tmp_path, observe="param") as prof:
        assert prof.sites == ["param/2.weight", "param/2.bias"]


def test_a_sparse_gradient_counts_its_implicit_zeros(tmp_path: Path) -> None:
    model = nn.Embedding(100, 4, sparse=True)
    with gradprof.watch(model, tmp_path, observe="param", strict=True) as prof:
        model(torch.tensor([3, 3, 7])).sum().backward()
        prof.step()
        stats = prof.last["param/weight"]
    assert (stats.numel, stats.n_zero, stats.abs_max) == (400, 392, 2.0)


def test_include_and_exclude_choose_sites(tmp_path: Path) -> None:
    with gradprof.watch(mlp(), tmp_path, include=("param/*", "output/2"), exclude="*.bias") as prof:
        assert prof.sites == ["param/0.weight", "param/2.weight", "output/2"]


def test_threshold_and_locate_reach_the_reduction(tmp_path: Path) -> None:
    model = nn.Linear(3, 1, bias=False)
    with gradprof.watch(model, tmp_path, observe="param", threshold=2.0, locate=True) as prof:
        (model(torch.tensor([[1.0, -3.0, 2.0]]))).sum().backward()
        prof.step()
        stats = prof.last["param/weight"]
    assert (stats.n_above, stats.argmax) == (2, 1)
    assert gradprof.load(tmp_path).threshold == 2.0


def test_watching_may_begin_in_inference_mode(tmp_path: Path) -> None:
    model = mlp()
    with torch.inference_mode():
        prof = gradprof.watch(model, tmp_path, strict=True)
    for _ in range(2):
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
    prof.close()
    assert gradprof.load(tmp_path).steps.tolist() == [0, 1]


def test_outputs_of_no_grad_passes_are_not_observed(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        with torch.no_grad():
            model(torch.randn(2, 5))
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
        assert prof.last["output/2"].numel == 6


class NoGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> None:  # type: ignore[override]
        return None


def test_a_function_that_gives_no_gradient_leaves_no_row(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path, strict=True) as prof:
        model[2](model[1](NoGradient.apply(model[0](torch.randn(2, 5))))).sum().backward()
        prof.step()
        assert set(prof.sites) - set(prof.last) == {"param/0.weight", "param/0.bias", "output/0"}
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
        assert set(prof.sites) == set(prof.last)


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpointed_modules_are_observed_once(use_reentrant: bool, tmp_path: Path) -> None:
    from torch.utils.checkpoint import checkpoint

    model = mlp()
    x = torch.randn(2, 5, requires_grad=True)
    with gradprof.watch(model, tmp_path, observe=("param", "output", "input"), strict=True) as prof:
        checkpoint(model, x, use_reentrant=use_reentrant).sum().backward()
        prof.step()
        assert prof.last["output/2"].numel == 6
        assert prof.last["input/0"].numel == 10, "given twice, to the forward pass and to its repetition"
        assert prof.last["param/0.weight"].l2 == pytest.approx(float(model[0].weight.grad.norm()), rel=1e-6)


def test_a_backward_pass_within_another_loses_none_of_its_parameters(tmp_path: Path) -> None:
    from torch.utils.checkpoint import checkpoint

    model = mlp()
    x = torch.randn(2, 5, requires_grad=True)
    with gradprof.watch(model, tmp_path, observe="param", strict=True) as prof:
        # The outer pass meets the head first; the inner one recomputes the rest in the middle of it.
        model[2](checkpoint(model[:2], x, use_reentrant=True)).square().sum().backward()
        prof.step()
        assert list(prof.last) == prof.sites
        for name, param in model.named_parameters():
            assert prof.last[f"param/{name}"].abs_max == float(param.grad.abs().max())


def test_a_retained_double_backward_works(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path, strict=True) as prof:
        x = torch.randn(2, 5, requires_grad=True)
        (grad,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        grad.square().sum().backward()
        prof.step()
        assert prof.last["param/0.weight"].abs_max == float(model[0].weight.grad.abs().max())


def test_a_compiled_model_keeps_its_graph_and_its_parameters_are_seen(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path, strict=True) as prof:
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        compiled(torch.randn(2, 5)).sum().backward()
        prof.step()
        assert prof.last["param/2.weight"].abs_max == float(model[2].weight.grad.abs().max())


def test_what_cannot_be_seen_under_torch_func_breaks_no_training(tmp_path: Path) -> None:
    model = mlp()
    params = dict(model.named_parameters())

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(model, params, (x,)).sum()

    with gradprof.watch(model, tmp_path) as prof:
        with pytest.warns(RuntimeWarning, match="stopped observing 'output/[012]'"):
            grads = torch.func.grad(loss)(params, torch.randn(2, 5))
        assert grads.keys() == params.keys()
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
        assert {label for label in prof.last if label.startswith("param/")} == {
            label for label in prof.sites if label.startswith("param/")
        }


def test_integer_outputs_are_passed_over(tmp_path: Path) -> None:
    class Quantizer(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.argmax(-1)

    model = nn.Sequential(nn.Linear(4, 3), Quantizer(), nn.Embedding(3, 2))
    with gradprof.watch(model, tmp_path, strict=True) as prof:
        model(torch.randn(5, 4)).sum().backward()
        prof.step()
        assert set(prof.last) == {"param/2.weight", "output/2"}
