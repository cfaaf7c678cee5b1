"""The figures of the step benchmark, from what its contenders gathered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .contenders import Contender
from .device_counts import DeviceCounts
from .pairs import ratios
from .results import Bound, Figure, Grid

BARE = "bare"
BOTH = "parameters and outputs"
PARAMETERS = "parameters only"
OUTPUTS = "outputs only"
UNOBSERVED = "watched, but no step observed"
OBSERVED: dict[str, tuple[str, ...]] = {
    BOTH: ("param", "output"),
    PARAMETERS: ("param",),
    OUTPUTS: ("output",),
    UNOBSERVED: (),
}

BOUNDS = {
    BOTH: Bound("at most", 1.08),
    PARAMETERS: Bound("at most", 1.03),
    UNOBSERVED: Bound("at most", 1.005),
}
TORCH_BOUNDS = {BOTH: Bound("at most", 1.20)}
"""Of the reductions in plain torch."""

_MIB = 1 << 20


@dataclass
class Measured:
    """One contender's rounds."""

    contender: Contender
    seconds: list[float]
    host_seconds: Sequence[float] = ()
    """Spent in gradprof on the training thread, by its own record."""
    table_seconds: Sequence[float] = ()
    """Of these, from the end of the optimizer's work on."""
    counts: Sequence[DeviceCounts] = ()
    """Of some steps, on CUDA."""


def ratio_figures(measured: dict[str, Measured], bounds: Mapping[str, Bound]) -> list[Figure]:
    """Step time over the bare twin's, round by round; then the bare step itself."""
    bare = measured[BARE].seconds
    figures = [
        Figure(name, "ratio", ratios(one.seconds, of=bare), bounds.get(name))
        for name, one in measured.items()
        if name != BARE
    ]
    return [*figures, Figure("bare step", "ms", _ms(bare))]


def per_step_grid(measured: dict[str, Measured]) -> Grid:
    rows: dict[str, list[Figure | None]] = {}
    for name, one in measured.items():
        contender = one.contender
        writer, written = contender.writer_seconds, contender.bytes_written
        rows[name] = [
            _figure("step", "ms", _ms(one.seconds)),
            _figure("host", "ms", _ms(one.host_seconds)),
            _figure("threads", "ms", _ms([] if writer is None else [writer])),
            _figure("peak MiB", "MiB", [peak / _MIB for peak in contender.peaks]),
            _figure("KiB", "KiB", [written / 1024] if written else []),
        ]
    return Grid(
        "one step: ms, MiB of memory, KiB on disk",
        "",
        ("step", "host", "threads", "peak MiB", "KiB"),
        rows,
    )


PER_STEP_NOTE = (
    "host: in gradprof on the training thread, by its own record. threads: CPU time of the watcher's own "
    "threads, which are waited for between two steps, and KiB: averages of all steps, closing included. "
    "peak: above what was held before the step, in steps that are not timed."
)


def split_grid(measured: dict[str, Measured]) -> Grid:
    """Where the time of watching goes: by pairs with the bare twin, then by gradprof's own record."""
    bare, both = measured[BARE].seconds, measured[BOTH]
    rows: dict[str, list[Figure | None]] = {}

    def add(name: str, seconds: Sequence[float]) -> None:
        """One value a round, or one of all."""
        bases = bare if len(seconds) == len(bare) else bare[:1] and [sum(bare) / len(bare)]
        if seconds and len(bases) == len(seconds):
            rows[name] = [
                Figure(name, "ms", _ms(seconds)),
                Figure(name, "ratio", [cost / base for cost, base in zip(seconds, bases, strict=True)]),
            ]

    for name, label in ((PARAMETERS, "parameters"), (OUTPUTS, "outputs"), (BOTH, "both")):
        add(f"{label}, watched - bare", differences(measured[name].seconds, bare))
    add("both: hooks and reductions", differences(both.host_seconds, both.table_seconds))
    add("both: table and copy", both.table_seconds)
    watched = differences(both.seconds, bare)
    add("both: what pairs see beyond these", differences(watched, both.host_seconds))
    writer = both.contender.writer_seconds
    add("both: writing, its own thread", [] if writer is None else [writer])
    return Grid("split by part", "", ("ms", "of a bare step"), rows)


def device_grid(measured: dict[str, Measured]) -> Grid:
    rows: dict[str, list[Figure | None]] = {
        name: [
            Figure("busy ms", "ms", [1e3 * count.busy_seconds for count in one.counts]),
            Figure("launches", "launches", [count.launches for count in one.counts]),
            Figure("host syncs", "syncs", [count.syncs for count in one.counts]),
        ]
        for name, one in measured.items()
        if one.counts
    }
    return Grid("on the device, in one step", "", ("busy ms", "launches", "host syncs"), rows)


def differences(costs: Sequence[float], of: Sequence[float]) -> list[float]:
    """`costs - of`, round by round; nothing where one of them was not measured."""
    if len(costs) != len(of):
        return []
    return [cost - base for cost, base in zip(costs, of, strict=True)]


def _figure(name: str, unit: str, values: Sequence[float]) -> Figure | None:
    return Figure(name, unit, values) if values else None


def _ms(seconds: Sequence[float]) -> list[float]:
    return [1e3 * s for s in seconds]
