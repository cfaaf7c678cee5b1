"""What watching costs a training step: twins of one training, one bare and the others watched, step in turn.

The profiler hands a step to its writer thread at the first sign of the next one, so the writer's work
for a watched step runs beside the next step of the same twin, and is counted there, not in a bare one.
"""

from __future__ import annotations

import gc
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import gradprof
from gradprof.terminal.bar import Rounds

from .alternatives import ALTERNATIVES
from .clock import within
from .contenders import Contender, Gradprof, Watch, done, started
from .device_counts import count_device
from .own_measure import measure_own
from .pairs import alternate
from .per_layer import measure_layers
from .results import Check, Result
from .step_results import (
    BARE,
    BOUNDS,
    OBSERVED,
    PER_STEP_NOTE,
    TORCH_BOUNDS,
    Measured,
    device_grid,
    per_step_grid,
    ratio_figures,
    split_grid,
)
from .target import TargetError
from .trainings import Make, Setup, maker
from .twin import Twin, check_record, check_twins, deterministic_cudnn, own_random_numbers

BOUND_SETUP = "resnet18, batch 32 of 3x64x64, on two cores"

_N_WARM_UP = 3
_N_FOR_MEMORY = 3
_N_COUNTED = 3
_ENOUGH_FOR_OWN = 12
"""Rounds; with fewer nobody wants to wait for gradprof's own measure."""
_AT_LEAST = 6
"""Rounds, however long they take: fewer give no interval."""


@dataclass(frozen=True)
class Scope:
    """What is measured besides gradprof's own three ways of watching."""

    against: tuple[str, ...] = ()
    """Names in `ALTERNATIVES`."""
    seconds: float | None = None
    """The rounds end after about as long; None: all of them are done."""
    per_layer: int = 0
    """Steps in which each site is timed alone."""
    backend: str = "auto"
    """What reduces."""
    budget: float | None = None
    """Also what gradprof costs with this budget."""


def check_setup(setup: Setup) -> None:
    """Train one step without gradprof.

    Raises:
        ImportError: the package that the model comes from is not installed.
        ValueError: there is no such model or target, or it cannot be trained like this. What the target
            itself raises comes through as it is.
    """
    make = maker(setup)
    with own_random_numbers(setup.device):
        try:
            twin = Twin(make, setup.device)
            twin.prepare()
            twin.step()
        except RuntimeError as error:  # such as memory
            if setup.target is not None:
                raise
            raise ValueError(f"cannot train {setup}: {error}") from error
        if setup.target is not None and make().model is twin.model:
            raise TargetError(
                f"--target {setup.target} returned the same model twice, expected a new one at each call: "
                "make it inside the function"
            )


def measure_step(
    rounds: Rounds, setup: Setup, pairs: int, watch: Watch = gradprof.watch, scope: Scope | None = None
) -> Result:
    """Step time watched / bare, every iteration recorded into runs that are removed afterwards.

    Args:
        pairs: rounds, in each of which every contender trains one step.
        watch: what watches, `gradprof.watch`.

    Raises: as `check_setup`, which says more of what is wrong.
    """
    scope = scope or Scope()
    make = maker(setup)
    result = Result(
        name="step",
        setup=f"{setup}; step time watched / bare, in pairs",
        bound_setup=BOUND_SETUP,
        options=setup.options() | {"pairs": pairs} | asdict(scope),
    )
    with own_random_numbers(setup.device), deterministic_cudnn():
        if not rounds.requested:
            result.add(_compare(rounds, make, setup, pairs, watch, scope))
        if result.correct and (scope.budget or pairs >= _ENOUGH_FOR_OWN) and not rounds.requested:
            result.add(measure_own(rounds, make, setup.device, watch, scope.backend, scope.budget))
        if result.correct and scope.per_layer and not rounds.requested:
            result.add(measure_layers(rounds, make, setup.device, scope.per_layer))
    return result


def _compare(rounds: Rounds, make: Make, setup: Setup, pairs: int, watch: Watch, scope: Scope) -> Result:
    found = Result()
    differing = _differing_by_itself(make, setup)
    with tempfile.TemporaryDirectory(prefix="gradprof-bench-") as directory:
        contenders = _contenders(make, setup, watch, scope, Path(directory))
        with started(contenders, found.notes):
            _warm_up(rounds, contenders, found.notes)
            costs = alternate(contenders, within(scope.seconds, rounds(pairs, "step"), _AT_LEAST))
            measured = {name: Measured(contenders[name], costs[name]) for name in contenders}
            for _ in rounds(_N_FOR_MEMORY if costs[BARE] else 0, "step: memory"):
                for contender in contenders.values():
                    contender.step_for_memory()
            counted = _N_COUNTED if costs[BARE] and setup.device.type == "cuda" else 0
            for _ in rounds(counted, "step: on the device"):
                for one in measured.values():
                    one.counts = [*one.counts, count_device(one.contender)]
        if not contenders[BARE].twin.age:
            return found
        _check(measured, differing, found)
    if costs[BARE]:
        found.measured = ratio_figures(measured, TORCH_BOUNDS if scope.backend == "torch" else BOUNDS)
        found.tables = [per_step_grid(measured), split_grid(measured), device_grid(measured)]
        found.notes.append(PER_STEP_NOTE)
    return found


def _contenders(
    make: Make, setup: Setup, watch: Watch, scope: Scope, directory: Path
) -> dict[str, Contender]:
    gc.collect()  # a twin of an earlier check is a cycle, and may fill a device
    watchers = {
        BARE: None,
        **{name: Gradprof(watch, observe, scope.backend) for name, observe in OBSERVED.items()},
        **{title: new() for title, new in (ALTERNATIVES[name] for name in scope.against)},
    }
    return {
        name: Contender(name, Twin(make, setup.device), watcher, directory / str(i), setup.device)
        for i, (name, watcher) in enumerate(watchers.items())
    }


def _warm_up(rounds: Rounds, contenders: dict[str, Contender], notes: list[str]) -> None:
    for _ in rounds(_N_WARM_UP, "step: warming up"):
        for name, contender in list(contenders.items()):
            if not done(contender, contender, notes):
                del contenders[name]


def _differing_by_itself(make: Make, setup: Setup) -> str:
    """Where two bare twins differ after two steps, as on a GPU with atomic additions; else empty."""
    left, right = (Twin(make, setup.device) for _ in range(2))
    for twin in (left, right, left, right):
        twin.prepare()
        twin.step()
    return check_twins(left, right).failure


def _check(measured: dict[str, Measured], differing: str, found: Result) -> None:
    """Watching changes nothing, and the runs on disk hold what was trained."""
    bare = measured[BARE].contender.twin
    if differing:
        found.notes.append(
            f"Two bare trainings of this differ by themselves ({differing}), so that watching changes "
            "nothing was not checked."
        )
    for name, one in measured.items():
        contender = one.contender
        twins = check_twins(bare, contender.twin)
        if isinstance(contender.watcher, Gradprof):
            run = gradprof.load(contender.directory / "run")
            checks = [] if differing else [twins]
            if contender.watcher.every_step:
                checks += check_record(contender.twin, run, norms="param" in contender.watcher.observe)
            found.checks += [Check(f"{name}: {check.what}", check.failure) for check in checks]
            timed = slice(_N_WARM_UP, _N_WARM_UP + len(one.seconds))
            if contender.watcher.every_step:
                one.host_seconds = run.seconds[timed].tolist()
            one.table_seconds = contender.watcher.table_seconds[timed]
        elif not twins.passed and not differing:
            found.notes.append(f"{name} changed the training: {twins.failure}.")
