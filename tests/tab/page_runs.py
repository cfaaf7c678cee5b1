"""Recorded runs for the tests of the page: small, but with everything that it has to show."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from gradprof.record.step import StepRecord
from gradprof.write.run_writer import RunWriter
from runs import header_of, rows_of

MODULES = [f"layer{layer}.{block}.conv{conv}" for layer in (1, 2) for block in (0, 1) for conv in (1, 2)]
SITES = [f"param/{name}.weight" for name in (*MODULES, "fc")] + [
    f"output/{name}" for name in (*MODULES, "fc")
]
STEPS = 3000

SPIKE = (1234, "param/layer1.1.conv1.weight")
NAN = (2000, "param/layer2.0.conv2.weight")
MISSING = (range(800, 1000), "param/layer1.0.conv2.weight")
DEAD = (range(400, 500), "param/fc.weight")

HOSTILE = [
    'param/<img src=x onerror="parent.pwned=1">.weight',
    "param/<script>parent.pwned=1</script>.weight",
    "param/'\"&amp;/\\..=&p.gradprof.run=x.%3Cb%3E.weight",
    "param/שלום.مرحبا.层.weight",
    f"param/{'very_long.' * 30}weight",
]


def write_long(directory: Path, steps: int = STEPS, sites: list[str] = SITES, troubled: bool = True) -> None:
    """A training of `steps` steps, numbered 0, 2, 4, …, with the troubles named above."""
    writer = start(directory, sites)
    for ordinal, rows in enumerate(all_rows(steps, sites)):
        if troubled:
            trouble(rows, ordinal, sites)
        writer.write(record(ordinal, rows))
    writer.close()


def start(directory: Path, sites: list[str]) -> RunWriter:
    return RunWriter(
        directory, header_of(sites, shapes={label: [8, 4] for label in sites}, model="Synthetic")
    )


def record(ordinal: int, rows: np.ndarray) -> StepRecord:
    loss = 2 * math.exp(-ordinal / 900) + 0.01
    return StepRecord(2 * ordinal, wall_time=1.7e9 + ordinal, rows=rows, scalars={"loss": loss})


def all_rows(steps: int, sites: list[str]) -> list[np.ndarray]:
    """Rows `[sites]` of each step: twelve different steps, again and again."""
    rng = np.random.default_rng(1)
    scales = 10.0 ** -np.linspace(1, 4, len(sites))
    different = [rows_of(rng.normal(size=(len(sites), 32)) * scales[:, None]) for _ in range(12)]
    return [different[step % 12].copy() for step in range(steps)]


def trouble(rows: np.ndarray, ordinal: int, sites: list[str]) -> None:
    if ordinal == SPIKE[0]:
        rows[sites.index(SPIKE[1])] = rows_of([np.full(32, 5.0)])[0]
    if ordinal == NAN[0]:
        rows[sites.index(NAN[1])] = rows_of([[*np.full(30, 1e-3), np.nan, np.inf]])[0]
    if ordinal in MISSING[0]:
        rows["n_obs"][sites.index(MISSING[1])] = 0
    if ordinal in DEAD[0]:
        rows[sites.index(DEAD[1])] = rows_of([np.zeros(32)])[0]


def write_other_version(directory: Path) -> None:
    """A run of a format that this version does not know."""
    writer = RunWriter(directory, {**header_of(["param/a.weight"]), "format_version": 99})
    writer.write(record(0, rows_of([[1.0]])))
    writer.close()
