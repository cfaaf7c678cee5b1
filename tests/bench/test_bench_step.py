"""`gradprof bench step`: what is trained, what is put beside gradprof, and the arithmetic of its figures."""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

import gradprof
from gradprof.bench import alternatives, command, device_counts, own_measure
from gradprof.bench.alternatives import ALTERNATIVES, AddHistogram, ForeachNorm, PlainHook
from gradprof.bench.contenders import Contender, Gradprof
from gradprof.bench.device_counts import DeviceCounts, count_device
from gradprof.bench.output import measure_and_print
from gradprof.bench.own_measure import measure_own
from gradprof.bench.per_layer import measure_layers
from gradprof.bench.resources import OthersTime, PeakMemory, ThreadTime
from gradprof.bench.results import Figure, Grid, Result
from gradprof.bench.step import Scope, measure_step
from gradprof.bench.step_results import (
    BARE,
    BOTH,
    OBSERVED,
    OUTPUTS,
    PARAMETERS,
    TORCH_BOUNDS,
    UNOBSERVED,
    Measured,
    device_grid,
)
from gradprof.bench.table import new_console, print_result
from gradprof.bench.target import Training
from gradprof.bench.trainings import Setup, maker
from gradprof.bench.twin import Twin
from gradprof.cli import main
from gradprof.terminal.bar import Rounds

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A caller's own module in the current directory."""
    name = "own_training"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


OWN = """
import itertools
import torch

def make():
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(inplace=True), torch.nn.Linear(8, 1))
    data = ({"x": torch.randn(5, 4), "y": [torch.randn(5, 1)]} for _ in range(2))
    return model, data, lambda model, batch: (model(batch["x"]) - batch["y"][0]).square().mean()

counter = itertools.count()

def unrepeatable():
    model, data, loss = make()
    torch.nn.init.constant_(model[0].weight, float(next(counter)))
    return model, data, loss

MODEL = make()[0]

def same():
    return MODEL, *make()[1:]

def pair():
    return make()[:2]

def no_model():
    return 3, *make()[1:]

def no_data():
    return make()[0], [], make()[2]

def one_tensor():
    return make()[0], torch.zeros(2, 4), make()[2]

def no_iterable():
    return make()[0], 7, make()[2]

def no_loss():
    return *make()[:2], None

def crash():
    return 1 / 0

def item():
    model, data, loss = make()
    return model, data, lambda *args: loss(*args).item()
"""


def own(module: str, function: str = "make") -> Setup:
    return Setup("resnet18", None, 64, CPU, target=f"{module}:{function}")


# --- what is trained ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "setup",
    [
        Setup("gpt2", 2, 64, CPU, tokens=5, scale=1 / 16),
        Setup("llama", 2, 64, CPU, tokens=5, scale=1 / 64),
        Setup("vit_b_16", 2, 32, CPU),
    ],
    ids=lambda setup: setup.model,
)
def test_presets_train(setup: Setup) -> None:
    if setup.sequences:
        pytest.importorskip("transformers")
    twin = Twin(maker(setup), CPU)
    if setup.sequences:
        assert twin.training.batches[0].shape == (2, 6), "one more, to be predicted"
        assert f"{setup.model} at scale {setup.scale:g}, batch 2 of 5 tokens" in str(setup)
    before = [param.detach().clone() for param in twin.model.parameters()]
    twin.prepare()
    twin.step()
    assert all(param.grad is not None for param in twin.model.parameters())
    assert any(not torch.equal(old, new) for old, new in zip(before, twin.model.parameters(), strict=True))


def test_a_sequence_is_at_most_the_context() -> None:
    pytest.importorskip("transformers")
    with pytest.raises(ValueError, match="--tokens is 1025: gpt2 takes at most 1024"):
        maker(Setup("gpt2", 1, 64, CPU, tokens=1025))


@pytest.mark.parametrize(("model", "package"), [("gpt2", "transformers"), ("resnet18", "torchvision")])
def test_a_missing_package_is_named(
    model: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("decoders", "classifiers"):
        monkeypatch.delitem(sys.modules, f"gradprof.workloads.{name}", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["bench", "step", "--device", "cpu", "--model", model]) == 2
    expected = f'gradprof bench: error: {model} needs {package}: pip install "gradprof[bench]"\n'
    assert capsys.readouterr().err == expected


def test_a_decoder_is_watched_at_every_site() -> None:
    pytest.importorskip("transformers")
    result = measure_step(Rounds(), Setup("gpt2", 1, 64, CPU, tokens=4, scale=1 / 64), 1)
    assert result.correct, result.checks


def test_own_training(module: str) -> None:
    path = list(sys.path)
    result = measure_step(Rounds(), own(module), 2)
    assert sys.path == path
    assert result.correct, result.checks
    assert len(result.checks) == 9
    assert result.setup.startswith("own_training:make, SGD")
    assert result.options["target"] == "own_training:make"
    assert "model" not in result.options


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("own_training", "--target is 'own_training': expected module:function"),
        ("no_such_module:make", "there is no module 'no_such_module' here"),
        ("own_training:mke", "has no 'mke'; near names: make"),
        ("own_training:counter", "counter is a count, expected a function"),
        (
            "own_training:pair",
            r"returned a tuple of 2 \(Sequential, generator\), expected \(model, data, loss\)",
        ),
        ("own_training:same", "returned the same model twice"),
        ("own_training:no_model", "its model is a int"),
        ("own_training:no_data", "its data gave no batch"),
        ("own_training:one_tensor", r"its data is a tensor \(2, 4\), .*\[data\] is a list of one"),
        ("own_training:no_iterable", "its data is a int"),
        ("own_training:no_loss", "its loss is a NoneType"),
        ("own_training:item", r"its loss returned a float, .* not .item\(\)"),
    ],
)
def test_wrong_target(target: str, message: str, module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "step", "--device", "cpu", "--target", target]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("gradprof bench: error: ")
    assert re.search(message, captured.err), captured.err
    assert captured.out == ""


def test_own_errors_keep_their_traceback(module: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        main(["bench", "step", "--device", "cpu", "--target", f"{module}:crash"])
    assert caught.traceback[-1].name == "crash"


def test_training_that_differs_by_itself_is_said(module: str) -> None:
    result = measure_step(Rounds(), own(module, "unrepeatable"), 2)
    assert result.correct, result.checks
    assert [check.what for check in result.checks if "twins" in check.what] == []
    assert any("bare trainings of this differ by themselves" in note for note in result.notes)
    assert result.figures


# --- arithmetic ---------------------------------------------------------------------------------


def test_figures_add_up(module: str) -> None:
    result = measure_step(Rounds(), own(module), 3)
    per_step, split = result.grids
    seconds = {name: _values(cells[0]) for name, cells in per_step.rows.items()}
    *ratios, bare = result.figures
    assert list(seconds) == [BARE, *OBSERVED]
    assert [figure.name for figure in ratios] == list(OBSERVED)
    assert bare.values == seconds[BARE]
    assert {figure.unit for figure in ratios} == {"ratio"}
    for figure in ratios:
        assert figure.values == pytest.approx(np.divide(seconds[figure.name], seconds[BARE]))

    parts = {name: _values(cells[0]) for name, cells in split.rows.items()}
    for name, label in ((PARAMETERS, "parameters"), (OUTPUTS, "outputs"), (BOTH, "both")):
        assert parts[f"{label}, watched - bare"] == pytest.approx(np.subtract(seconds[name], seconds[BARE]))
    own_parts = ("hooks and reductions", "table and copy", "what pairs see beyond these")
    total = np.sum([parts[f"both: {part}"] for part in own_parts], axis=0)
    assert parts["both, watched - bare"] == pytest.approx(total)
    host = _values(per_step.rows[BOTH][1])
    assert np.add(parts["both: hooks and reductions"], parts["both: table and copy"]) == pytest.approx(host)
    assert all(value > 0 for name in own_parts[:2] for value in parts[f"both: {name}"])
    for name, cells in split.rows.items():
        base = seconds[BARE] if len(parts[name]) == 3 else [np.mean(seconds[BARE])]
        assert _values(cells[1]) == pytest.approx(np.divide(parts[name], base))


def test_what_a_step_takes_besides_time(module: str) -> None:
    (per_step, _) = measure_step(Rounds(), own(module), 2).grids
    assert per_step.columns == ("step", "host", "threads", "peak MiB", "KiB")
    unobserved = per_step.rows.pop(UNOBSERVED)
    assert unobserved[1] is None, "its run holds no step"
    bare, *watched = per_step.rows.values()
    assert bare[1] is bare[2] is bare[4] is None, "it has no host time of gradprof's, no threads, no bytes"
    for cells in watched:
        _, host, threads, peak, written = cells
        assert len(_values(host)) == 2
        assert 0 < _values(threads)[0] < 1e3
        assert 0 < _values(written)[0] < 1e3
        assert len(_values(peak)) in (0, 3)


def test_bytes_are_those_of_the_run(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def load(path: Path) -> gradprof.Run:
        sizes.append(sum(file.stat().st_size for file in path.iterdir()))
        return original(path)

    original = gradprof.load
    monkeypatch.setattr(gradprof, "load", load)
    (per_step, _) = measure_step(Rounds(), own(module), 20).grids
    for size, name in zip(sizes, OBSERVED, strict=True):
        if name == UNOBSERVED:
            continue
        written = 1024 * _values(per_step.rows[name][4])[0] * 26
        assert 0.3 * size < written < size, "all but the header, over the steps of all kinds"


def test_own_measure_and_budget_beside_the_clock(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[Twin, list[float]] = {}
    turn = own_measure._turn

    def timed(twin: Twin) -> float:
        seconds = turn(twin)
        taken.setdefault(twin, []).append(seconds)
        return seconds

    monkeypatch.setattr(own_measure, "_turn", timed)
    found = measure_own(Rounds(), maker(own(module)), CPU, gradprof.watch, "torch", budget=0.05)
    by_clock, by_gradprof, budget, _ = found.figures
    assert [figure.name for figure in (by_clock, budget)] == [
        f"{BOTH}, 20 steps in a row",
        "budget of 0.05, 20 steps in a row",
    ]
    bare, both, with_budget = (np.array(seconds[1:]) for seconds in taken.values())
    assert by_clock.values == pytest.approx(both / bare)
    assert budget.values == pytest.approx(with_budget / bare)
    share = np.median(by_clock.values) - 1
    assert share / 10 < by_gradprof.values[0] - 1 < share * 10, "of the same order"


def test_the_backend_is_chosen_and_so_is_its_bound(module: str) -> None:
    result = measure_step(Rounds(), own(module), 2, scope=Scope(budget=0.05, backend="torch"))
    assert result.correct, result.checks
    assert (result.options["budget"], result.options["backend"]) == (0.05, "torch")
    figures = {figure.name: figure for figure in result.figures}
    assert figures[BOTH].bound == TORCH_BOUNDS[BOTH]
    assert "budget of 0.05, 20 steps in a row" in figures


def test_an_unobserved_step_runs_no_reduction(module: str, tmp_path: Path) -> None:
    twin = _one_step(module, Gradprof(gradprof.watch, ()), tmp_path / "unobserved")
    assert twin.age == 1
    assert gradprof.load(tmp_path / "unobserved" / "run").steps.size == 0


def test_rounds_end_when_time_is_up(module: str) -> None:
    result = measure_step(Rounds(), own(module), 1000, scope=Scope(seconds=0.0))
    assert len(result.figures[0].values) == 6


def _values(figure: Figure | None) -> list[float]:
    return [] if figure is None else list(figure.values)


# --- resources ----------------------------------------------------------------------------------


def test_peak_of_the_process(tmp_path: Path) -> None:
    status = tmp_path / "status"
    (tmp_path / "clear_refs").touch()
    status.write_text("Name:\tpython\nVmHWM:\t  900 kB\nVmRSS:\t  700 kB\n")
    memory = PeakMemory(CPU, tmp_path)
    memory.reset()
    assert (tmp_path / "clear_refs").read_text() == "5"
    status.write_text("Name:\tpython\nVmHWM:\t  950 kB\nVmRSS:\t  600 kB\n")
    assert memory.read() == 250 * 1024
    status.write_text("Name:\tpython\n")
    memory.reset()
    assert memory.read() is None
    nowhere = PeakMemory(CPU, tmp_path / "nowhere")
    nowhere.reset()
    assert nowhere.read() is None


def test_peak_sees_a_tensor() -> None:
    memory = PeakMemory(CPU)
    memory.reset()
    if memory.read() is None:
        pytest.skip("this system does not tell")
    torch.ones(32 << 20).sum()
    assert memory.read() == pytest.approx(128 << 20, rel=0.1)
    memory.reset()
    assert (memory.read() or 0) < 8 << 20


def test_peak_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", calls.append)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 100)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 130)
    memory = PeakMemory(torch.device("cuda"))
    memory.reset()
    assert memory.read() == 30
    assert calls == [torch.device("cuda")]


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clock of threads here")
def test_thread_time() -> None:
    go, done, end = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        go.wait()
        start = time.thread_time()
        while time.thread_time() - start < 0.05:
            pass
        done.set()
        end.wait()

    thread = threading.Thread(target=work)
    thread.start()
    clock = ThreadTime([thread])
    before = clock.seconds()
    assert before is not None
    with OthersTime() as others:
        go.set()
        clock.settle()
        done.wait()
    after = clock.seconds()
    assert after is not None
    assert 0.05 <= after - before < 0.2
    assert 0.05 <= others.seconds < 0.2
    end.set()
    thread.join()
    assert clock.seconds() is None, "it has ended"
    assert ThreadTime([]).seconds() is None


def test_settling_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ThreadTime([])
    worked = iter(range(1_000_000))
    monkeypatch.setattr(clock, "seconds", lambda: float(next(worked)))
    start = time.perf_counter()
    clock.settle(at_most=0.02)
    assert 0.02 <= time.perf_counter() - start < 0.5


def test_counts_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[object] = [0]
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: modes[-1])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    cuda, cpu = device_counts.DeviceType.CUDA, device_counts.DeviceType.CPU

    def event(device: object, name: str, us: float, annotation: bool = False) -> SimpleNamespace:
        span = SimpleNamespace(elapsed_us=lambda: us)
        return SimpleNamespace(device_type=device, name=name, time_range=span, is_user_annotation=annotation)

    class Profile:
        def __init__(self, activities: object) -> None: ...

        def __enter__(self) -> Profile:
            return self

        def __exit__(self, *_: object) -> None: ...

        def events(self) -> list[SimpleNamespace]:
            return [
                event(cpu, "cudaLaunchKernel", 900),
                event(cuda, "reduce", 10),
                event(cuda, "gemm", 20),
                event(cuda, "Memcpy DtoH", 5),
                event(cuda, "Memset (Device)", 1),
                event(cuda, "a range", 500, annotation=True),
                event(cuda, "Activity Buffer Request", 700),
            ]

    monkeypatch.setattr(torch.profiler, "profile", Profile)
    calls: list[object] = []

    def one_step() -> None:
        calls.append(modes[-1])
        warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert count_device(one_step) == DeviceCounts(pytest.approx(36e-6), 2, 1)
    assert calls == ["warn", 0]
    assert modes == [0, "warn", 0]


def test_device_grid() -> None:
    contender = cast(Contender, None)
    counts = [DeviceCounts(0.002, 120, 1), DeviceCounts(0.003, 120, 0)]
    measured = {BARE: Measured(contender, [1.0], counts=counts), BOTH: Measured(contender, [1.0])}
    grid = device_grid(measured)
    assert grid.columns == ("busy ms", "launches", "host syncs")
    assert {name: [_values(cell) for cell in cells] for name, cells in grid.rows.items()} == {
        BARE: [[2, 3], [120, 120], [1, 0]]
    }


# --- alternatives -------------------------------------------------------------------------------


def test_the_command_knows_them_all() -> None:
    assert tuple(ALTERNATIVES) == command._ALTERNATIVES
    assert command._alternatives("hook,wandb,hook") == ("hook", "wandb")


def test_alternatives_in_the_same_pairs(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "torchinstruments", None)
    result = measure_step(Rounds(), own(module), 2, scope=Scope(against=tuple(ALTERNATIVES)))
    assert result.correct, result.checks
    names = ["plain log10 hook", "add_histogram", "_foreach_norm"]
    assert [figure.name for figure in result.figures] == [*OBSERVED, *names, "bare step"]
    assert list(result.grids[0].rows) == [BARE, *OBSERVED, *names]
    assert result.grids[0].rows["add_histogram"][4], "it wrote"
    assert "wandb.watch was left out: wandb is not installed." in result.notes
    assert "torchinstruments was left out: torchinstruments is not installed." in result.notes


def _one_step(module: str, watcher: Any, directory: Path) -> Twin:
    directory.mkdir()
    twin = Twin(maker(own(module)), CPU)
    watcher.attach(twin, directory)
    twin.prepare()
    twin.step(watcher.after_backward)
    watcher.detach()
    return twin


def test_plain_hook_sees_orders_of_magnitude(module: str, tmp_path: Path) -> None:
    hook, grads = PlainHook(), []

    def capture(_module: nn.Module, _args: object, output: Tensor) -> None:
        output.register_hook(grads.append)

    twin = _one_step(module, hook, tmp_path / "a")
    assert set(hook.exponents) == {"0", "1", "2"}
    bare = Twin(maker(own(module)), CPU)
    bare.model[2].register_forward_hook(capture)
    bare.prepare()
    bare.step()
    assert hook.exponents["2"].tolist() == np.trunc(np.log10(np.abs(grads[0].numpy()))).tolist()
    hook.exponents.clear()
    twin.prepare()
    twin.step()
    assert hook.exponents == {}, "it was taken off"


def test_foreach_norm_and_add_histogram(module: str, tmp_path: Path) -> None:
    norms = ForeachNorm()
    twin = _one_step(module, norms, tmp_path / "a")
    assert norms.norms == pytest.approx([float(param.grad.norm()) for param in twin.model.parameters()])
    _one_step(module, AddHistogram(), tmp_path / "b")
    events = EventAccumulator(str(tmp_path / "b"))
    events.Reload()
    assert events.Tags()["histograms"] == [name for name, _ in twin.model.named_parameters()]


class Fails:
    """Fails where it is told to."""

    def __init__(self, where: str) -> None:
        self.where = where

    def attach(self, twin: Twin, directory: Path) -> None:
        self._fail("attach")
        if self.where == "change":
            with torch.no_grad():
                next(twin.model.parameters()).add_(1)

    def after_backward(self) -> None:
        self._fail("step")

    def detach(self) -> None:
        self._fail("detach")

    def _fail(self, where: str) -> None:
        if self.where == where:
            raise ValueError("it is broken\nand how")


@pytest.mark.parametrize(
    ("where", "note", "measured"),
    [
        ("attach", "it was left out: ValueError: it is broken.", False),
        ("step", "it was left out: ValueError: it is broken.", False),
        ("detach", "it could not be closed: ValueError: it is broken", True),
        ("change", "it changed the training: 8 tensors differ", True),
    ],
)
def test_broken_alternative_is_said(
    where: str, note: str, measured: bool, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(alternatives.ALTERNATIVES, "hook", ("it", lambda: Fails(where)))
    result = measure_step(Rounds(), own(module), 1, scope=Scope(against=("hook",)))
    assert result.correct, result.checks
    assert any(said.startswith(note[:40]) for said in result.notes), result.notes
    assert ("it" in [figure.name for figure in result.figures]) == measured


def test_wandb_stays_offline_and_leaves_no_trace(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []

    class Run:
        def watch(self, model: nn.Module, log: str, log_freq: int) -> None:
            calls.append(("watch", log, log_freq))

        def log(self, values: dict[str, float]) -> None:
            calls.append("log")

        def unwatch(self, model: nn.Module) -> None:
            calls.append("unwatch")

        def finish(self) -> None:
            calls.append("finish")

    def init(mode: str, dir: str, **_: object) -> Run:
        assert mode == os.environ["WANDB_MODE"] == "offline"
        assert dir == os.environ["WANDB_CACHE_DIR"] == str(tmp_path / "a")
        return Run()

    wandb = ModuleType("wandb")
    wandb.__dict__.update(init=init, Settings=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("WANDB_MODE", "online")
    before = dict(os.environ)
    _one_step(module, alternatives.WandbWatch(), tmp_path / "a")
    assert dict(os.environ) == before
    assert calls == [("watch", "gradients", 1), "log", "unwatch", "finish"]


def test_torchinstruments_samples_every_forward(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    package = ModuleType("torchinstruments")
    package.__dict__.update(
        AlwaysSampler=lambda: "always",
        inject_observer=lambda model, sampler, output_dir: calls.append((sampler, output_dir)),
        remove_observer=lambda model: calls.append("removed"),
    )
    monkeypatch.setitem(sys.modules, "torchinstruments", package)
    _one_step(module, alternatives.TorchInstruments(), tmp_path / "a")
    assert calls == [("always", str(tmp_path / "a")), "removed"]


# --- per layer and the run ----------------------------------------------------------------------


def test_per_layer_has_every_site(module: str, tmp_path: Path) -> None:
    make = maker(own(module))
    found = measure_layers(Rounds(), make, CPU, 3)
    (grid,) = found.grids
    with gradprof.watch(make().model, tmp_path / "run") as prof:
        assert sorted(grid.rows) == sorted(prof.sites)
    numel = {name: _values(cells[1]) for name, cells in grid.rows.items()}
    assert numel["param/0.weight"] == [32]
    assert numel["output/1"] == [40]
    medians = [cells[0].summary.median for cells in grid.rows.values() if cells[0]]
    assert medians == sorted(medians, reverse=True)
    assert all(len(_values(cells[0])) == 3 for cells in grid.rows.values())
    for us, values, ns in grid.rows.values():
        assert _values(ns) == pytest.approx(np.multiply(_values(us), 1e3) / _values(values)[0])


def test_module_called_twice_costs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    class Clock:
        def __init__(self, *_: object) -> None: ...

        def sampler(self, act: Any) -> Any:
            act()
            return lambda: 2.0

    monkeypatch.setattr("gradprof.bench.per_layer.Clock", Clock)
    make = lambda: Training(Twice(), [torch.ones(3, 4)], lambda model, x: model(x).sum())  # noqa: E731
    (grid,) = measure_layers(Rounds(), make, CPU, 1).grids
    assert {name: (_values(us), _values(n)) for name, (us, n, _) in grid.rows.items()} == {
        "output/layer": ([4e6], [24]),
        "param/layer.weight": ([2e6], [16]),
        "param/layer.bias": ([2e6], [4]),
    }


def test_long_grids_are_cut_for_people_only(capsys: pytest.CaptureFixture[str]) -> None:
    rows: dict[str, list[Figure | None]] = {f"site {i}": [Figure("us", "us", [i])] for i in range(25)}
    grid = Grid("per layer", "", ["us"], rows, n_shown=20)
    print_result(Result("step", tables=[grid]), new_console())
    printed = capsys.readouterr().out
    assert "site 19" in printed
    assert "site 20" not in printed
    assert "... 5 more with --json" in printed
    assert len(grid.as_json()["rows"]) == 25


def test_tensorboard_reads_the_rounds(tmp_path: Path) -> None:
    grid = Grid("ms/step", "", ["ms"], {"a": [Figure("step", "ms", [3.0, 4.0])], "b": [None]})
    result = Result("step", measured=[Figure("  both", "ratio", [1.5])], tables=[grid])
    measure_and_print(lambda rounds: result, CPU, as_json=True, logdir=str(tmp_path / "runs" / "bench"))
    events = EventAccumulator(str(tmp_path / "runs" / "bench"))
    events.Reload()
    found = {
        tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }
    assert found == {
        "bench step/both (ratio)": [(0, 1.5)],
        "bench step, ms per step/a, step (ms)": [(0, 3.0), (1, 4.0)],
    }


def test_as_a_command(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["bench", "step", "--pairs", "2", "--device", "cpu", "--target", "own_training:make"]
    more = ["--per-layer", "--against", "hook,foreach_norm", "--logdir", str(tmp_path / "runs" / "bench")]
    assert main([*arguments, *more]) == 0
    printed = capsys.readouterr().out
    said = f"TensorBoard shows the rounds: {tmp_path / 'runs' / 'bench'}"
    assert max(len(line) for line in printed.splitlines() if line != said) <= 80
    assert printed.isascii()
    for text in ("plain log10 hook", "split by part", "per layer", f"{said}\n"):
        assert text in printed
    assert len(list((tmp_path / "runs" / "bench").iterdir())) == 1
    assert main([*arguments, "--json", "--per-layer"]) == 0
    document = json.loads(capsys.readouterr().out)
    titles = [grid["title"].partition(":")[0] for grid in document["grids"]]
    assert titles == ["one step", "split by part", "per layer"]
    assert document["options"]["per_layer"] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "2"], "at most 1, such as 1/4"),
        (["--scale", "1/0"], "at most 1, such as 1/4"),
        (["--against", "hook,nothing"], "there is no 'nothing': expected some of hook,add_histogram"),
    ],
)
def test_wrong_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "step", *arguments])
    assert message in capsys.readouterr().err


def test_logdir_that_cannot_be_written(
    module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    arguments = ["bench", "--device", "cpu", "--target", "own_training:make"]
    assert main([*arguments, "--logdir", str(tmp_path / "file" / "runs")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("gradprof bench: error: ")
    assert captured.out == ""
