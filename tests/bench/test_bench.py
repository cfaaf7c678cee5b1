"""`gradprof bench`: its arithmetic, that a wrong result has no speed, and the command end to end."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import gradprof
from gradprof.bench import machine
from gradprof.bench.clock import Clock, within
from gradprof.bench.machine import describe_machine
from gradprof.bench.output import measure_and_print
from gradprof.bench.pairs import Summary, alternate, ratios, summarize
from gradprof.bench.results import Bound, Check, Figure, Grid, Result
from gradprof.bench.step import Setup, measure_step
from gradprof.bench.table import new_console, print_machine, print_result, value
from gradprof.cli import main
from gradprof.terminal.bar import Rounds

CPU = torch.device("cpu")
TINY = Setup("squeezenet1_1", 2, 32, CPU)
"""With dropout, so that twins are alike only if they draw the same random numbers."""


pytestmark = pytest.mark.usefixtures("one_thread")


def result_of(*figures: Figure, checks: list[Check] | None = None, grids: list[Grid] | None = None) -> Result:
    return Result(
        "step", "a setup", "another setup", {}, checks or [Check("it is right")], list(figures), grids or []
    )


# --- arithmetic ---------------------------------------------------------------------------------


def test_order_alternates() -> None:
    calls: list[str] = []

    def contender(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    costs = alternate({"a": partial(contender, "a"), "b": partial(contender, "b")}, range(4))
    assert "".join(calls) == "abbaabba"
    assert costs == {"a": [1, 4, 5, 8], "b": [2, 3, 6, 7]}


def test_drift_cancels_in_ratios() -> None:
    clock = itertools.count()
    costs = alternate(
        {"a": lambda: 1.0 + 0.1 * next(clock), "b": lambda: 2 * (1.0 + 0.1 * next(clock))}, range(100)
    )
    assert costs["a"][-1] > 10 * costs["a"][0]
    assert summarize(ratios(costs["b"], of=costs["a"])).median == pytest.approx(2, rel=0.03)


def test_ratios_are_round_by_round() -> None:
    assert ratios([2.0, 9.0], of=[1.0, 3.0]) == [2.0, 3.0]
    with pytest.raises(ValueError, match="argument"):
        ratios([1.0], of=[1.0, 2.0])


def test_summary_of_known_values() -> None:
    assert summarize([5.0, 1.0, 2.0, 3.0, 4.0]) == Summary(3, 2, 4, 1, 5, 1 - 2 / 32, 5)
    assert summarize([7.0]) == Summary(7, 7, 7, 7, 7, 0, 1)
    assert summarize([1.0, 2.0]).median == 1.5
    with pytest.raises(ValueError, match="at least one"):
        summarize([])


@pytest.mark.parametrize("n", range(1, 13))
def test_interval_covers_the_median_as_often_as_it_says(n: int) -> None:
    """Every way in which n values can fall on either side of the true median, 0, is as likely."""
    summaries = [summarize(signs) for signs in itertools.product((-1.0, 1.0), repeat=n)]
    covered = sum(summary.low < 0 < summary.high for summary in summaries)
    assert covered / 2**n == summaries[0].confidence
    assert (summaries[0].confidence >= 0.95) == (n >= 6)


@pytest.mark.parametrize("n", [6, 7, 10, 40, 101])
def test_interval_is_as_short_as_it_may_be(n: int) -> None:
    values = list(np.random.default_rng(n).permutation(n).astype(float))
    summary = summarize(values)
    assert summary.low <= summary.median <= summary.high
    assert summary.confidence >= 0.95
    k = int(summary.low)
    assert summary.high == n - 1 - k
    below = np.random.default_rng(0).binomial(n, 0.5, 200_000)
    assert 1 - 2 * np.mean(below <= k) == pytest.approx(summary.confidence, abs=0.01)
    assert 1 - 2 * np.mean(below <= k + 1) < 0.955


def test_bounds() -> None:
    assert Bound("at most", 1.3).met_by(1.3)
    assert not Bound("at most", 1.3).met_by(1.31)
    assert Bound("at least", 5).met_by(5)
    assert not Bound("at least", 5).met_by(4.99)


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [
        (1.0432, "ratio", "1.043"),
        (81.24, "x", "81.2 x"),
        (114.6, "ms", "115 ms"),
        (0.7132, "ms", "0.713 ms"),
        (2356.8, "bytes per site and step", "2,357 B"),
        (3.14159, "GB/s", "3.14"),
        (4.512, "us", "4.51 us"),
    ],
)
def test_units(number: float, unit: str, text: str) -> None:
    assert value(number, unit) == text


def test_json_of_a_figure_has_everything() -> None:
    figure = Figure("a", "ratio", [1.0, 1.2, 1.4], Bound("at most", 1.3))
    assert figure.as_json() == {
        "name": "a",
        "unit": "ratio",
        **asdict(summarize([1.0, 1.2, 1.4])),
        "bound": {"kind": "at most", "limit": 1.3, "met": True},
        "values": [1.0, 1.2, 1.4],
    }


# --- the clock and the machine -----------------------------------------------------------------


def test_clock_divides_by_the_calls() -> None:
    calls = itertools.count()
    clock = Clock(CPU, seconds_per_sample=1e-3)
    sample = clock.sampler(lambda: next(calls))
    before = next(calls)
    assert 0 < sample() < 1e-4
    assert next(calls) - before > 10
    for make in (clock.sampler, clock.host_sampler):
        sample = make(lambda: next(calls) and torch.ones(1 << 16).sum())
        assert 0 < sample() < 1


def test_host_time_is_taken_of_few_calls() -> None:
    calls = itertools.count()
    sample = Clock(CPU, seconds_per_sample=0.1).host_sampler(lambda: next(calls))
    before = next(calls)
    sample()
    assert next(calls) - before - 1 == 50


def test_time_of_a_gpu_is_between_two_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fakes of CUDA's stream and events: a call takes 2 ms there, whatever the host takes."""
    calls: list[str] = []

    class Stream:
        def synchronize(self) -> None:
            calls.append("wait")

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self, stream: Stream) -> None:
            calls.append("event")
            self.at = 2.0 * calls.count("act")

        def synchronize(self) -> None:
            calls.append("wait")

        def elapsed_time(self, end: Event) -> float:
            return end.at - self.at

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "Event", Event)
    clock = Clock(torch.device("cuda"), seconds_per_sample=0.01)
    sample = clock.sampler(lambda: calls.append("act"))
    calls.clear()
    assert sample() == pytest.approx(2e-3)
    assert calls == ["wait", "event", *["act"] * 5, "event", "wait"]
    sample = clock.host_sampler(lambda: calls.append("act"))
    calls.clear()
    assert 0 < sample() < 1e-3
    assert calls == ["wait", *["act"] * 5, "wait"]


def test_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    found = SimpleNamespace(name="NVIDIA H200", multi_processor_count=132, total_memory=140 << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout="550.54.15\n"))
    described = machine.describe_machine(torch.device("cuda"))
    assert described.device == "NVIDIA H200, 132 multiprocessors, 140 GiB"
    assert described.versions["driver"] == "550.54.15"
    assert described.versions["CUDA"] == str(torch.version.cuda)
    assert "torch" in described.versions
    monkeypatch.undo()
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    monkeypatch.setenv("PATH", "")
    assert "driver" not in machine.describe_machine(torch.device("cuda")).versions


def test_rounds_end_when_time_is_up() -> None:
    assert list(within(0.0, range(10))) == [0, 1, 2]
    assert list(within(None, range(10))) == list(range(10))
    assert list(within(1000.0, range(10))) == list(range(10))
    assert list(within(0.0, range(2))) == [0, 1]


# --- a wrong result has no speed ----------------------------------------------------------------


def test_result_with_a_failed_check_keeps_no_figures() -> None:
    figure = Figure("fast", "x", [10.0])
    grid = Grid("fast", "n", ["a"], {"1": [figure]})
    assert result_of(figure, grids=[grid]).figures == [figure]
    wrong = result_of(figure, checks=[Check("right"), Check("also", "but it is not")], grids=[grid])
    assert not wrong.correct
    assert wrong.figures == wrong.grids == []


def test_watch_that_changes_the_model_has_no_speed() -> None:
    def watch(model: torch.nn.Module, *args: object, **options: object) -> gradprof.Profiler:
        with torch.no_grad():
            next(iter(model.parameters())).view(-1)[0] += 1e-3
        return gradprof.watch(model, *args, **options)  # type: ignore[arg-type]

    result = measure_step(Rounds(), TINY, 1, watch)
    failed = [check.what.partition(":")[2] for check in result.checks if not check.passed]
    assert failed == [" twins are bit-identical after 7 steps"] * 4
    assert re.search(r"tensors differ, the first is features.0.weight", result.checks[0].failure)
    assert result.figures == []


def test_watch_that_draws_random_numbers_has_no_speed() -> None:
    def watch(model: torch.nn.Module, *args: object, **options: object) -> gradprof.Profiler:
        model.register_forward_pre_hook(lambda *_: torch.rand(1) and None)
        return gradprof.watch(model, *args, **options)  # type: ignore[arg-type]

    assert not measure_step(Rounds(), TINY, 1, watch).correct


def test_watch_that_records_something_else_has_no_speed() -> None:
    def watch(model: torch.nn.Module, *args: object, **options: object) -> gradprof.Profiler:
        return gradprof.watch(model, *args, **{**options, "every": 3})  # type: ignore[arg-type]

    result = measure_step(Rounds(), TINY, 2, watch)
    assert result.checks[0].passed
    assert result.checks[1].failure == "it holds 3"
    assert "recorded is" in result.checks[2].failure, "step 6 of 0 to 7 is taken for the last"
    assert result.figures == []


# --- the command --------------------------------------------------------------------------------


def test_step_leaves_nothing_behind() -> None:
    random, cudnn = torch.get_rng_state(), torch.backends.cudnn.deterministic
    result = measure_step(Rounds(), TINY, 2)
    assert result.correct, result.checks
    assert [(figure.name, len(figure.values)) for figure in result.figures] == [
        ("parameters and outputs", 2),
        ("parameters only", 2),
        ("outputs only", 2),
        ("watched, but no step observed", 2),
        ("bare step", 2),
    ]
    bounds = [figure.bound and figure.bound.limit for figure in result.figures]
    assert bounds == [1.08, 1.03, None, 1.005, None]
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.backends.cudnn.deterministic == cudnn


def test_as_a_command() -> None:
    setup = ("--model", "squeezenet1_1", "--batch-size", "2", "--image-size", "32")
    done = bench("--json", "--pairs", "2", *setup)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["benchmark"] == "step"
    assert document["correct"]
    assert not document["interrupted"]
    assert document["machine"]["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert document["machine"]["device"] == "cpu"
    assert document["options"]["model"] == "squeezenet1_1"
    assert all(check["passed"] for check in document["checks"])
    assert any(figure["bound"] is not None for figure in document["figures"])
    for figure in document["figures"]:
        assert figure["low"] <= figure["median"] <= figure["high"]
        assert len(figure["values"]) == figure["n"]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: text for key, text in os.environ.items() if key not in ("FORCE_COLOR", "COLUMNS")}
    return subprocess.run(
        [sys.executable, "-m", "gradprof", "bench", "--device", "cpu", *arguments],
        capture_output=True,
        text=True,
        env={**environment, "OMP_NUM_THREADS": "1"},
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "tpu"], "--device 'tpu' cannot be used"),
        (["--device", "cuda:99"], "--device 'cuda:99' cannot be used"),
        (
            ["step", "--device", "cpu", "--model", "resnet81"],
            "no classifier 'resnet81'; near names: ",
        ),
        (
            ["--device", "cpu", "--model", TINY.model, "--image-size", "2"],
            "cannot train on images of 2x2",
        ),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("gradprof bench: error: ")
    assert message in captured.err
    assert captured.out == ""


def test_pairs_must_be_positive(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--pairs", "0"])
    assert "not a positive number" in capsys.readouterr().err


def test_help_fits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_help_imports_nothing_heavy() -> None:
    code = "import gradprof.bench.command, sys; print({'torch', 'numpy', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# --- Ctrl-C -------------------------------------------------------------------------------------


def test_ctrl_c_ends_the_twins_at_the_same_step() -> None:
    steps = itertools.count(1)

    def watch(model: torch.nn.Module, *args: object, **options: object) -> gradprof.Profiler:
        def interrupt(*_: object) -> None:
            if next(steps) == 18:  # in the second of the rounds that count; four twins, three to warm up
                signal.raise_signal(signal.SIGINT)

        model.register_forward_pre_hook(interrupt)
        return gradprof.watch(model, *args, **options)  # type: ignore[arg-type]

    with Rounds() as rounds:
        result = measure_step(rounds, TINY, 100, watch)
    assert rounds.requested
    assert result.correct, result.checks
    assert [len(figure.values) for figure in result.figures] == [2] * 5


def test_ctrl_c_before_the_first_round_gives_no_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with Rounds() as rounds:
        signal.raise_signal(signal.SIGINT)
        result = measure_step(rounds, TINY, 2)
    assert result.figures == result.grids == []
    print_result(result, new_console())
    assert "nothing was measured" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
def test_second_ctrl_c_ends_it_with_nothing(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    def measure(rounds: Rounds) -> Result:
        signal.raise_signal(signal.SIGINT)
        assert rounds.requested
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    assert measure_and_print(measure, CPU, as_json=as_json, logdir=None) == 130
    printed = capsys.readouterr().out
    assert json.loads(printed)["interrupted"] if as_json else "Interrupted" in printed


# --- output -------------------------------------------------------------------------------------


def test_widest_table_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    figures = [
        Figure("parameters and outputs", "ratio", [1.111, 9.999] * 20, Bound("at most", 1.3)),
        Figure("cheaper, first 100 steps", "x", [88.8] * 40, Bound("at least", 30)),
        Figure("  watched step", "ms", [1234.5, 2345.6] * 20),
        Figure("  SummaryWriter", "bytes per site and step", [2356.8] * 40),
    ]
    gigabytes, share = Figure("normal", "GB/s", [4321.0]), Figure("share", "ratio", [0.987])
    columns = ("ceiling", "normal", "share", "one bin", "all bins", "half zeros", "zeros")
    grid = Grid("one tensor", "elements", columns, {"256 Ki": [*[gigabytes] * 2, share, *[gigabytes] * 4]})
    print_result(result_of(*figures, grids=[grid]), new_console())
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    for figure in figures:
        assert any(line.startswith(f"  {figure.name}  ") for line in lines), "no name is broken"
    assert "\x1b" not in printed
    assert "<= 1.3 missed" in printed
    assert re.search(r"256 Ki +4,321 +4,321 +0.987( +4,321){4}$", printed, re.MULTILINE)
    assert ">= 30 met" in printed


def test_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(result_of(checks=[Check("[red]x[/]", "[1, 2] differs")]), new_console())
    assert "WRONG [red]x[/]: [1, 2] differs" in capsys.readouterr().out


def test_machine_is_named_before_the_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = replace(describe_machine(CPU), commit="0123456789abcdef", changed=True)
    monkeypatch.setattr("gradprof.bench.output.describe_machine", lambda device: found)
    result = result_of(Figure("a", "ratio", [1.0]))
    assert measure_and_print(lambda rounds: result, CPU, as_json=False, logdir=None) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"gradprof {gradprof.__version__}, commit 0123456789 with changes\n")
    assert found.cpu in printed
    assert f"torch {found.versions['torch']}" in printed
    assert "Interrupted" not in printed


@pytest.mark.parametrize("as_json", [False, True])
def test_a_wrong_result_fails_the_command(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    result = result_of(Figure("a", "ratio", [1.0]), checks=[Check("it is right", "it is not")])
    assert measure_and_print(lambda rounds: result, CPU, as_json=as_json, logdir=None) == 1
    printed = capsys.readouterr().out
    if as_json:
        document = json.loads(printed)
        assert not document["correct"]
        assert document["figures"] == []
    else:
        assert "WRONG it is right: it is not" in printed
        assert "no speed is reported" in printed
        assert "median" not in printed


@pytest.mark.parametrize(("load", "busy"), [(None, False), (0.9, False), (3.25, True)])
def test_busy_machine_is_said_to_be(
    load: float | None, busy: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    print_machine(replace(describe_machine(CPU), cores=4, load=load), new_console())
    assert ("busy (load 3.2)" in capsys.readouterr().out) == busy


def test_commit_is_gradprofs_own(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    assert machine._commit(tmp_path) == (None, False)
    git("init")
    assert machine._commit(tmp_path) == (None, False)
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    commit, changed = machine._commit(tmp_path)
    assert len(commit or "") == 40
    assert not changed
    (tmp_path / "file").write_text("two")
    assert machine._commit(tmp_path) == (commit, True)
    (tmp_path / "installed").mkdir()
    assert machine._commit(tmp_path / "installed") == (None, False)
