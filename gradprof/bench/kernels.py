"""What one reduction costs: `gradprof.measure` against the numpy idiom that it replaces."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradprof.kernels.bins import BIN_EDGES, N_BINS
from gradprof.measurement import measure
from gradprof.stats import TensorStats

from .pairs import alternate, ratios, seconds
from .results import Bound, Check, Figure, Grid, Result
from .session import Session

BOUND = Bound("at least", 5.0)
BOUND_SETUP = "16 Mi float32 on a CPU"

_TOLERANCE = 1e-6
_MAX_CALLS = 1000

Measure = Callable[[Tensor], TensorStats]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    numel: int = 1 << 24
    """Of the tensor on which both compete."""
    grid: tuple[int, ...] = (1 << 10, 1 << 14, 1 << 18, 1 << 22, 1 << 24)
    seconds_per_cell: float = 0.3


QUICK = Sizes(numel=1 << 20, grid=(1 << 10, 1 << 14), seconds_per_cell=0.01)


def numpy_idiom(tensor: Tensor) -> npt.NDArray[np.int64]:
    """What people write to see a gradient's orders of magnitude."""
    exponents: npt.NDArray[np.int64] = (tensor.abs() + 1e-30).log10().flatten().cpu().numpy().astype(int)
    return exponents


def measure_kernels(
    session: Session, device: torch.device, pairs: int, sizes: Sizes, measure: Measure = measure
) -> Result:
    """How many times as fast as the numpy idiom, and ns per element by size and content.

    Args:
        measure: what measures, `gradprof.measure`: it waits for its result.
    """
    contents = _contents(max(sizes.numel, *sizes.grid), device)
    to_check = sorted({*sizes.grid, sizes.numel})
    checks = [
        _check(measure, name, (values[:n] for n in to_check))
        for (name, values), _ in zip(
            contents.items(), session.rounds(len(contents), "kernels: checking"), strict=False
        )
    ]
    figures: list[Figure] = []
    grids: list[Grid] = []
    if all(check.passed for check in checks):
        figures = _against_idiom(session, contents["normal"][: sizes.numel], pairs, measure)
        grids = [_grid(session, contents, sizes, measure)]
    return Result(
        name="kernels",
        setup=f"{_binary(sizes.numel)} float32, randn * 1e-3, on {device}; gradprof.measure(x) and numpy's "
        "(x.abs() + 1e-30).log10().flatten().numpy().astype(int) in pairs",
        bound_setup=BOUND_SETUP,
        options={"device": str(device), "pairs": pairs, **asdict(sizes)},
        checks=checks,
        figures=figures,
        grids=grids,
        interrupted=session.stopped,
    )


def _contents(numel: int, device: torch.device) -> dict[str, Tensor]:
    """float32 `[numel]` of each kind."""
    generator = torch.Generator(device=device).manual_seed(0)
    normal = torch.randn(numel, generator=generator, device=device) * 1e-3
    kept = torch.rand(numel, generator=generator, device=device) < 0.5
    return {"normal": normal, "half zeros": normal * kept, "all zeros": torch.zeros_like(normal)}


def _against_idiom(session: Session, values: Tensor, pairs: int, measure: Measure) -> list[Figure]:
    contenders = {
        "gradprof.measure": partial(seconds, partial(measure, values)),
        "numpy": partial(seconds, partial(numpy_idiom, values)),
    }
    for contender in contenders.values():
        contender()  # the first call allocates scratch
    costs = alternate(contenders, session.rounds(pairs, "kernels: against numpy"))
    speed_up = ratios(costs["numpy"], of=costs["gradprof.measure"])
    times = [Figure(f"  {name}", "ms", [1e3 * s for s in taken]) for name, taken in costs.items()]
    return [Figure("times as fast as numpy", "x", speed_up, BOUND), *times]


def _grid(session: Session, contents: dict[str, Tensor], sizes: Sizes, measure: Measure) -> Grid:
    rows = {}
    for n in sizes.grid:
        cells = [
            _cell(session, name, values[:n], sizes.seconds_per_cell, measure)
            for name, values in contents.items()
        ]
        if any(cells):
            rows[_binary(n)] = cells
    return Grid(
        "gradprof.measure, ns per element, median", "ns per element", "elements", list(contents), rows
    )


def _cell(
    session: Session, name: str, values: Tensor, seconds_per_cell: float, measure: Measure
) -> Figure | None:
    """Repeated calls for about `seconds_per_cell`, three at least."""
    n = values.numel()
    taken: list[float] = []
    deadline = time.perf_counter() + seconds_per_cell
    for i in session.rounds(_MAX_CALLS, f"kernels: {_binary(n)}, {name}"):
        taken.append(seconds(partial(measure, values)))
        if i >= 2 and time.perf_counter() > deadline:
            break
    return Figure(name, "ns per element", [1e9 * s / n for s in taken]) if taken else None


def _check(measure: Measure, name: str, tensors: Iterable[Tensor]) -> Check:
    what = f"{name}: counts, abs-max and histogram are exact, L2 to 1e-6"
    for values in tensors:
        if found := _error(measure(values), np.abs(values.cpu().numpy().astype(np.float64))):
            return Check(what, f"of {_binary(values.numel())} elements, {found}")
    return Check(what)


def _error(got: TensorStats, magnitudes: npt.NDArray[np.float64]) -> str:
    """What is wrong with a measurement of these finite magnitudes; empty if nothing is."""
    nonzero = magnitudes[magnitudes > 0]
    abs_max, l2 = float(magnitudes.max()), float(np.linalg.norm(magnitudes))
    hist = np.bincount(np.searchsorted(BIN_EDGES[1:-1], nonzero, side="right"), minlength=N_BINS)
    if got.abs_max != abs_max:
        return f"abs_max is {got.abs_max!r}, expected {abs_max!r}"
    if not abs(got.l2 - l2) <= _TOLERANCE * l2:
        return f"l2 is {got.l2!r}, expected {l2!r}"
    if got.n_zero + int(got.hist.sum()) != magnitudes.size or got.n_zero != magnitudes.size - nonzero.size:
        return f"{got.n_zero} zeros and {int(got.hist.sum())} others were counted, not {magnitudes.size}"
    if not np.array_equal(got.hist, hist):
        return f"bin {int(np.flatnonzero(got.hist != hist)[0])} of the histogram differs"
    return ""


def _binary(n: int) -> str:
    """16777216 as 16 Mi."""
    for factor, prefix in ((1 << 20, "Mi"), (1 << 10, "Ki")):
        if n >= factor and n % factor == 0:
            return f"{n // factor} {prefix}"
    return str(n)
