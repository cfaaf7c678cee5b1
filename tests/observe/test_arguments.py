"""Wrong arguments raise at once and say what was got, what was expected, what to do; and break nothing."""

from __future__ import annotations

import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from models import mlp
from torch import nn

import gradprof
from gradprof.observe.arguments import new_run_directory


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"include": "layer9.*"}, ValueError, r"pattern 'layer9.\*' matches none of the 7 sites; the names"),
        ({"include": "*.wieght"}, ValueError, r"near names: param/[02].weight, param/[02].weight"),
        ({"exclude": "param/1.*"}, ValueError, r"matches none.*\* stands for any text"),
        ({"exclude": "*"}, ValueError, r"leave none of the 7 sites"),
        ({"observe": "grad"}, ValueError, r"observe is \('grad',\): expected.*'param', 'output', 'input'"),
        ({"observe": ()}, ValueError, r"observe is \(\)"),
        (
            {"backend": "cuda"},
            ValueError,
            r"backend 'cuda': expected one of auto, triton, numba, torch",
        ),
        ({"threshold": -1.0}, ValueError, r"threshold is -1.0: expected a magnitude"),
        ({"threshold": float("nan")}, ValueError, r"threshold is nan"),
        ({"threshold": float("inf")}, ValueError, r"threshold is inf: expected a finite magnitude"),
        ({"threshold": "1"}, ValueError, r"threshold is '1'"),
        ({"budget": float("inf")}, ValueError, r"budget is inf: expected a share"),
        ({"budget": Decimal("0.1")}, TypeError, r"budget is Decimal\('0.1'\): expected a share"),
        ({"budget": Fraction(1, 10**400)}, ValueError, r"expected a share of step time between 0 and 1"),
        ({"every": 0}, ValueError, r"every is 0: expected 1"),
        ({"every": 1.5}, TypeError, r"every is 1.5: expected an int, or a function"),
        ({"optimizer": "sgd"}, TypeError, r"optimizer is a str: expected a torch.optim.Optimizer"),
        ({"grad_scaler": 2.0}, TypeError, r"grad_scaler is a float: expected a torch.amp.GradScaler"),
        ({"observer": "param"}, TypeError, r"observer"),
    ],
)
def test_wrong_keywords(
    keywords: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    model = mlp()
    with pytest.raises(error, match=message):
        gradprof.watch(model, tmp_path / "run", **keywords)
    assert not (tmp_path / "run").exists()
    assert not model._forward_pre_hooks


def test_numbers_of_every_kind_are_plain_ones_in_the_run(tmp_path: Path) -> None:
    for i, threshold in enumerate((np.float32(0.5), np.float64(0.5), Fraction(1, 2))):
        keywords: dict[str, Any] = {
            "threshold": threshold,
            "budget": np.float32(0.25) if i else Fraction(1, 4),
            "every": np.int64(2),
        }
        gradprof.watch(mlp(), tmp_path / str(i), **keywords).close()
        run = gradprof.load(tmp_path / str(i))
        assert run.threshold == 0.5
        assert run.header["options"]["budget"] == 0.25
        assert run.header["options"]["every"] == 2


def test_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"got a list: expected a torch.nn.Module"):
        gradprof.watch([mlp()], tmp_path)


def test_a_model_without_parameters_that_require_gradients(tmp_path: Path) -> None:
    frozen = mlp().requires_grad_(False)
    for model in (nn.ReLU(), frozen):
        with pytest.raises(ValueError, match=r"has no parameters that require gradients.*requires_grad_"):
            gradprof.watch(model, tmp_path)


def test_a_lazy_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"parameter '0.weight' is lazy.*run one forward pass"):
        gradprof.watch(nn.Sequential(nn.LazyLinear(3)), tmp_path)


def test_an_optimizer_of_another_model(tmp_path: Path) -> None:
    other = torch.optim.SGD(mlp().parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"this SGD optimizes none of the parameters of this Sequential"):
        gradprof.watch(mlp(), tmp_path, optimizer=other)


def test_a_model_watched_twice(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path / "1"):
        with pytest.raises(ValueError, match=r"already watched by gradprof: close\(\) that profiler first"):
            gradprof.watch(model, tmp_path / "2")
        assert not (tmp_path / "2").exists()
    gradprof.watch(model, tmp_path / "2").close()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    model = mlp()
    with pytest.raises(OSError, match=r"cannot write a run into '.*file/run'.*choose a directory"):
        gradprof.watch(model, tmp_path / "file" / "run")
    assert not model._forward_pre_hooks


def test_a_default_directory_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").touch()
    with pytest.raises(OSError, match=r"cannot make the directory 'runs/.*give watch\(\) a logdir"):
        gradprof.watch(mlp())


def test_a_directory_that_holds_a_run_is_not_touched(tmp_path: Path) -> None:
    gradprof.watch(mlp(), tmp_path).close()
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    with pytest.raises(ValueError, match=r"already holds a gradprof run.*Choose another directory"):
        gradprof.watch(mlp(), tmp_path)
    assert [f.read_bytes() for f in tmp_path.iterdir()] == [before]


def test_the_default_directory_is_a_new_one_below_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    profs = [gradprof.watch(mlp()) for _ in range(3)]
    for prof in profs:
        prof.close()
    assert len({prof.logdir for prof in profs}) == 3
    assert all(prof.logdir.parent == Path("runs") for prof in profs)


def test_a_default_directory_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that look at the same time both see that there is none."""
    monkeypatch.setattr(Path, "exists", lambda *_, **__: False)
    made = [new_run_directory(tmp_path) for _ in range(3)]
    assert len(set(made)) == 3
    assert set(tmp_path.iterdir()) == set(made)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"loss": "low"}, TypeError, r"cannot log loss=str \('low'\): expected a number"),
        ({"loss": torch.zeros(3)}, TypeError, r"cannot log loss=Tensor \(shape \(3,\)\)"),
        ({"loss": 1j}, TypeError, r"cannot log loss=complex"),
        ({"loss": np.zeros(2)}, TypeError, r"shape \(2,\)"),
        ({"grad_summary/loss": 1.0}, ValueError, r"'grad_summary/loss': names in .* are gradprof's own"),
        ({"": 1.0}, ValueError, r"cannot log a value as ''"),
    ],
)
def test_wrong_values_to_log(
    values: dict[str, Any], error: type[Exception], message: str, tmp_path: Path
) -> None:
    with gradprof.watch(mlp(), tmp_path) as prof, pytest.raises(error, match=message):
        prof.log(**values)


def test_values_of_any_kind_of_number(tmp_path: Path) -> None:
    model = mlp()
    values = {
        "a": 1,
        "b": True,
        "c": np.int64(3),
        "d": np.array([4.0]),
        "e": torch.tensor([[5]]),
        "f": 10**400,
    }
    with gradprof.watch(model, tmp_path) as prof:
        prof.log(**values)
        prof.step()
    scalars = gradprof.load(tmp_path).scalars
    assert [scalars[name].values.tolist() for name in values] == [[1], [1], [3], [4], [5], [float("inf")]]


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    prof = gradprof.watch(mlp(), tmp_path)
    prof.close()
    size = sum(f.stat().st_size for f in tmp_path.iterdir())
    prof.close()
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) == size
    for call in (prof.step, lambda: prof.log(loss=1.0)):
        with pytest.raises(RuntimeError, match="this profiler is closed"):
            call()


def test_an_unknown_site_of_the_last_step_lists_near_names(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
        with pytest.raises(KeyError, match=r"no site '0.weigth'; near names: param/0.weight"):
            prof.last["0.weigth"]


@pytest.mark.parametrize("observe", [("param", "output"), "param", "output"])
def test_forgotten_step_ends_are_reported_and_what_was_seen_is_kept(
    tmp_path: Path, observe: str | tuple[str, ...]
) -> None:
    model = mlp()
    prof = gradprof.watch(model, tmp_path, observe=observe)
    for _ in range(3):
        model(torch.randn(2, 5)).sum().backward()
    with pytest.warns(RuntimeWarning, match=r"saw no end of a step.*pass optimizer="):
        prof.close()
    run = gradprof.load(tmp_path)
    assert run.steps.tolist() == [0]
    if "output" in observe:
        assert run.record(0)["output/2"].numel == 18
    if "param" in observe:
        assert run.record(0)["param/2.weight"].numel == model[2].weight.numel()


def test_a_gradient_that_is_not_floating_drops_its_site_with_one_warning(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        index = prof.sites.index("output/2")
        for step in range(3):
            model(torch.randn(2, 5)).sum().backward()
            if step == 1:
                with pytest.warns(RuntimeWarning, match=r"stopped observing 'output/2': TypeError.*int64"):
                    prof._observer.gradient(index, torch.ones(3, dtype=torch.int64))
            else:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    prof._observer.gradient(
                        index, torch.ones(3, dtype=torch.int64 if step else torch.float32)
                    )
            prof.step()
    run = gradprof.load(tmp_path)
    seen = ~np.isnan(run.table("l2"))
    assert seen[:, index].tolist() == [True, False, False]
    assert seen[:, :index].all()


def test_strict_raises_what_goes_wrong_inside(tmp_path: Path) -> None:
    model = mlp()
    with gradprof.watch(model, tmp_path, strict=True) as prof, pytest.raises(TypeError, match="int64"):
        prof._observer.gradient(0, torch.ones(3, dtype=torch.int64))


def test_a_reduction_that_fails_for_one_parameter_drops_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradprof.kernels.torch.reducer import TorchReducer

    replace_many = TorchReducer.replace_many

    def fail_on_vectors_of_three(self: Any, rows: Any, indices: Any, tensors: Any, scale: Any = None) -> None:
        if any(tensor.shape == (3,) for tensor in tensors):
            raise RuntimeError("broken")
        replace_many(self, rows, indices, tensors, scale)

    monkeypatch.setattr(TorchReducer, "replace_many", fail_on_vectors_of_three)
    model = mlp()
    with gradprof.watch(model, tmp_path, backend="torch") as prof:
        with pytest.warns(RuntimeWarning, match=r"stopped observing 'param/2.bias': RuntimeError: broken"):
            model(torch.randn(2, 5)).sum().backward()
        prof.step()
        assert set(prof.sites) - set(prof.last) == {"param/2.bias"}


def test_the_last_step_shown_outlives_lost_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that cannot be copied do not use up the ring, in which the last one is."""
    from gradprof.observe.ring import Slot

    fill = Slot.fill
    model = nn.Linear(5, 1, bias=False)

    def train(scale: float) -> None:
        model.zero_grad()
        (model(torch.ones(1, 5)) * scale).sum().backward()
        prof.step()

    def fail_late(self: Slot, tables: Any) -> None:
        fill(self, tables)
        raise RuntimeError("no memory to pin")

    with gradprof.watch(model, tmp_path) as prof:
        train(1.0)
        monkeypatch.setattr(Slot, "fill", fail_late)
        with pytest.warns(RuntimeWarning, match="could not record step 1"):
            train(2.0)
        for _ in range(5):
            train(2.0)
        assert prof.last.step == 0
        assert prof.last["param/weight"].abs_max == 1.0


def test_a_step_that_cannot_be_copied_leaves_the_shapes_first_seen_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradprof.observe.ring import Slot

    def fail(*_: Any) -> None:
        raise RuntimeError("no memory to pin")

    model = mlp()
    with gradprof.watch(model, tmp_path) as prof:
        with monkeypatch.context() as patched:
            patched.setattr(Slot, "fill", fail)
            model(torch.randn(2, 5)).sum().backward()
            with pytest.warns(RuntimeWarning, match="could not record step 0"):
                prof.step()
        model(torch.randn(2, 5)).sum().backward()
        prof.step()
    assert gradprof.load(tmp_path).shapes["output/0"] == [2, 7]


def test_a_step_that_cannot_be_copied_is_lost_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradprof.observe.ring import Slot

    fill = Slot.fill
    failures = iter([None, RuntimeError("no memory to pin"), RuntimeError("no memory to pin"), None, None])

    def fail_twice(self: Slot, tables: Any) -> None:
        if failure := next(failures):
            raise failure
        fill(self, tables)

    monkeypatch.setattr(Slot, "fill", fail_twice)
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train() -> None:
        with gradprof.watch(model, tmp_path, optimizer=optimizer) as prof:
            for step in range(5):
                optimizer.zero_grad()
                model(torch.randn(4, next(model.parameters()).shape[1])).sum().backward()
                optimizer.step()
                assert prof.last.step == {0: 0, 1: 0, 2: 0, 3: 3, 4: 4}[step]

    with pytest.warns(
        RuntimeWarning, match="could not record step 1: RuntimeError: no memory to pin"
    ) as said:
        train()
    assert len(said) == 1
    run = gradprof.load(tmp_path)
    recorded = ~np.isnan(run.table("abs_max")).all(axis=1)
    assert [step for step, there in zip(run.steps, recorded, strict=True) if there] == [0, 3, 4]
