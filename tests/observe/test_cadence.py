"""A budget is kept, by observing less often; how often is told, and trouble is looked at closely."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

import gradprof
from gradprof.observe.budget import LEAST_OFTEN, Budget, spacing
from gradprof.observe.cadence import NonFiniteWatch
from gradprof.observe.device_timer import DeviceTimer

BARE = 0.1
seconds = st.floats(1e-6, 10.0)


def train(
    budget: Budget, costs: Mapping[str, float], n_steps: int, rest: float = 1e-4
) -> list[frozenset[str]]:
    """What each of `n_steps` steps of `BARE` seconds observed, at these seconds for each group."""
    observed = []
    for step in range(n_steps):
        due = budget.due(step)
        host = {group: costs[group] for group in due}
        spent = sum(host.values()) + (rest if host else 0.0)
        budget.finish(step, BARE + spent, host, spent - sum(host.values()))
        observed.append(due)
    return observed


def share(observed: list[frozenset[str]], costs: Mapping[str, float], rest: float = 1e-4) -> float:
    spent = sum(sum(costs[group] for group in due) + (rest if due else 0.0) for due in observed)
    return spent / (BARE * len(observed))


def test_without_a_limit_everything_is_observed_and_the_cost_is_known() -> None:
    budget = Budget(None, ["param", "output"])
    costs = {"param": 0.03, "output": 0.05}
    assert set(train(budget, costs, 50)) == {frozenset(costs)}
    assert budget.costs.overhead == pytest.approx(0.801, rel=1e-6)


def test_what_fits_is_observed_always() -> None:
    budget = Budget(0.1, ["param", "output"])
    assert set(train(budget, {"param": 0.003, "output": 0.005}, 50)) == {frozenset({"param", "output"})}


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.floats(0.001, 0.5), seconds, seconds)
def test_the_share_is_kept_unless_one_in_a_hundred_is_already_too_much(
    limit: float, param: float, output: float
) -> None:
    budget = Budget(limit, ["param", "output"])
    costs = {"param": param, "output": output}
    train(budget, costs, 10)
    spaced = budget.spacing
    observed = train(budget, costs, 40 * LEAST_OFTEN)[10:]
    for group in costs:
        n = sum(group in due for due in observed)
        assert n >= len(observed) // LEAST_OFTEN - 1
    if sum(spaced.values()) <= LEAST_OFTEN:
        assert share(observed, costs) <= limit * 1.03
        assert budget.costs.overhead == pytest.approx(share(observed, costs), rel=0.5)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.floats(1e-4, 0.5), seconds, seconds)
def test_spacing_wastes_little_and_lets_groups_share_steps(allowance: float, a: float, b: float) -> None:
    every = spacing({"param": a, "output": b}, 0.0, allowance)
    low, high = sorted(every.values())
    assert high % low == 0
    assert low >= 1
    assert high <= LEAST_OFTEN
    cheap, dear = sorted((a, b))
    if low + high <= LEAST_OFTEN:
        assert cheap / low + dear / high <= allowance * (1 + 1e-9)
    if high > low:  # one group more often would break it
        assert cheap / low + dear / (high - low) > allowance * (1 - 1e-9)


def test_the_cheaper_group_is_observed_more_often_and_shares_its_steps() -> None:
    budget = Budget(0.02, ["param", "output"])
    observed = train(budget, {"param": 0.002, "output": 0.012}, 500)[50:]
    params, outputs = (sum(g in due for due in observed) for g in ("param", "output"))
    assert params > 2 * outputs > 0
    assert frozenset({"output"}) not in observed


def test_it_follows_costs_that_change() -> None:
    budget = Budget(0.02, ["param"])
    train(budget, {"param": 0.02}, 100)
    assert budget.spacing["param"] == 12
    for step in range(100, 600):
        host = {"param": 0.001} if budget.due(step) else {}
        budget.finish(step, BARE + sum(host.values()), host, 0.0)
    assert budget.spacing["param"] == 1


def test_one_slow_step_changes_nothing() -> None:
    budget = Budget(0.02, ["param"])
    train(budget, {"param": 0.02}, 100)
    usual = budget.spacing["param"]
    for step, took in ((200, 60.0), (201, 0.1), (220, 0.1)):
        budget.finish(step, took, {"param": 0.02}, 0.0)
    assert budget.spacing["param"] == usual


def test_a_value_that_turns_non_finite_is_seen_once() -> None:
    watch = NonFiniteWatch()
    assert not watch.begins({"loss": 1.0, "lr": 0.1})
    assert watch.begins({"loss": math.nan, "lr": 0.1})
    assert not watch.begins({"loss": math.inf})
    assert not watch.begins({"loss": 2.0})
    assert watch.begins({"loss": math.inf})
    assert watch.begins({"other": math.nan})


class Timed:
    """A CUDA event that the device passes when told to."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.passed = False

    def query(self) -> bool:
        return self.passed

    def elapsed_time(self, end: Timed) -> float:
        return end.at - self.at


def test_device_time_is_read_when_it_is_there() -> None:
    timer = DeviceTimer()
    ends = [Timed(3.0), Timed(10.0), Timed(30.0)]
    timer._spans = [("output", Timed(1.0), ends[0]), ("output", Timed(5.0), ends[1])]  # type: ignore[list-item]
    timer.end_step()
    timer._spans = [("param", Timed(20.0), ends[2])]  # type: ignore[list-item]
    timer.end_step()
    ends[0].passed = True
    assert timer.arrived() == []
    ends[1].passed = True
    assert timer.arrived() == [{"output": 0.007}]
    ends[2].passed = True
    assert timer.arrived() == [{"param": 0.01}]
    assert timer.arrived() == []


def test_device_time_counts_where_it_is_longer() -> None:
    budget = Budget(0.02, ["param"])
    for step in range(10):
        budget.costs.add_device({"param": 0.04})
        budget.finish(step, BARE, {"param": 0.001}, 0.0)
    assert budget.spacing["param"] == math.ceil(0.04 / (0.9 * 0.02 * 0.099))
    assert budget.costs.overhead == pytest.approx(0.04 / 0.099)


# --- in a training ---------------------------------------------------------------------------


def small_training(logdir: Path, n_steps: int, budget: float | None, nan_at: int = -1) -> gradprof.Profiler:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with gradprof.watch(model, logdir, optimizer=optimizer, budget=budget) as prof:
        for step in range(n_steps):
            optimizer.zero_grad()
            loss = model(torch.randn(4, 8)).square().mean()
            loss.backward()
            optimizer.step()
            prof.log(loss=math.nan if step == nan_at else loss)
    return prof


@pytest.mark.usefixtures("one_thread")
def test_a_tiny_budget_is_kept_down_to_one_step_in_a_hundred(tmp_path: Path) -> None:
    small_training(tmp_path / "run", 450, budget=1e-6)
    run = gradprof.load(tmp_path / "run")
    assert set(run.steps.tolist()) >= {0, 1, 2}
    later = run.steps[run.steps > 20]
    assert set(later[1:] - later[:-1]) == {LEAST_OFTEN}
    assert len(run.scalars["loss"].steps) == 450  # the caller's own values are never left out
    assert run.header["options"]["budget"] == 1e-6


@pytest.mark.usefixtures("one_thread")
def test_steps_after_a_non_finite_loss_are_observed(tmp_path: Path) -> None:
    small_training(tmp_path / "run", 240, budget=1e-6, nan_at=150)
    run = gradprof.load(tmp_path / "run")
    assert set(range(151, 159)) <= set(run.steps.tolist())
    assert not any(160 <= step < 200 for step in run.steps)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("budget", [None, 1e-6])
def test_tensorboard_shows_overhead_and_cadence(budget: float | None, tmp_path: Path) -> None:
    small_training(tmp_path / "run", 250, budget)
    events = EventAccumulator(str(tmp_path / "run"), size_guidance={"scalars": 0}).Reload()
    overhead = {point.step: point.value for point in events.Scalars("grad_summary/overhead")}
    assert min(overhead) == 2, "the first steps are not counted"
    assert all(0 < value < 100 for value in overhead.values())
    assert ("grad_summary/cadence/param" in events.Tags()["scalars"]) == (budget is not None)
    if budget is not None:
        for group in ("param", "output"):
            points = events.Scalars(f"grad_summary/cadence/{group}")
            assert points[0].value == 1
            assert points[-1].value == LEAST_OFTEN


@pytest.mark.usefixtures("one_thread")
def test_the_profiler_tells_its_overhead(tmp_path: Path) -> None:
    assert 0 < small_training(tmp_path / "run", 30, budget=None).overhead < 100
    assert math.isnan(small_training(tmp_path / "short", 1, budget=None).overhead)


@pytest.mark.parametrize(
    ("budget", "error", "message"),
    [
        (0, ValueError, r"budget is 0: expected a share"),
        (2, ValueError, r"budget is 2: expected a share of step time between 0 and 1"),
        (math.nan, ValueError, r"budget is nan"),
        ("2%", TypeError, r"budget is '2%': expected a share"),
        (True, TypeError, r"budget is True"),
    ],
)
def test_a_bad_budget(budget: object, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        gradprof.watch(nn.Linear(2, 2), tmp_path / "run", budget=budget)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()
