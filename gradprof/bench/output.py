"""Where a result goes: tables as it comes, or one JSON document; and a run for TensorBoard."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

import torch

from gradprof.terminal.bar import Rounds

from .machine import describe_machine
from .results import Figure, Result
from .table import new_console, print_machine, print_result


def measure_and_print(
    measure: Callable[[Rounds], Result], device: torch.device, *, as_json: bool, logdir: str | None
) -> int:
    """Say where, measure, and print what came of it.

    Returns:
        0; 1 if a result was wrong, 130 after Ctrl-C.
    """
    started, machine, console = time.time(), describe_machine(device), new_console()
    if not as_json:
        print_machine(machine, console)
    result = Result()
    with Rounds() as rounds:  # a second Ctrl-C ends it with nothing measured
        result = measure(rounds)
    if logdir is not None:
        _log(result, logdir)
    if as_json:
        where = {"started": started, "machine": asdict(machine), "interrupted": rounds.requested}
        json.dump(where | result.as_json(), sys.stdout, indent=1, allow_nan=False)
        sys.stdout.write("\n")
    else:
        print_result(result, console)
        if logdir is not None:
            console.print(f"\nTensorBoard shows the rounds: {logdir}", markup=False, soft_wrap=True)
        if rounds.requested:
            console.print("\nInterrupted: this is what was measured until then.")
    if rounds.requested:
        return 130
    return 0 if result.correct else 1


def _log(result: Result, directory: str) -> None:
    """One scalar a figure, one step a round; a figure of one value stands at step 0."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(directory) as writer:
        for tag, values in _series(result):
            for step, value in enumerate(values):
                writer.add_scalar(tag, value, step)


def _series(result: Result) -> Iterator[tuple[str, list[float]]]:
    """By tag; dashboards group by what stands before the first slash."""

    def series(group: str, name: str, figure: Figure) -> tuple[str, list[float]]:
        tag = f"bench {group.replace('/', ' per ')}/{name.strip()} ({figure.unit})"
        return tag, list(figure.values)

    for figure in result.figures:
        yield series(result.name, figure.name, figure)
    for grid in result.grids:
        for row, cells in grid.rows.items():
            for figure in filter(None, cells):
                yield series(f"{result.name}, {grid.title}", f"{row}, {figure.name}", figure)
