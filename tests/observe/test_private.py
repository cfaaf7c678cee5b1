"""A name that torch does not promise may be missing: one warning, and the training goes on."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import pytest
import torch
from models import mlp

import gradprof
from gradprof.observe import private
from gradprof.observe.private import NAMES, PrivateName

HERE = Path(private.__file__).parent


def train(logdir: Path, **keywords: object) -> tuple[list[torch.Tensor], list[str]]:
    """The parameters after three steps under a scaler, and what was warned of."""
    torch.manual_seed(0)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with gradprof.watch(model, logdir, optimizer=optimizer, grad_scaler=scaler, **keywords):  # type: ignore[arg-type]
            for step in range(3):
                optimizer.zero_grad()
                loss = model(torch.randn(2, 5)).sum()
                scaler.scale(loss * (float("inf") if step == 1 else 1)).backward()
                scaler.step(optimizer)
                scaler.update()
    return [param.detach().clone() for param in model.parameters()], [str(w.message) for w in caught]


def remove(name: PrivateName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torch not know it: look for one that it never had."""
    object_path, _, last = name.path.rpartition(".")
    monkeypatch.setitem(name.__dict__, "path", ".".join(filter(None, (object_path, f"{last}_is_gone"))))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name.path)
def test_each_in_turn(name: PrivateName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, said = train(tmp_path / "all")
    assert said == []
    remove(name, monkeypatch)
    weights, said = train(tmp_path / "one less")
    assert all(torch.equal(a, b) for a, b in zip(weights, expected, strict=True))
    assert len(said) == 1
    assert name.path in said[0]
    assert name.without in said[0]
    run = gradprof.load(tmp_path / "one less")
    assert len(run.steps) >= 2
    outputs = run.sites.index("output/2")
    assert run.table("numel")[0, outputs] == 6


def test_strict_raises_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove(NAMES[0], monkeypatch)
    with pytest.raises(RuntimeError, match="_current_graph_task_id"):
        train(tmp_path / "run", strict=True)
    assert not (tmp_path / "run").exists()


def test_without_the_graph_task_a_backward_that_raised_costs_no_later_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove(private.GRAPH_TASK, monkeypatch)
    model = mlp()

    def explode(_grad: torch.Tensor) -> None:
        raise ArithmeticError("mine")

    with pytest.warns(RuntimeWarning, match="_current_graph_task_id"):
        prof = gradprof.watch(model, tmp_path)
    with prof:
        loss = model(torch.randn(2, 5)).sum()
        handle = model[0].weight.register_hook(explode)
        with pytest.raises(ArithmeticError, match="mine"):
            loss.backward()
        handle.remove()
        prof.step()
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
        assert "param/0.weight" in prof.last


def test_every_private_name_in_use_is_in_the_table() -> None:
    listed = {part for name in NAMES for part in name.path.split(".") if part.startswith("_")}
    listed |= {"_C"}
    for file in HERE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Attribute)
                and node.attr.startswith("_")
                and not node.attr.startswith("__")
            ):
                own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
                assert own or node.attr in listed, f"{file.name}: {node.attr}"
