"""What belongs to which step."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from models import mlp
from torch import nn

import gradprof
from gradprof.observe.ring import Ring, Slot
from gradprof.observe.step import Step
from gradprof.write.thread import WriterThread


def backward(model: nn.Module, batch: int = 2) -> torch.Tensor:
    loss = model(torch.randn(batch, 5)).square().sum()
    loss.backward()
    return loss


def test_the_optimizer_ends_steps(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
        for _ in range(3):
            backward(model)
            optimizer.step()
        assert prof.last.step == 2
        with pytest.raises(RuntimeError, match="already ends the steps"):
            prof.step()
    assert gradprof.load(tmp_path).steps.tolist() == [0, 1, 2]


def test_micro_batches_merge_outputs_and_accumulate_parameters(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
        for _ in range(3):
            optimizer.zero_grad()
            for batch in (2, 3, 4):
                backward(model, batch)
            accumulated = model[0].weight.grad.clone()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()
            assert prof.last["output/2"].numel == 9 * 3
            stats = prof.last["param/0.weight"]
            assert stats.numel == accumulated.numel()
            assert stats.abs_max == float(accumulated.abs().max())


def test_a_parameter_touched_by_an_early_micro_batch_only_is_kept(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        backward(model)
        model[0](torch.randn(2, 5)).sum().backward()
        prof.step()
        for label, param in (("param/0.weight", model[0].weight), ("param/2.weight", model[2].weight)):
            assert prof.last[label].abs_max == float(param.grad.abs().max())


def test_a_step_without_a_backward_is_a_step_of_no_rows(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
        backward(model)
        optimizer.step()
        optimizer.step()
        assert len(prof.last) == 0
        backward(model)
        optimizer.step()
    seen = ~np.isnan(gradprof.load(tmp_path).table("l2"))
    assert [row.all() or bool(row.any()) for row in seen] == [True, False, True]


def test_every_n_and_every_function(tmp_path: Path) -> None:
    for i, (every, expected) in enumerate([(3, [0, 3, 6]), (lambda step: step in (1, 5), [1, 5])]):
        model = mlp()
        with gradprof.watch(model, tmp_path / str(i), every=every) as prof:
            for step in range(8):
                loss = backward(model)
                prof.step()
                prof.log(loss=loss, step_number=step)
        run = gradprof.load(tmp_path / str(i))
        assert run.steps.tolist() == expected
        assert run.scalars["step_number"].steps.tolist() == list(range(8))
        assert run.scalars["step_number"].values.tolist() == list(range(8))


@pytest.mark.parametrize("strict", [False, True])
def test_a_function_of_every_that_fails_costs_the_step_it_failed_for(strict: bool, tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(
        model, tmp_path, optimizer=optimizer, every=lambda step: 6 % (step - 2) == 0, strict=strict
    ) as prof:
        for step in range(6):
            backward(model)
            prof.log(loss=step)
            if step != 1:
                optimizer.step()
            elif strict:
                with pytest.raises(ZeroDivisionError):
                    optimizer.step()
            else:
                with pytest.warns(
                    RuntimeWarning, match="not observe step 2, for which .*: ZeroDivisionError"
                ):
                    optimizer.step()
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == [0, 1, 3, 4, 5]
    assert run.scalars["loss"].steps.tolist() == run.scalars["loss"].values.tolist() == list(range(6))


@pytest.mark.parametrize("where", ["before backward", "before step", "after step"])
def test_logged_values_belong_to_the_step_they_were_computed_in(where: str, tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
        for step in range(4):
            loss = model(torch.randn(2, 5)).sum()
            if where == "before backward":
                prof.log(n=step, loss=loss)
            loss.backward()
            if where == "before step":
                prof.log(n=torch.tensor(step), loss=loss)
            optimizer.step()
            if where == "after step":
                prof.log(n=np.float32(step), loss=loss)
    series = gradprof.load(tmp_path).scalars["n"]
    assert series.steps.tolist() == [0, 1, 2, 3]
    assert series.values.tolist() == [0, 1, 2, 3]


def test_a_validation_pass_in_between_does_not_move_logged_values(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
        for step in range(3):
            backward(model)
            optimizer.step()
            with torch.no_grad():
                prof.log(n=step, accuracy=model(torch.randn(2, 5)).mean())
    assert gradprof.load(tmp_path).scalars["accuracy"].steps.tolist() == [0, 1, 2]


def test_an_inf_loss_is_kept(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        backward(model)
        prof.step()
        prof.log(loss=float("inf"), other=float("nan"))
    run = gradprof.load(tmp_path)
    assert run.scalars["loss"].values.tolist() == [float("inf")]
    assert np.isnan(run.scalars["other"].values).tolist() == [True]


def scaled_training(logdir: Path, overflow_at: set[int], n_steps: int = 6) -> list[float]:
    """Train with a GradScaler; the unscaled l2 of one gradient at every step, NaN where it overflowed."""
    torch.manual_seed(0)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    expected = []
    with gradprof.watch(model, logdir, optimizer=optimizer, grad_scaler=scaler) as prof:
        for step in range(n_steps):
            optimizer.zero_grad()
            loss = model(torch.randn(2, 5)).square().sum()
            scaler.scale(loss * (float("inf") if step in overflow_at else 1)).backward()
            scaler.unscale_(optimizer)
            norm = model[0].weight.grad.double().norm()
            expected.append(float(norm) if norm.isfinite() else float("nan"))
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            scaler.step(optimizer)
            scaler.update()
            prof.log(n=step)
    return expected


def test_gradients_under_a_grad_scaler_are_unscaled(tmp_path: Path) -> None:
    expected = scaled_training(tmp_path, overflow_at=set())
    run = gradprof.load(tmp_path)
    column = run.sites.index("param/0.weight")
    np.testing.assert_allclose(run.table("l2")[:, column], expected, rtol=1e-6)
    loss_grad = run.table("abs_max")[:, run.sites.index("output/2")]
    assert (loss_grad < 100).all()


@pytest.mark.parametrize("overflow_at", [{0}, {2}, {2, 3}, {5}])
def test_a_step_that_the_scaler_skips_is_a_step(overflow_at: set[int], tmp_path: Path) -> None:
    expected = scaled_training(tmp_path, overflow_at)
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == list(range(6))
    assert run.scalars["n"].steps.tolist() == run.scalars["n"].values.tolist() == list(range(6))
    column = run.sites.index("param/0.weight")
    bad = (run.table("n_nan") + run.table("n_inf"))[:, column]
    assert set(np.flatnonzero(bad)) == overflow_at
    good = [i for i in range(6) if i not in overflow_at]
    np.testing.assert_allclose(run.table("l2")[good, column], np.array(expected)[good], rtol=1e-6)


def test_a_disabled_scaler_changes_nothing(tmp_path: Path) -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    with gradprof.watch(model, tmp_path, optimizer=optimizer, grad_scaler=scaler) as prof:
        for _ in range(2):
            scaler.scale(model(torch.randn(2, 5)).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        assert prof.last.step == 1


def test_a_backward_that_raises_does_not_end_observation(tmp_path: Path) -> None:
    model = mlp()

    def explode(_grad: torch.Tensor) -> None:
        raise ArithmeticError("mine")

    with gradprof.watch(model, tmp_path, strict=True) as prof:
        loss = model(torch.randn(2, 5)).sum()
        handle = model[0].weight.register_hook(explode)
        with pytest.raises(ArithmeticError, match="mine"):
            loss.backward()
        handle.remove()
        model.zero_grad()
        backward(model)
        prof.step()
        assert prof.last["param/2.weight"].abs_max == float(model[2].weight.grad.abs().max())


def test_last_needs_a_finished_step(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        backward(model)
        with pytest.raises(RuntimeError, match="no observed step has finished"):
            _ = prof.last
        prof.step()
        first = prof.last
        backward(model, 3)
        assert prof.last == first
        assert prof.last.step == 0
    assert prof.last.step == 1, "closing ends a step whose backward pass was completed"


def test_training_waits_for_a_writer_that_fell_behind_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = WriterThread._write
    monkeypatch.setattr(WriterThread, "_write", lambda *args: (time.sleep(0.02), write(*args))[1])
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        for _ in range(30):
            backward(model)
            prof.step()
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == list(range(30))
    assert run.waits.sum() > 0.1
    assert (run.seconds >= run.waits).all()


def test_a_slow_writer_gets_the_rows_of_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step's place in the ring is let go once: the next time it may be that of a step not written yet."""
    write = WriterThread._write
    monkeypatch.setattr(WriterThread, "_write", lambda *args: (write(*args), time.sleep(0.01)))
    model = nn.Linear(1, 1, bias=False)
    with gradprof.watch(model, tmp_path, observe="param") as prof:
        for step in range(20):
            model.zero_grad()
            model(torch.tensor([[step + 1.0]])).sum().backward()
            prof.step()
    assert gradprof.load(tmp_path).table("abs_max")[:, 0].tolist() == [step + 1.0 for step in range(20)]


def test_numbers_that_do_not_arrive_leave_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Slot) -> None:
        raise RuntimeError("device lost")

    monkeypatch.setattr(Slot, "rows", fail)
    step = Step(0, frozenset())
    step.slot, _ = Ring(1, 1).acquire(lambda: True)
    assert not step.slot.free.is_set()
    with pytest.raises(RuntimeError, match="device lost"):
        step.arrive()
    assert step.slot.free.is_set()


def test_time_in_the_profiler_is_recorded(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        for _ in range(3):
            start = time.perf_counter()
            backward(model)
            prof.step()
            elapsed = time.perf_counter() - start
    last = gradprof.load(tmp_path).seconds[-1]
    assert 0 < last < elapsed
