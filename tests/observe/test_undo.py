"""Whatever fails, and whenever: what was done is undone, and what is to be said is said last."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from models import mlp
from torch import nn

import gradprof
from gradprof.write.event_file import EventFile


def leftovers(model: nn.Module) -> list[Any]:
    """What a watch leaves while it lasts: hooks, and threads of its own."""
    hooks = [hook for module in model.modules() for hook in module._forward_pre_hooks.values()]
    hooks += [hook for module in model.modules() for hook in module._forward_hooks.values()]
    hooks += [param for param in model.parameters() if param._post_accumulate_grad_hooks]
    return hooks + [thread for thread in threading.enumerate() if "gradprof" in thread.name]


def test_what_is_looked_for_is_there_while_watched(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path):
        assert len(leftovers(model)) == 1 + 3 + 4 + 1
    assert leftovers(model) == []


@pytest.mark.parametrize("strict", [False, True])
def test_a_warning_that_is_an_error_comes_after_closing(strict: bool, tmp_path: Path) -> None:
    model = mlp()
    prof = gradprof.watch(model, tmp_path, strict=strict)
    model(torch.randn(2, 5)).sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="saw no end of a step"):
            prof.close()
    assert leftovers(model) == []
    prof.close()
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == [0]
    assert not run.truncated


def test_a_last_step_that_fails_is_raised_after_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradprof.observe.ring import Slot

    model = mlp()
    prof = gradprof.watch(model, tmp_path, strict=True)
    model(torch.randn(2, 5)).sum().backward()
    prof.step()
    model(torch.randn(2, 5)).sum().backward()
    prof.log(loss=0.5)

    def refuse(*_: Any) -> None:
        raise RuntimeError("no memory to pin")

    monkeypatch.setattr(Slot, "fill", refuse)
    with pytest.raises(RuntimeError, match="no memory to pin"):
        prof.close()
    assert leftovers(model) == []
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == [0]
    assert run.scalars["loss"].steps.tolist() == [1]


class Bare(torch.optim.Optimizer):
    """An optimizer that never called torch's constructor: it has no registry of hooks."""

    def __init__(self, params: Any) -> None:
        self.param_groups = [{"params": list(params)}]


def test_an_optimizer_without_a_registry_of_hooks(tmp_path: Path) -> None:
    model = mlp()
    with pytest.raises(ValueError, match=r"this Bare cannot say when it steps.*call prof.step\(\)"):
        gradprof.watch(model, tmp_path / "new" / "run", optimizer=Bare(model.parameters()))
    assert leftovers(model) == []
    assert list(tmp_path.iterdir()) == []
    gradprof.watch(model, tmp_path / "new" / "run").close()


def test_a_failed_watch_leaves_a_directory_that_was_there(tmp_path: Path) -> None:
    model = mlp()
    with pytest.raises(ValueError, match="cannot say when it steps"):
        gradprof.watch(model, tmp_path, optimizer=Bare(model.parameters()))
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_watch_leaves_no_default_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = mlp()
    with pytest.raises(ValueError, match="cannot say when it steps"):
        gradprof.watch(model, optimizer=Bare(model.parameters()))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.parametrize(
    ("logdir", "error", "message"),
    [
        (5, TypeError, r"logdir is 5: expected a directory"),
        (b"runs", TypeError, r"logdir is b'runs': expected"),
        ("a\0b", ValueError, r"logdir is 'a\\x00b': expected the name of a directory"),
        ("", ValueError, r"logdir is ''"),
    ],
)
def test_an_invalid_directory(logdir: Any, error: type[Exception], message: str) -> None:
    model = mlp()
    with pytest.raises(error, match=message):
        gradprof.watch(model, logdir)
    assert leftovers(model) == []


def test_a_hook_that_cannot_be_put_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = mlp()

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no hooks today")

    monkeypatch.setattr(model[2], "register_forward_hook", refuse)
    with pytest.raises(RuntimeError, match="no hooks today"):
        gradprof.watch(model, tmp_path / "run")
    assert leftovers(model) == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["thread", "file"])
def test_a_run_that_cannot_be_begun_keeps_nobody_out_of_its_directory(
    where: str, failure: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def fail(of: threading.Thread | EventFile) -> None:
        if isinstance(of, threading.Thread) and of.name != "gradprof-writer":
            start(of)
        else:
            raise failure("it cannot be begun")

    with monkeypatch.context() as patched:
        patched.setattr(*((threading.Thread, "start") if where == "thread" else (EventFile, "flush")), fail)
        with pytest.raises(failure):
            gradprof.watch(mlp(), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    gradprof.watch(mlp(), tmp_path / "run").close()


def test_values_logged_in_a_step_that_never_ended_are_kept(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(model, tmp_path / "1", optimizer=optimizer) as prof:
        model(torch.randn(2, 5)).sum().backward()
        optimizer.step()
        model(torch.randn(2, 5))
        prof.log(loss=3.0)
    assert gradprof.load(tmp_path / "1").scalars["loss"].steps.tolist() == [1]
    with gradprof.watch(model, tmp_path / "2", optimizer=optimizer, every=lambda _: False) as prof:
        model(torch.randn(2, 5)).sum().backward()
        prof.log(loss=4.0)
    loss = gradprof.load(tmp_path / "2").scalars["loss"]
    assert (loss.steps.tolist(), loss.values.tolist()) == ([0], [4.0])
