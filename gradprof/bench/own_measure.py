"""What gradprof says itself of its cost, beside what it is; and what a budget does to it.

Gradprof goes by the time from one step's end to the next, and a budget by many steps, so here each
training has runs of steps to itself, by turns, instead of single ones.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path

import torch

from gradprof.terminal.bar import Rounds

from .contenders import Contender, Gradprof, Watch, started
from .pairs import alternate, ratios
from .results import Figure, Result
from .step_results import BARE, BOTH, OBSERVED
from .trainings import Make
from .twin import Twin

_N_ROUNDS = 4
_N_STEPS = 20
"""Steps of one training in a row."""


def measure_own(
    rounds: Rounds, make: Make, device: torch.device, watch: Watch, backend: str, budget: float | None
) -> Result:
    """Ratios to the bare step of parameters and outputs at every iteration, by gradprof's own
    `Profiler.overhead` and by the clock, and of the same with a budget if there is one."""
    watchers: dict[str, Gradprof | None] = {BARE: None, BOTH: Gradprof(watch, OBSERVED[BOTH], backend)}
    if budget is not None:
        watchers[f"budget of {budget:g}"] = Gradprof(watch, OBSERVED[BOTH], backend, budget)
    with tempfile.TemporaryDirectory(prefix="gradprof-bench-") as directory:
        contenders = {
            name: Contender(name, Twin(make, device), watcher, Path(directory) / str(i), device)
            for i, (name, watcher) in enumerate(watchers.items())
        }
        turns = {name: partial(_turn, contender.twin) for name, contender in contenders.items()}
        with started(contenders, notes=[]):
            for turn in turns.values():
                turn()  # warms up, and shows a budget what to go by
            costs = alternate(turns, rounds(_N_ROUNDS, "step: runs of steps"))
    found = Result()
    for name, watcher in watchers.items():
        if watcher is not None and costs[BARE]:
            label = f"{name}, {_N_STEPS} steps in a row"
            found.measured.append(Figure(label, "ratio", ratios(costs[name], of=costs[BARE])))
            found.measured.append(Figure("  by gradprof's own measure", "ratio", [1 + watcher.overhead]))
    return found


def _turn(twin: Twin) -> float:
    """Seconds of steps in a row."""
    start = time.perf_counter()
    for _ in range(_N_STEPS):
        twin.prepare()
        twin.step()
    return time.perf_counter() - start
